"""The microphone: WAV files in order, at 16 kHz, with silence around them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import soxr

from vonad import CAPTURE_RATE, Frame, Host, Samples, VonadError, read_wav, silence

FRAME_S = 0.02
QUIET = silence(FRAME_S)

LATE_S = 1.0
"""A pace that is this far behind (the machine slept) starts anew instead of catching up."""

HASTE_S = 60.0
"""Without `realtime`, silence after a file runs ahead of the clock for this long and no longer: nobody listens then."""


class WavMicrophone:
    """Frames of 20 ms at 16 kHz: the current file while it lasts, silence around it.

    In realtime it always runs; otherwise only while it is open, and then as fast as its one consumer takes the frames.
    """

    def __init__(self, files: Sequence[Path], host: Host, *, realtime: bool) -> None:
        self._files = deque(files)
        self._host = host
        self._realtime = realtime
        self._rest: Samples = QUIET[:0]
        self._next: Path | None = None
        self._quiet_s = 0.0
        self._due = 0.0
        self._open = asyncio.Event()
        self._closed = False

    def listen(self, *, begin: bool) -> None:
        """Open it. begin: with the next file, otherwise with silence."""
        self._rest = QUIET[:0]
        self._next = self._files.popleft() if begin and self._files else None
        self._quiet_s = 0.0
        self._open.set()

    def shut(self) -> None:
        """Nobody listens: what is left of the file will not be heard."""
        self._rest, self._next = QUIET[:0], None
        self._open.clear()

    def close(self) -> None:
        """Its frames end."""
        self._closed = True
        self._open.set()

    async def frames(self) -> AsyncIterator[Frame]:
        self._due = self._host.clock.monotonic()
        while True:
            at = await self._turn()
            if self._closed:
                return
            yield Frame(await self._take(), CAPTURE_RATE, at)

    async def _turn(self) -> float:
        """Wait until the next frame is due; the monotonic time at which it was captured."""
        clock = self._host.clock
        if self._realtime:
            # Due times are added up, not measured: so the pace does not drift.
            self._due = max(self._due + FRAME_S, clock.monotonic() - LATE_S)
            await clock.sleep(max(0.0, self._due - clock.monotonic()))
            return self._due - FRAME_S
        await self._open.wait()
        if self._quiet_s > HASTE_S:
            await clock.sleep(FRAME_S)
        else:
            await asyncio.sleep(0)  # others have their turn, however fast the consumer is
        return clock.monotonic()

    async def _take(self) -> Samples:
        file = self._next
        if file is not None:
            sound = await asyncio.to_thread(self._load, file)
            if self._next is file:  # it may have been shut meanwhile
                self._rest, self._next = sound, None
        if not len(self._rest):
            self._quiet_s += FRAME_S
            return QUIET
        taken, self._rest = self._rest[: len(QUIET)], self._rest[len(QUIET) :]
        return np.pad(taken, (0, len(QUIET) - len(taken)))

    def _load(self, file: Path) -> Samples:
        try:
            frame = read_wav(file.read_bytes(), name=str(file))
        except VonadError as error:
            reason = error.message
        except OSError as error:
            reason = f"{file}: {error.strerror}"
        else:
            if frame.rate == CAPTURE_RATE:
                return frame.samples
            samples: Samples = soxr.resample(frame.samples, frame.rate, CAPTURE_RATE, quality="HQ")
            return samples
        name = self._host.name
        self._host.log.error("%s hears silence (%s): mend it or [transports.%s] microphone", name, reason, name)
        return QUIET[:0]
