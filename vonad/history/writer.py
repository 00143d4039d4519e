"""The one task that writes: everything waiting becomes one transaction; a sick file costs rows, never the house."""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from vonad.clock import Clock, Timer
from vonad.errors import VonadError
from vonad.history.database import Work
from vonad.history.file import File
from vonad.history.writes import Statement, Write, commit

log = logging.getLogger(__name__)

T = TypeVar("T")

LINGER_S = 5.0
"""How long a write that nobody waits for may wait for company; also how often a sick file is tried unasked."""

LIMIT = 4_000
"""Writes that wait at most: days of a house whose disk is full, some megabytes. Then the oldest go, counted."""

FLOOD = 500
"""Wakes that wait at most: a flood of refused ones must neither push turns out nor fill the disk (100 rows/s)."""


class Job:
    """Work that is no row of history, and that somebody waits for."""

    def __init__(self, work: Work[None], done: asyncio.Future[None]) -> None:
        self.work = work
        self.done = done

    def settle(self, error: VonadError | None) -> None:
        """Tell whoever waits, if anybody still does."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Writer:
    """Owns the queue. What could not be written stays in it, told as not written, and is tried again with the next.

    dropped: how many writes were given up for want of room.
    """

    def __init__(self, file: File, *, clock: Clock) -> None:
        self.dropped = 0
        self._file = file
        self._clock = clock
        self._waiting: deque[Write | Job] = deque()
        self._wakes = 0
        self._busy = False
        self._due = asyncio.Event()
        self._timer: Timer | None = None
        self._finishing = False

    def write(self, kind: str, statements: Sequence[Statement], *, durable: bool) -> asyncio.Future[bool]:
        """Have it written; resolves to whether it is on disk. Never blocks, never raises."""
        write = Write(kind, statements, durable, asyncio.get_running_loop().create_future())
        if self._finishing or (kind == "wake" and self._wakes >= FLOOD):
            self.dropped += 1
            write.settle(happened=False)
            return write.done
        self._wakes += kind == "wake"
        self._append(write)
        if durable:
            self._due.set()
        else:
            self._arm()
        return write.done

    async def do(self, work: Work[T]) -> T:
        """Do something after all that was written before; once begun it is not cancelled. Raises store_error."""
        results: list[T] = []
        job = Job(lambda connection: results.append(work(connection)), asyncio.get_running_loop().create_future())
        if self._finishing:
            job.settle(VonadError("store_error", "the history is closed", op="history"))
        else:
            self._append(job)
            self._due.set()
        await job.done
        return results[0]

    async def settled(self) -> None:
        """Wait until what was written before has been tried, so that it can be read."""
        if (self._waiting or self._busy) and self._file.healthy:
            try:
                await self.do(_nothing)
            except VonadError:
                return  # what can be read is read

    def finish(self) -> None:
        """Take nothing more; `run` ends when what waits has been tried."""
        self._finishing = True
        self._due.set()

    async def run(self) -> None:
        """The writer's task."""
        try:
            while not self._finishing:
                await self._due.wait()
                self._due.clear()
                self._disarm()
                if self._waiting:
                    await self._drain()
                elif not self._file.healthy and not self._finishing:
                    await self._probe()
                if not self._file.healthy:
                    self._arm()
            if self._waiting:
                await self._drain()
        finally:
            self._finishing = True
            self._disarm()
            lost = sum(isinstance(item, Write) for item in self._waiting)
            if lost:
                log.error("history: %d rows could not be written: %s", lost, self._file.detail)
            self._refuse(VonadError("store_error", "the history is closed", op="history"))

    async def _drain(self) -> None:
        self._busy = True
        try:
            while self._waiting:
                group = self._next_group()
                try:
                    await self._put(group)
                except BaseException:
                    self._waiting.extendleft(reversed(group))
                    raise
        except VonadError as error:
            self._refuse(error)
        finally:
            self._busy = False

    async def _probe(self) -> None:
        try:
            await self._file.run(_lock)
        except VonadError:
            return  # the file has told what is wrong

    def _next_group(self) -> list[Write] | list[Job]:
        head = self._waiting.popleft()
        if isinstance(head, Job):
            return [head]
        group = [head]
        while self._waiting and isinstance(write := self._waiting[0], Write):
            group.append(write)
            self._waiting.popleft()
        self._wakes = 0
        return group

    async def _put(self, group: list[Write] | list[Job]) -> None:
        first = group[0]
        if isinstance(first, Job):
            if not first.done.done():
                await self._file.run(first.work)
                first.settle(None)
            return
        writes = [write for write in group if isinstance(write, Write)]
        verdicts = await self._file.run(partial(commit, writes=writes))
        for write, verdict in zip(writes, verdicts, strict=True):
            write.settle(happened=verdict)

    def _refuse(self, error: VonadError) -> None:
        """Tell everybody; writes stay for the next attempt, as many as there is room for."""
        left: deque[Write | Job] = deque()
        for item in self._waiting:
            if isinstance(item, Job):
                item.settle(error)
            else:
                item.settle(happened=False)
                left.append(item)
        while len(left) > LIMIT:
            left.popleft()
            self.dropped += 1
        self._waiting = left
        self._wakes = sum(isinstance(item, Write) and item.kind == "wake" for item in left)

    def _append(self, item: Write | Job) -> None:
        if len(self._waiting) >= LIMIT:
            oldest = self._waiting.popleft()
            self.dropped += 1
            if isinstance(oldest, Job):
                oldest.settle(VonadError("overload", "the history has too much to write", op="history"))
            else:
                oldest.settle(happened=False)
        self._waiting.append(item)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(LINGER_S, self._due.set)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nothing(_: sqlite3.Connection) -> None:
    """Only to have waited."""


def _lock(connection: sqlite3.Connection) -> None:
    """Whether it could be written."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
