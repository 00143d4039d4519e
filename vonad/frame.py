"""Sound in pieces: the Frame, and Blocks that cut a stream of samples into the lengths an engine wants."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vonad.errors import VonadError

Samples = npt.NDArray[np.int16]
"""int16, shape (n,), mono."""

_INT16 = np.dtype(np.int16)

CAPTURE_RATE = 16_000
"""Hz at which captured sound reaches sessions and engines."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A piece of sound.

    samples: int16, shape (n,), mono; made read-only. Any length; transports aim at 20 ms.
    rate:    Hz.
    at:      monotonic seconds at which the first sample was captured; 0.0 for made sound.
    turn:    the turn whose right to speak carries it; 0 for captured sound.
    filler:  played to bridge a wait: never history, never the first audio of a reply.
    """

    samples: Samples
    rate: int
    at: float = 0.0
    turn: int = 0
    filler: bool = False

    def __post_init__(self) -> None:
        samples = self.samples
        if samples.dtype != _INT16 or samples.ndim != 1:
            raise VonadError(
                "unsupported_audio_format",
                f"a frame holds int16 mono samples, shape (n,): got {samples.dtype} {samples.shape}",
                op="frame",
            )
        if self.rate <= 0:
            raise VonadError(
                "unsupported_audio_format", f"a frame's rate is in Hz above 0: got {self.rate}", op="frame"
            )
        samples.setflags(write=False)

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / self.rate


def silence(seconds: float, rate: int = CAPTURE_RATE) -> Samples:
    """Samples of nothing."""
    return np.zeros(round(seconds * rate), dtype=np.int16)


class Blocks:
    """Cuts pushed samples into blocks of exactly `size`; what is left over waits for the next push."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rest: Samples = np.zeros(0, dtype=np.int16)

    def push(self, samples: Samples) -> Iterator[Samples]:
        """Yield every whole block that is complete with these samples."""
        joined = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        whole = len(joined) - len(joined) % self.size
        self._rest = joined[whole:]
        for start in range(0, whole, self.size):
            yield joined[start : start + self.size]

    def flush(self) -> Samples:
        """The samples that did not fill a block; empties it."""
        rest, self._rest = self._rest, np.zeros(0, dtype=np.int16)
        return rest
