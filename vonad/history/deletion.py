"""Really deleting: the rows, their words in the full-text index, and what SQLite leaves behind of both."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from vonad.errors import VonadError
from vonad.history.reader import Reader
from vonad.history.writer import Writer
from vonad.history.writes import Value, clean, roll_back

log = logging.getLogger(__name__)

BATCH = 200
"""Turns deleted in one transaction: some 20 ms, in which a turn that ends has to wait."""

MERGE_PAGES = 500
"""Pages of the full-text index rewritten in one transaction, for the same reason."""

VACUUM_UNASKED = 64 << 20
"""Bytes up to which retention rewrites the file, too: it takes half a second."""

QUIET_S = 2.0
"""How long other programs that read may keep the log from being emptied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The turns to delete: all that meet every condition that is set.

    last: of those, only the latest that has ended; ended: no open ones.
    """

    last: bool = False
    ended: bool = False
    before: int | None = None
    satellite: str | None = None

    def where(self, *, time: str) -> tuple[str, tuple[Value, ...]]:
        """The condition in SQL, for a table whose rows are of the moment in column `time`."""
        conditions = ["1"]
        values: list[Value] = []
        if self.before is not None:
            conditions.append(f"{time} < ?")
            values.append(self.before)
        if self.satellite is not None:
            conditions.append("satellite = ?")
            values.append(self.satellite)
        return " AND ".join(conditions), clean(*values)


class Deletion:
    """Deletes in small pieces between the other writes, then removes the traces."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def asked_for(self, which: Which, group: asyncio.TaskGroup) -> int:
        """Delete what a person wants gone, also when whoever asked goes meanwhile: in a task. Raises store_error."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        group.create_task(self._answer(which, answer), name="history deletion")
        return await answer

    async def _answer(self, which: Which, answer: asyncio.Future[int]) -> None:
        try:
            count = await self.run(which, asked=True)
        except VonadError as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(count)

    async def run(self, which: Which, *, asked: bool) -> int:
        """Delete; how many turns that were. asked: a person did, and wants no trace left. Raises store_error."""
        deleted = 0
        if which.last:
            deleted = await self._writer.do(partial(_delete_last, which=which))
        else:
            while batch := await self._writer.do(partial(_delete_turns, which=which)):
                deleted += batch
            deleted_alone = await self._writer.do(partial(_delete_rest, which=which))
            if not asked and not deleted + deleted_alone:
                return 0
        try:
            await self._remove_traces(asked=asked)
        except VonadError as error:
            raise VonadError(
                "store_error",
                f"{deleted} turns are deleted, but traces of their words may remain in the file: {error.message}; "
                "delete again once that is mended",
                op="history.delete",
                retryable=True,
            ) from error
        return deleted

    async def _remove_traces(self, *, asked: bool) -> None:
        # The full-text index only notes that a row is gone; its words go when their segments are merged.
        done = await self._writer.do(partial(_merge, pages=-MERGE_PAGES))
        while not done:
            done = await self._writer.do(partial(_merge, pages=MERGE_PAGES))
        # secure_delete misses copies that pages keep of rows which moved to a neighbour (measured: 1 in 3 000).
        await self._writer.do(partial(_rewrite, limit=None if asked else VACUUM_UNASKED))
        async with self._reader.quiet():
            await self._writer.do(_empty_log)


def _delete_last(connection: sqlite3.Connection, which: Which) -> int:
    where, values = which.where(time="started_at")
    sql = f"DELETE FROM turns WHERE id = (SELECT max(id) FROM turns WHERE outcome IS NOT NULL AND {where})"  # noqa: S608
    return _in_transaction(connection, lambda: connection.execute(sql, values).rowcount)


def _delete_turns(connection: sqlite3.Connection, which: Which) -> int:
    where, values = which.where(time="started_at")
    ended = " AND outcome IS NOT NULL" if which.ended else ""
    sql = f"DELETE FROM turns WHERE id IN (SELECT id FROM turns WHERE {where}{ended} LIMIT {BATCH})"  # noqa: S608
    return _in_transaction(connection, lambda: connection.execute(sql, values).rowcount)


def _delete_rest(connection: sqlite3.Connection, which: Which) -> int:
    """What belongs to no turn: wakes, sessions in which nothing was said, attempts of turns that were never kept."""

    def delete() -> int:
        where, values = which.where(time="at")
        count = connection.execute(f"DELETE FROM wakes WHERE {where}", values).rowcount  # noqa: S608
        where, values = which.where(time="opened_at")
        empty = "closed_at IS NOT NULL AND session_id NOT IN (SELECT session_id FROM turns)"
        count += connection.execute(f"DELETE FROM sessions WHERE {where} AND {empty}", values).rowcount  # noqa: S608
        if which.satellite is None:
            where, values = which.where(time="started_at")
            orphan = "turn_id NOT IN (SELECT turn_id FROM turns)"
            count += connection.execute(f"DELETE FROM audit WHERE {where} AND {orphan}", values).rowcount  # noqa: S608
        return count

    return _in_transaction(connection, delete)


def _in_transaction(connection: sqlite3.Connection, work: Callable[[], int]) -> int:
    # Emptying the log at the end syncs it all.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        count = work()
        connection.execute("COMMIT")
    except sqlite3.Error:
        roll_back(connection)
        raise
    return count


def _merge(connection: sqlite3.Connection, pages: int) -> bool:
    """Merge a piece of the index; whether it was the last. A negative number begins, SQLite's documentation says."""
    connection.execute("PRAGMA synchronous = NORMAL")
    before = connection.total_changes
    connection.execute("INSERT INTO turn_words (turn_words, rank) VALUES ('merge', ?)", (pages,))
    return pages > 0 and connection.total_changes - before < 2


def _rewrite(connection: sqlite3.Connection, limit: int | None) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    if limit is None or pages * size <= limit:
        connection.execute("VACUUM")


def _empty_log(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    (usual,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {round(QUIET_S * 1000)}")
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {usual}")
    if busy:
        raise sqlite3.OperationalError("another program is reading it: end that program")
