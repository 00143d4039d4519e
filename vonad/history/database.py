"""One SQLite connection on a thread of its own, which takes a whole unit of work in one hop."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Self, TypeVar

import aiosqlite

from vonad.clock import Clock
from vonad.history.faults import check_marks
from vonad.history.header import Header
from vonad.history.schema import VERSION, marks, migrate

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
"""What runs on the connection's thread. It begins and ends its own transaction."""

BUSY_S = 0.1
"""How long a locked file is waited for: the caller retries anyway, and everything queues behind it."""

CLOSE_S = 3.0
"""How long a connection may take to close; a disk that hangs must not hang the daemon."""

CHECKPOINT_PAGES = 2_000
"""The write-ahead log is folded into the database every 8 MB, some hundred turns: its fsyncs hardly count."""


class _Connection(sqlite3.Connection):
    """Does what was handed to it when told to commit.

    Each call through aiosqlite costs two changes of thread, and each of them waits for the GIL, which speech engines
    hold for up to 20 ms. A transaction of eight statements must not pay that eight times.
    """

    handed: SimpleQueue[Callable[[sqlite3.Connection], None]]

    def commit(self) -> None:
        self.handed.get_nowait()(self)

    def close(self) -> None:
        # An error here would keep aiosqlite's thread, and with it the process, alive for ever.
        with suppress(sqlite3.Error):
            super().close()


class Database:
    """An open connection. `run` one thing at a time from one task; `close` it, or the process never ends."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        handed: SimpleQueue[Callable[[sqlite3.Connection], None]],
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._handed = handed
        self._clock = clock

    @classmethod
    async def open(cls, connect: Callable[[], _Connection], clock: Clock) -> Self:
        """Raises what `connect` raises; it runs on the connection's thread."""
        handed: SimpleQueue[Callable[[sqlite3.Connection], None]] = SimpleQueue()

        failed: list[Exception] = []

        def connector() -> sqlite3.Connection:
            try:
                connection = connect()
            except Exception as error:
                # Raised here it would leave aiosqlite's thread behind, which then reports to a loop that is gone.
                failed.append(error)
                return sqlite3.connect(":memory:")
            connection.handed = handed
            return connection

        database = cls(await aiosqlite.Connection(connector, iter_chunk_size=64), handed, clock)
        if failed:
            await database.close()
            raise failed[0]
        return database

    async def run(self, work: Work[T]) -> T:
        """Do it on the connection's thread. When cancelled, what runs is interrupted and what waits is not begun."""
        results: list[T] = []
        abandoned = False

        def errand(connection: sqlite3.Connection) -> None:
            if not abandoned:
                results.append(work(connection))

        self._handed.put(errand)
        try:
            await self._connection.commit()
        except asyncio.CancelledError:
            abandoned = True
            with suppress(ValueError):  # it is closed already
                await self._connection.interrupt()
            raise
        return results[0]

    async def close(self) -> None:
        """Close, in bounded time: a thread stuck in a system call is left behind, and said."""
        stopped = self._connection.stop()
        if stopped is None:
            return
        try:
            async with self._clock.deadline(CLOSE_S):
                await stopped
        except TimeoutError:
            log.error("the history did not close within %g s: its disk hangs", CLOSE_S)  # noqa: TRY400


def for_writing(path: Path, header: Header) -> _Connection:
    """Make the file if there is none, readable by nobody else; check whose it is; bring its schema up to date.

    Raises store_error for a file that must not be touched, sqlite3.Error, OSError or Damaged for one that cannot be.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its companions (-wal, -shm, -journal) the mode of the database, so it has to be right from the start.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    header.check()
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, factory=_Connection)
    try:
        check_marks(path, *marks(connection))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        migrate(connection)
        # SQLite opens a file it cannot write without a word; this asks.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def for_reading(path: Path, header: Header | None) -> _Connection:
    """Open an existing file of this schema without changing it. Raises store_error, sqlite3.Error, OSError, Damaged.

    header: None: the writer has looked at it.
    """
    if header is not None:
        header.check()
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return _reading(uri, path)
    except sqlite3.OperationalError as error:
        # A log cannot be shared in a directory that may not be written. Without a log there is none to share.
        log_size = path.with_name(f"{path.name}-wal")
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or (log_size.exists() and log_size.stat().st_size):
            raise
        return _reading(f"{uri}&immutable=1", path)


def _reading(uri: str, path: Path) -> _Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, factory=_Connection)
    try:
        connection.row_factory = sqlite3.Row
        application, version = marks(connection)
        check_marks(path, application, version)
        if version < VERSION:
            raise sqlite3.DatabaseError(f"schema {version} is older than {VERSION}: start vonad once to bring it up")
    except BaseException:
        connection.close()
        raise
    return connection
