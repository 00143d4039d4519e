"""Make the sounds that vonad brings along: short two-tone chimes, 16 kHz mono WAV, into vonad/sounds/."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from vonad.frame import Frame
from vonad.wav import write_wav

FOLDER = Path(__file__).parent.parent / "vonad" / "sounds"
RATE = 16_000
PEAK = 10 ** (-12 / 20)
"""-12 dBFS: to be noticed, not to be startled by."""

ATTACK_S = 0.008
"""A tone that begins at once clicks."""

Tones = tuple[tuple[float, float], ...]
"""(Hz, seconds from the beginning), each ringing on until the chime ends."""

CHIMES: dict[str, tuple[float, Tones]] = {
    "wake": (0.26, ((659.26, 0.0), (987.77, 0.08))),  # up: go on
    "heard": (0.22, ((987.77, 0.0), (783.99, 0.07))),  # down: understood, wait
    "error": (0.40, ((329.63, 0.0), (246.94, 0.16))),  # down and low: it went wrong
    "announce": (0.40, ((783.99, 0.0), (523.25, 0.15))),  # a door bell's
}
"""Name → seconds, tones."""


def chime(seconds: float, tones: Tones) -> Frame:
    """Bell-like tones, one after the other, that fade to nothing."""
    at = np.arange(round(seconds * RATE)) / RATE
    mixed = sum((_tone(at - begin, hertz, seconds - begin) for hertz, begin in tones), np.zeros_like(at))
    samples = np.rint(mixed * (PEAK / np.abs(mixed).max()) * 32767).astype(np.int16)
    return Frame(samples, RATE)


def _tone(at: npt.NDArray[np.float64], hertz: float, seconds: float) -> npt.NDArray[np.float64]:
    """at: seconds from its beginning; silence before it."""
    rise = np.clip(at / ATTACK_S, 0.0, 1.0)
    fade = np.exp(-4.0 * np.clip(at, 0.0, None) / seconds) * np.clip((seconds - at) / 0.03, 0.0, 1.0)
    return rise * fade * (np.sin(2 * np.pi * hertz * at) + 0.25 * np.sin(4 * np.pi * hertz * at))


def main() -> None:
    """Write them all."""
    for name, (seconds, tones) in CHIMES.items():
        (FOLDER / f"{name}.wav").write_bytes(write_wav([chime(seconds, tones)]))


if __name__ == "__main__":
    main()
