"""The database file as the writer has it: opened when needed, opened anew after a fault, set aside when damaged."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.history.database import Database, Work, for_writing
from vonad.history.faults import Damaged, is_damage, is_locked_or_full, sentence
from vonad.history.header import Header
from vonad.history.reader import Reader
from vonad.history.records import UnknownAction, moment
from vonad.history.recovery import recover

log = logging.getLogger(__name__)

T = TypeVar("T")


class File:
    """Knows whether the file is well.

    owner:     whether this process is the daemon: then what a crash left open is closed at the first opening.
    healthy:   whether the last thing done with it worked.
    detail:    what is wrong and the remedy, or what happened to a damaged file; else empty.
    on_health: told each change.
    recovered: skills that had begun when vonad crashed.
    """

    def __init__(self, path: Path, header: Header, reader: Reader, *, clock: Clock, owner: bool) -> None:
        self.path = path
        self.healthy = True
        self.detail = ""
        self.on_health: Callable[[bool, str], None] | None = None
        self.recovered: tuple[UnknownAction, ...] = ()
        self._reader = reader
        self._header = header
        self._clock = clock
        self._recover = owner
        self._database: Database | None = None

    async def run(self, work: Work[T]) -> T:
        """Do it on the writing connection. Raises store_error, retryable unless the file must not be touched."""
        try:
            return await self._try(work, last=False)
        except Damaged:
            # It was set aside: the same again, on a new file.
            return await self._try(work, last=True)

    async def close(self) -> None:
        """Let go of the file, in bounded time."""
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    async def _try(self, work: Work[T], *, last: bool) -> T:
        try:
            database = self._database or await self._open()
            result = await database.run(work)
        except VonadError as error:
            self._say(error.message, healthy=False)
            raise
        except (sqlite3.Error, OSError, Damaged) as error:
            if not is_locked_or_full(error):
                await self.close()
            detail = sentence(error, self.path)
            if is_damage(error) and not last and self._set_aside(detail):
                raise Damaged from error
            self._say(detail, healthy=False)
            raise VonadError("store_error", detail, op="history", retryable=True) from error
        if not self.healthy:
            self._say("", healthy=True)
        return result

    async def _open(self) -> Database:
        database = await Database.open(partial(for_writing, self.path, self._header), self._clock)
        try:
            if self._recover:
                self.recovered = await database.run(partial(recover, at=moment(self._clock.now())))
                self._recover = False
            await self._reader.follow()
        except BaseException:
            await database.close()
            raise
        self._database = database
        return database

    def _set_aside(self, detail: str) -> bool:
        """Give the damaged file another name: it is never deleted."""
        stamp = self._clock.now().strftime("%Y%m%dT%H%M%SZ")
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        number = 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}-{number}")
        try:
            # Its log goes with it: what can be saved is in both.
            for suffix in ("-wal", "-shm", ""):
                companion = self.path.with_name(self.path.name + suffix)
                if companion.exists():
                    companion.rename(aside.with_name(aside.name + suffix))
        except OSError as error:
            self._say(f"{detail}; it cannot be set aside: {sentence(error, self.path)}", healthy=False)
            return False
        log.error("history: %s; it was set aside as %s and a new one begun", detail, aside)
        self._say(f"{detail}; it was set aside as {aside} and a new one begun", healthy=True)
        return True

    def _say(self, detail: str, *, healthy: bool) -> None:
        changed = healthy != self.healthy or (healthy and detail)
        self.healthy, self.detail = healthy, detail
        if not changed:
            return
        if not healthy:
            log.warning("history: nothing is kept: %s", detail)
        elif not detail:
            log.info("history: %s is written again", self.path)
        if self.on_health is not None:
            # Not from here: what it raises is no matter of the writer.
            asyncio.get_running_loop().call_soon(self.on_health, healthy, detail)
