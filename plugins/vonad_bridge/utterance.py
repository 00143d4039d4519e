"""The utterance: what the user says in one turn, kept so that it can be heard again, and where they paused in it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from vonad import Frame

LONGEST = 4_000
"""Frames of one utterance: 80 s of 20 ms, more than a turn may last."""


class Utterance:
    """Heard while it arrives, and again from its beginning by the next recogniser.

    understood: the final words are out.
    quiet:      the user has paused; pauses: how often they have, or have gone on.
    closed:     they have finished.
    went_on:    told when they go on.
    """

    def __init__(self) -> None:
        self.understood = False
        self.quiet = self.closed = False
        self.pauses = 0
        self.went_on: Callable[[], None] | None = None
        self._frames: list[Frame] = []
        self._reader = Sound(self._frames)
        self._change: asyncio.Future[None] | None = None

    def put(self, frame: Frame) -> None:
        """A frame more; beyond LONGEST it is not kept."""
        if len(self._frames) < LONGEST and not self.closed:
            self._frames.append(frame)
            wake(self._reader.waiting)

    def pause(self, *, on: bool) -> None:
        """The user has paused, or goes on."""
        if self.closed or on == self.quiet:
            return
        self.quiet = on
        self.pauses += 1
        went_on, self.went_on = self.went_on, None
        if went_on is not None:
            went_on()
        wake(self._change)

    def close(self) -> None:
        """The user has finished."""
        self.closed = True
        self._reader.close()
        wake(self._change)

    async def change(self) -> None:
        """Wait until they pause, go on, or have finished."""
        self._change = asyncio.get_running_loop().create_future()
        try:
            await self._change
        finally:
            self._change = None

    def frames(self) -> AsyncIterator[Frame]:
        """All frames from the first to the last, for one recogniser; the one before gets no more of them."""
        self._reader.close()
        reader = self._reader = Sound(self._frames)
        if self.closed:
            reader.close()
        return reader

    def sound(self) -> AsyncIterator[Frame]:
        """The frames so far, as if they were all."""
        return whole(self._frames)


class Sound:
    """Frames for one recogniser, from the first one on, while more are added to them.

    waiting: to be woken when there are more; None while it does not wait.
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        self._next = 0
        self._end: int | None = None
        self.waiting: asyncio.Future[None] | None = None

    def close(self) -> None:
        """Those that are there now are all."""
        if self._end is None:
            self._end = len(self._frames)
            wake(self.waiting)

    async def __anext__(self) -> Frame:
        frames, number = self._frames, self._next
        while number == (len(frames) if self._end is None else self._end):
            if self._end is not None:
                raise StopAsyncIteration
            self.waiting = asyncio.get_running_loop().create_future()
            try:
                await self.waiting
            finally:
                self.waiting = None
        self._next = number + 1
        return frames[number]

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self


def wake(waiting: asyncio.Future[None] | None) -> None:
    """Let whoever waits here, if anybody, look again."""
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def whole(frames: Iterable[Frame]) -> AsyncIterator[Frame]:
    """These frames, and no more, for one recogniser."""
    sound = Sound(tuple(frames))
    sound.close()
    return sound
