"""Reading, on a connection of its own: a slow query holds up no write, and a cancelled one does not block the next."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.history.database import Database, Work, for_reading
from vonad.history.faults import sentence
from vonad.history.header import Header

T = TypeVar("T")


class Reader:
    """One read at a time. It has nothing to read until it is told what to `follow`.

    header: of a file that nobody else has looked at.
    """

    def __init__(self, path: Path, clock: Clock, *, header: Header | None = None) -> None:
        self._path = path
        self._header = header
        self._clock = clock
        self._database: Database | None = None
        self._one = asyncio.Lock()

    async def follow(self) -> None:
        """Open the file as it is now, in place of what was open. Raises what for_reading raises."""
        current = await Database.open(partial(for_reading, self._path, self._header), self._clock)
        former, self._database = self._database, current
        if former is not None:
            await former.close()

    async def read(self, work: Work[T]) -> T:
        """Raises store_error."""
        async with self._one:
            if self._database is None:
                raise VonadError("store_error", f"{self._path} is not open", op="history.read", retryable=True)
            try:
                return await self._database.run(work)
            except sqlite3.Error as error:
                raise VonadError("store_error", sentence(error, self._path), op="history.read") from error

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """No read runs inside: the write-ahead log can be emptied."""
        async with self._one:
            yield

    async def close(self) -> None:
        """Read no more."""
        database, self._database = self._database, None
        if database is not None:
            await database.close()
