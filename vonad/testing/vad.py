"""A voice activity detector that a test can read: loud is speech."""

from collections.abc import Sequence

import numpy as np

from vonad.engine import VoiceActivity, VoiceActivityDetector
from vonad.frame import Blocks, Samples
from vonad.testing.rules import rule
from vonad.testing.sound import LOUD


class LoudnessDetector(VoiceActivityDetector):
    """Probability 1 for every window whose peak is LOUD or more, else 0."""

    def stream(self) -> VoiceActivity:
        return _Loudness(self.window)


class _Loudness(VoiceActivity):
    def __init__(self, window: int) -> None:
        self._blocks = Blocks(window)

    def push(self, samples: Samples) -> Sequence[float]:
        rule(samples.dtype == np.int16 and samples.ndim == 1, "VoiceActivity.push takes int16 mono samples, shape (n,)")
        return [float(np.abs(block.astype(np.int32)).max() >= LOUD) for block in self._blocks.push(samples)]
