"""Opening the history: one scope that owns the writer, the reader, retention, and the end of all of them."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.history.deletion import Deletion
from vonad.history.faults import Damaged, sentence
from vonad.history.file import File
from vonad.history.header import Header
from vonad.history.journal import Journal
from vonad.history.reader import Reader
from vonad.history.retention import Retention
from vonad.history.writer import Writer

log = logging.getLogger(__name__)

CLOSE_S = 3.0
"""How long what waits may take to be written at the end: the daemon has a deadline of its own."""


@asynccontextmanager
async def open_journal(
    path: Path | None,
    *,
    clock: Clock,
    retention_days: int = 0,
    owner: bool = True,
    read_only: bool = False,
) -> AsyncIterator[Journal]:
    """The history in a file; made if there is none.

    path:           None: history is switched off.
    retention_days: how long turns are kept; 0: for ever.
    owner:          false for a visitor (the command line while no daemon runs), who leaves what a crash left open and
                    what is too old to the daemon.
    read_only:      change nothing, make nothing.

    Raises store_error for a file that must not be touched: another program's, or a newer vonad's; with read_only also
    for one that cannot be read, and not_found for one that is not there. Whatever else is wrong with the file makes
    the journal unhealthy until it is mended.
    """
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        if path is None:
            opened = _switched_off(clock, group)
        elif read_only:
            opened = _for_reading(path, clock, group)
        else:
            opened = _for_writing(path, clock, group, retention_days=retention_days, owner=owner)
        try:
            async with opened as journal:
                yield journal
        except BaseException as error:
            failure = error
    if failure is not None:
        raise failure


@asynccontextmanager
async def _switched_off(clock: Clock, group: asyncio.TaskGroup) -> AsyncIterator[Journal]:
    yield Journal(clock, group)


@asynccontextmanager
async def _for_reading(path: Path, clock: Clock, group: asyncio.TaskGroup) -> AsyncIterator[Journal]:
    with closing(Header(path)) as header:
        reader = Reader(path, clock, header=header)
        try:
            await reader.follow()
        except FileNotFoundError:
            raise VonadError("not_found", f"there is no history at {path} yet", op="history.open") from None
        except (sqlite3.Error, OSError, Damaged) as error:
            raise VonadError("store_error", sentence(error, path), op="history.open") from error
        try:
            yield Journal(clock, group, reader=reader)
        finally:
            await reader.close()


@asynccontextmanager
async def _for_writing(
    path: Path, clock: Clock, group: asyncio.TaskGroup, *, retention_days: int, owner: bool
) -> AsyncIterator[Journal]:
    header = Header(path)
    reader = Reader(path, clock)
    file = File(path, header, reader, clock=clock, owner=owner)
    writer = Writer(file, clock=clock)
    writing = group.create_task(writer.run(), name="history writer")
    retaining: list[asyncio.Task[None]] = []
    try:
        await _open_first(writer)
        if owner and retention_days:
            retention = Retention(retention_days, Deletion(writer, reader), reader, clock)
            retaining.append(group.create_task(retention.run(), name="history retention"))
        yield Journal(clock, group, file=file, writer=writer, reader=reader)
    finally:
        for task in retaining:
            task.cancel()
        writer.finish()
        try:
            async with clock.deadline(CLOSE_S):
                await asyncio.shield(writing)
        except TimeoutError:
            log.error("history: what waited was not written within %g s: the disk hangs", CLOSE_S)  # noqa: TRY400
        finally:
            writing.cancel()
            # The last to close folds the log into the database, which the reader cannot.
            try:
                await reader.close()
            finally:
                await file.close()
                header.close()


async def _open_first(writer: Writer) -> None:
    try:
        await writer.do(lambda _: None)
    except VonadError as error:
        if not error.retryable:
            raise
