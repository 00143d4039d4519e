"""Waveforms: sound that is the same in every run. Frames of 16 kHz unless a rate is given."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vonad.frame import CAPTURE_RATE, Frame, Samples, silence

LOUD = 1_000
"""Amplitude from which sound counts as speech to the LoudnessDetector."""

PEAK = 5_000
"""Amplitude of what is made here, unless told otherwise."""


def speech(seconds: float, *, at: float = 0.0) -> Frame:
    """Sound that the LoudnessDetector takes for speech; no voice."""
    return Frame(np.full(round(seconds * CAPTURE_RATE), PEAK, dtype=np.int16), CAPTURE_RATE, at)


def quiet(seconds: float, *, at: float = 0.0, rate: int = CAPTURE_RATE) -> Frame:
    """Digital silence."""
    return Frame(silence(seconds, rate), rate, at)


def tone(seconds: float, *, hertz: float = 440.0, amplitude: int = PEAK, rate: int = CAPTURE_RATE) -> Frame:
    """A sine."""
    return _frame(np.sin(2 * np.pi * hertz * _times(seconds, rate)) * amplitude, rate)


def chirp(
    seconds: float, *, first: float = 200.0, last: float = 4_000.0, amplitude: int = PEAK, rate: int = CAPTURE_RATE
) -> Frame:
    """A sine that glides from one frequency to another, in Hz: no two moments of it are alike."""
    times = _times(seconds, rate)
    return _frame(np.sin(2 * np.pi * (first + (last - first) * times / (2 * seconds)) * times) * amplitude, rate)


def noise(seconds: float, *, amplitude: int = PEAK, seed: int = 1, rate: int = CAPTURE_RATE) -> Frame:
    """White noise, the same for the same seed."""
    drawn = np.random.default_rng(seed).uniform(-amplitude, amplitude, round(seconds * rate))
    return _frame(drawn, rate)


def ramp(seconds: float, *, first: int = 0, last: int = PEAK, rate: int = CAPTURE_RATE) -> Frame:
    """Samples that climb (or fall) evenly: a sample tells where it was cut out."""
    return _frame(np.linspace(first, last, round(seconds * rate)), rate)


def pieces(frame: Frame, seconds: float = 0.02) -> Iterator[Frame]:
    """A frame as a microphone would deliver it; the last piece may be shorter."""
    size = max(1, round(seconds * frame.rate))
    for start in range(0, len(frame.samples), size):
        at = frame.at + start / frame.rate if frame.at else 0.0
        yield Frame(frame.samples[start : start + size], frame.rate, at, frame.turn, frame.filler)


def loud(frame: Frame) -> bool:
    """Whether the LoudnessDetector would take some of it for speech."""
    return bool(len(frame.samples)) and int(np.abs(frame.samples.astype(np.int32)).max()) >= LOUD


def _times(seconds: float, rate: int) -> npt.NDArray[np.float64]:
    return np.arange(round(seconds * rate)) / rate


def _frame(values: npt.NDArray[np.float64], rate: int) -> Frame:
    samples: Samples = np.round(values).astype(np.int16)
    return Frame(samples, rate)
