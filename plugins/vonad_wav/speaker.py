"""The speaker: plays at the pace of the clock, or at once, and writes what was heard to a WAV file."""

import asyncio
import struct
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from vonad import Clock, Frame, Samples, VonadError, silence, write_wav

PLAYBACK_RATE = 22_050
"""Hz, of the file too: what the bundled voice speaks at."""

AHEAD_S = 0.5
"""Seconds of sound that may wait to be heard before `play` waits."""

LARGEST = 2**32 - 1
"""What a WAV header can say about sizes; readers take it as: to the end of the file."""


class WavFile:
    """A WAV file that grows and is whole after every `append`. Raises OSError."""

    def __init__(self, path: Path) -> None:
        header = write_wav([Frame(silence(0), PLAYBACK_RATE)])
        self._size = len(header)
        self._data = len(header)
        path.write_bytes(header)
        self._file = path.open("r+b", buffering=0)

    @property
    def closed(self) -> bool:
        """Whether nothing more is written: who is told so late that the transport has closed may still ask."""
        return self._file.closed

    def append(self, pieces: Sequence[Samples]) -> None:
        """Write these, then the sizes that the header states."""
        self._file.seek(self._size)
        self._size += self._file.write(b"".join(piece.astype("<i2", copy=False).tobytes() for piece in pieces))
        for place, value in ((4, self._size - 8), (self._data - 4, self._size - self._data)):
            self._file.seek(place)
            self._file.write(struct.pack("<I", min(value, LARGEST)))

    def close(self) -> None:
        self._file.close()


class WavSpeaker:
    """Plays at the pace of the clock, or at once, and writes down what was heard."""

    def __init__(self, clock: Clock, file: WavFile | None, *, realtime: bool) -> None:
        self._clock = clock
        self._file = file
        self._realtime = realtime
        self._waiting: deque[Samples] = deque()
        self._waiting_count = 0
        self._begun = 0.0
        self._heard: list[Samples] = []
        self._heard_count = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def played(self) -> float:
        """Seconds heard so far."""
        self._advance()
        return self._heard_count / PLAYBACK_RATE

    async def play(self, samples: Samples) -> None:
        """Returns when no more than AHEAD_S is waiting."""
        self._advance()
        if not self._waiting:
            self._begun = self._clock.monotonic()
        self._waiting.append(samples)
        self._waiting_count += len(samples)
        await self._until_left(AHEAD_S)

    async def drained(self) -> None:
        """Returns when nothing is waiting, and all that was heard is in the file. Raises transport_send_failed."""
        await self._until_left(0.0)
        self.save()

    def clear(self) -> None:
        """Forget what was not heard yet."""
        self._advance()
        self._waiting.clear()
        self._waiting_count = 0
        for waiter in self._waiters:
            _settle(waiter)

    def save(self) -> None:
        """Write down what was heard. Raises transport_send_failed."""
        self._advance()
        heard, self._heard = self._heard, []
        if self._file is None or self._file.closed:
            return
        try:
            self._file.append(heard)
        except OSError as error:
            raise VonadError(
                "transport_send_failed",
                f"the speaker's WAV file cannot be written ({error.strerror}): make room for it or name another",
                op="wav.play",
            ) from error

    async def _until_left(self, seconds: float) -> None:
        self._advance()
        while (excess := self._waiting_count / PLAYBACK_RATE - seconds) > 0:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            timer = self._clock.call_later(excess, partial(_settle, waiter))
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiters.discard(waiter)
            self._advance()

    def _advance(self) -> None:
        """What the clock has played since then is no longer waiting but heard."""
        count = self._waiting_count
        if self._realtime:
            # A thousandth of a sample makes up for what binary fractions lose.
            count = min(count, int((self._clock.monotonic() - self._begun) * PLAYBACK_RATE + 1e-3))
        self._begun += count / PLAYBACK_RATE
        self._waiting_count -= count
        self._heard_count += count
        while count:
            piece = self._waiting.popleft()
            if len(piece) > count:
                self._waiting.appendleft(piece[count:])
            self._heard.append(piece[:count])
            count -= min(count, len(piece))


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
