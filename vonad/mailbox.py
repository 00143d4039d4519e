"""A bounded queue with one reader that never blocks its writers: when full, the oldest goes, and is counted.

Where nothing may be lost, writers `deliver`: they wait for room.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT_FACTOR = 8
"""A mailbox holds at most this many times its limit of items that may not be dropped; then it is overrun and closes."""


class Mailbox(Generic[T]):
    """Writers `put` or `deliver`; one reader iterates until `close`. Use it at thread, process and socket edges.

    limit: how many items wait at most.
    keep:  items for which it is true are never dropped in favour of others; a reader that lets even those pile up
           to KEPT_FACTOR times the limit is dead, and its mailbox closes with `overrun` set.
    """

    def __init__(self, limit: int, *, keep: Callable[[T], bool] | None = None) -> None:
        self.limit = limit
        self.dropped = 0
        self.overrun = False
        self._keep = keep
        self._items: deque[T] = deque()
        self._closed = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Whether nothing more can be put; what waits can still be read."""
        return self._closed

    def put(self, item: T) -> bool:
        """Leave an item; false when the mailbox is closed. Makes room by dropping the oldest item that may go."""
        if self._closed:
            return False
        if len(self._items) >= self.limit:
            self._make_room(item)
        else:
            self._items.append(item)
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)
        return not self._closed

    async def deliver(self, item: T) -> bool:
        """Leave an item as soon as there is room, and nothing is dropped for it; false when the mailbox is closed."""
        while len(self._items) >= self.limit and not self._closed:
            if self._room is None:
                self._room = asyncio.Event()
            self._room.clear()
            await self._room.wait()
        return self.put(item)

    def close(self, error: Exception | None = None) -> None:
        """Nothing more comes: the reader ends, or raises the error, once it has read what waits. The first counts."""
        if not self._closed:
            self._closed, self._error = True, error
        self._wake()
        if self._room is not None:
            self._room.set()

    def clear(self) -> int:
        """Forget what waits, uncounted; how many items that was."""
        count = len(self._items)
        self._items.clear()
        if self._room is not None:
            self._room.set()
        return count

    async def __anext__(self) -> T:
        items = self._items
        while not items:
            if self._closed:
                raise self._error or StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._room is not None:
            self._room.set()
        return items.popleft()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    def get(self) -> Awaitable[T]:
        """The next item. Raises StopAsyncIteration when the mailbox is closed and empty."""
        return self.__anext__()

    def _make_room(self, item: T) -> None:
        keep = self._keep
        if keep is None:
            self._items.popleft()
            self._items.append(item)
            self.dropped += 1
            return
        for index, waiting in enumerate(self._items):
            if not keep(waiting):
                del self._items[index]
                self._items.append(item)
                self.dropped += 1
                return
        if not keep(item):
            self.dropped += 1
        elif len(self._items) >= self.limit * KEPT_FACTOR:
            self.overrun = True
            self.close()
        else:
            self._items.append(item)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
