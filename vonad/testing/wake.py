"""A wake word detector that waits for a tone: each word has its own."""

from collections.abc import Sequence

import numpy as np

from vonad.engine import Detection, WakeStream, WakeWordDetector
from vonad.errors import VonadError
from vonad.frame import CAPTURE_RATE, Blocks, Frame, Samples
from vonad.testing.rules import rule
from vonad.testing.sound import tone

WINDOW = 1_600
"""Samples that are looked at in one go, 100 ms."""

FIRST_HERTZ, NEXT_HERTZ = 500, 250


class ScriptedWakeWordDetector(WakeWordDetector):
    """Knows these words; `spoken` makes the sound of one, half a second long."""

    def __init__(self, *words: str) -> None:
        self._words = words or ("okay_nabu",)

    def words(self) -> Sequence[str]:
        return self._words

    def stream(self, words: Sequence[str]) -> WakeStream:
        for word in words:
            if word not in self._words:
                raise VonadError(
                    "invalid_config", f"there is no wake word {word!r}; it knows {', '.join(self._words)}", op="wake"
                )
        return _Listening({word: self._hertz(word) for word in words})

    def spoken(self, word: str) -> Frame:
        """Somebody says it."""
        return tone(0.5, hertz=self._hertz(word))

    def _hertz(self, word: str) -> float:
        return FIRST_HERTZ + NEXT_HERTZ * self._words.index(word)


class _Listening(WakeStream):
    def __init__(self, words: dict[str, float]) -> None:
        self._words = words
        self._blocks = Blocks(WINDOW)
        self._heard = ""

    def push(self, samples: Samples) -> Detection | None:
        rule(samples.dtype == np.int16 and samples.ndim == 1, "WakeStream.push takes int16 mono samples, shape (n,)")
        found: Detection | None = None
        for block in self._blocks.push(samples):
            word, score = self._loudest(block)
            if word and word != self._heard:
                found = found or Detection(word, score)
            self._heard = word
        return found

    def reset(self) -> None:
        self._blocks.flush()
        self._heard = ""

    def _loudest(self, block: Samples) -> tuple[str, float]:
        """The word whose tone is nearly all there is to hear."""
        power = np.abs(np.fft.rfft(block.astype(np.float64))) ** 2
        whole = float(power.sum())
        for word, hertz in self._words.items():
            share = float(power[round(hertz * len(block) / CAPTURE_RATE)]) / whole if whole else 0.0
            if share > 0.9:
                return word, min(1.0, share)
        return "", 0.0
