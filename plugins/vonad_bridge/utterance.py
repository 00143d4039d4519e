"""The utterance: what the user says in one turn, kept so that it can be heard again, and where they paused in it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from vonad import Frame, Mailbox

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
        self._reader: Mailbox[Frame] | None = None
        self._change: asyncio.Future[None] | None = None

    def put(self, frame: Frame) -> None:
        """A frame more; beyond LONGEST it is not kept."""
        if self.closed or len(self._frames) >= LONGEST:
            return
        self._frames.append(frame)
        if self._reader is not None:
            self._reader.put(frame)

    def pause(self, *, on: bool) -> None:
        """The user has paused, or goes on."""
        if self.closed or on == self.quiet:
            return
        self.quiet = on
        self.pauses += 1
        went_on, self.went_on = self.went_on, None
        if went_on is not None:
            went_on()
        self._tell()

    def close(self) -> None:
        """The user has finished."""
        self.closed = True
        if self._reader is not None:
            self._reader.close()
        self._tell()

    async def change(self) -> None:
        """Wait until they pause, go on, or have finished."""
        self._change = asyncio.get_running_loop().create_future()
        try:
            await self._change
        finally:
            self._change = None

    def frames(self) -> AsyncIterator[Frame]:
        """All frames from the first to the last, for one recogniser; the one before gets no more of them."""
        reader = self._reader = _filled(self._frames)
        if self.closed:
            reader.close()
        return reader

    def sound(self) -> AsyncIterator[Frame]:
        """The frames so far, as if they were all."""
        return whole(self._frames)

    def _tell(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)


def whole(sound: Iterable[Frame]) -> AsyncIterator[Frame]:
    """These frames, and no more, for one recogniser."""
    reader = _filled(sound)
    reader.close()
    return reader


def _filled(sound: Iterable[Frame]) -> Mailbox[Frame]:
    reader: Mailbox[Frame] = Mailbox(LONGEST)
    for frame in sound:
        reader.put(frame)
    return reader
