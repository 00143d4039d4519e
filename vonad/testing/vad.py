"""A voice activity detector that a test can read: loud is speech."""

from collections.abc import Sequence

import numpy as np

from vonad.engine import VoiceActivity, VoiceActivityDetector
from vonad.frame import Blocks, Frame, Samples, silence

LOUD = 1_000
"""Amplitude from which sound counts as speech."""


class LoudnessDetector(VoiceActivityDetector):
    """Probability 1 for every window whose peak is LOUD or more, else 0."""

    def stream(self) -> VoiceActivity:
        return _Loudness(self.window)


class _Loudness(VoiceActivity):
    def __init__(self, window: int) -> None:
        self._blocks = Blocks(window)

    def push(self, samples: Samples) -> Sequence[float]:
        return [float(np.abs(block.astype(np.int32)).max() >= LOUD) for block in self._blocks.push(samples)]


def speech(seconds: float, *, at: float = 0.0) -> Frame:
    """Sound that counts as speech."""
    return Frame(np.full(round(seconds * 16_000), 5_000, dtype=np.int16), 16_000, at)


def quiet(seconds: float, *, at: float = 0.0) -> Frame:
    """Sound that does not."""
    return Frame(silence(seconds), 16_000, at)
