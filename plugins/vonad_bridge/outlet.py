"""The outlet: what waits for the session to take it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from vonad import Overheard, Reply

REPLIES = 512
"""Replies that wait: some seconds of sound; whoever makes them waits when they are not taken."""


class Outlet:
    """One reader iterates, for ever. Writers `put` and wait for room, or `push` what there must always be room for.

    What is `overheard` waits behind nothing: sound in front of it is taken no faster than it is played.
    """

    def __init__(self) -> None:
        self._replies: deque[Reply] = deque()
        self._overheard: Overheard | None = None
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Event | None = None

    async def put(self, reply: Reply) -> None:
        """Leave it, when there is room."""
        if self.full:
            await self.room()
        self.push(reply)

    @property
    def full(self) -> bool:
        """Whether there is no room."""
        return len(self._replies) >= REPLIES

    async def room(self) -> None:
        """Wait until fewer than REPLIES wait."""
        while self.full:
            if self._room is None:
                self._room = asyncio.Event()
            self._room.clear()
            await self._room.wait()

    def push(self, *replies: Reply) -> None:
        """Leave them now."""
        self._replies.extend(replies)
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    def overheard(self, words: Overheard) -> None:
        """Leave words so far, in place of those before."""
        self._overheard = words
        self.push()

    def drop(self, unwanted: Callable[[Reply], bool]) -> None:
        """Take back what nobody is to get any more."""
        if self._replies:
            self._replies = deque(reply for reply in self._replies if not unwanted(reply))
        if self._overheard is not None and unwanted(self._overheard):
            self._overheard = None
        if self._room is not None:
            self._room.set()

    def __aiter__(self) -> AsyncIterator[Reply]:
        return self

    async def __anext__(self) -> Reply:
        while True:
            overheard, self._overheard = self._overheard, None
            if overheard is not None:
                return overheard
            if self._replies:
                if self._room is not None:
                    self._room.set()
                return self._replies.popleft()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
