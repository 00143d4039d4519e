"""The Journal: what happened in the house, written by those who did it, read by those who ask."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TypeVar

from vonad.clock import Clock
from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.history import audit, queries, store, writes
from vonad.history.database import Work
from vonad.history.deletion import Deletion, Which
from vonad.history.file import File
from vonad.history.reader import Reader
from vonad.history.records import (
    FallbackRecord,
    SessionRecord,
    TurnDetail,
    TurnRecord,
    TurnView,
    UnknownAction,
    WakeRecord,
    WakeView,
    moment,
)
from vonad.history.writer import Writer

T = TypeVar("T")

MOST = 100_000
"""Rows that one reading returns at most."""

PAGE = 200
"""Turns read in one go by an export, between other readings."""


class Journal:
    """What sessions write to and faces read from.

    Writing never blocks and never raises: each verb returns a future that becomes True once the row is on disk, False
    when it is not (it may still be written later; it was never promised). Reading raises persistence_disabled when
    history is switched off, store_error when the file cannot be read.
    """

    def __init__(
        self,
        clock: Clock,
        group: asyncio.TaskGroup,
        *,
        file: File | None = None,
        writer: Writer | None = None,
        reader: Reader | None = None,
    ) -> None:
        self._clock = clock
        self._group = group
        self._file = file
        self._writer = writer
        self._reader = reader
        self._last_wake = 0

    # How it is

    @property
    def enabled(self) -> bool:
        """Whether anything is to be kept at all."""
        return self._writer is not None

    @property
    def healthy(self) -> bool:
        """Whether what is written is kept."""
        return self._file is None or self._file.healthy

    @property
    def detail(self) -> str:
        """What is wrong and the remedy, or what happened to a damaged file; else empty."""
        return self._file.detail if self._file is not None else ""

    @property
    def on_health(self) -> Callable[[bool, str], None] | None:
        """Told (healthy, detail) at each change; and when it is set, if there already is something to tell."""
        return self._file.on_health if self._file is not None else None

    @on_health.setter
    def on_health(self, tell: Callable[[bool, str], None] | None) -> None:
        if self._file is None:
            return
        self._file.on_health = tell
        if tell is not None and self.detail:
            tell(self.healthy, self.detail)

    @property
    def recovered(self) -> tuple[UnknownAction, ...]:
        """Skills that had begun when vonad crashed: nobody knows whether they acted."""
        return self._file.recovered if self._file is not None else ()

    @property
    def dropped(self) -> int:
        """Rows given up for want of room."""
        return self._writer.dropped if self._writer is not None else 0

    # Writing

    def session_opened(
        self, session_id: str, conversation_id: str, satellite: str | None, backend: str, purpose: str
    ) -> asyncio.Future[bool]:
        """A session begins."""
        rows = writes.session_opened(session_id, conversation_id, satellite, backend, purpose, at=self._now())
        return self._write("session", rows, durable=False)

    def session_closed(self, session_id: str, reason: str) -> asyncio.Future[bool]:
        """It is over."""
        return self._write("session", writes.session_closed(session_id, reason, at=self._now()), durable=False)

    def turn_started(
        self,
        turn_id: str,
        *,
        session_id: str,
        conversation_id: str,
        satellite: str | None,
        number: int,
        source: str,
        transcript: str | None = None,
    ) -> asyncio.Future[bool]:
        """A turn begins: from now on a crash leaves it behind as interrupted, with the words that are known already."""
        of = (session_id, conversation_id, satellite)
        rows = writes.turn_started(turn_id, of, number=number, source=source, transcript=transcript, at=self._now())
        return self._write("turn", rows, durable=True)

    def turn_said(self, turn_id: str, transcript: str | None, user_text: str | None) -> asyncio.Future[bool]:
        """What the user said, before anything is done for it: a crash does not take it along."""
        return self._write("turn", writes.turn_said(turn_id, transcript, user_text), durable=False)

    def turn_ended(self, turn_id: str, record: TurnRecord) -> asyncio.Future[bool]:
        """It is over."""
        return self._write("turn", writes.turn_ended(turn_id, record, at=self._now()), durable=True)

    def summed_up(self, conversation_id: str, summary: str, *, up_to: str) -> asyncio.Future[bool]:
        """What was said so far but for the last exchanges, in a few sentences. up_to: the turn it was made after."""
        return self._write("summary", writes.summed_up(conversation_id, summary, up_to=up_to), durable=False)

    def wake(self, record: WakeRecord) -> asyncio.Future[bool]:
        """A wake came, and was accepted or refused."""
        now = self._now()
        self._last_wake = max(self._last_wake + 1, now * 1000)
        return self._write("wake", writes.wake(self._last_wake, record, at=now), durable=False)

    def skill_started(
        self, call_id: str, turn_id: str, name: str, risk: str, arguments_summary: str
    ) -> asyncio.Future[bool]:
        """A skill is about to act; one that changes anything must wait for True."""
        rows = audit.skill_started(call_id, turn_id, name, risk, arguments_summary, at=self._now())
        return self._write("audit", rows, durable=risk != "read")

    def skill_ended(self, call_id: str, outcome: str, duration_ms: float, detail: str) -> asyncio.Future[bool]:
        """What came of it: done, failed, timeout, rejected, asked (it waits for the user's yes) or cancelled."""
        return self._write("audit", audit.skill_ended(call_id, outcome, duration_ms, detail), durable=False)

    def fallback(self, key: str, session_id: str, turn_id: str | None, record: FallbackRecord) -> asyncio.Future[bool]:
        """A session has left its backend, for another or for none. key: another for each."""
        rows = audit.fallback(key, session_id, turn_id, record, at=self._now() - round(record.duration_ms))
        return self._write("audit", rows, durable=False)

    # Reading

    async def history(
        self,
        limit: int = 20,
        search: str | None = None,
        satellite: str | None = None,
        before: datetime | None = None,
    ) -> list[TurnView]:
        """The latest turns that match, oldest first. search: every word must begin a word that was said."""
        work = partial(queries.history, limit=_within(limit), search=search, satellite=satellite, before=before)
        return await self._read(work)

    async def turn(self, turn_id: str) -> TurnDetail:
        """All of one turn; `last` is the latest. Raises not_found."""
        return await self._read(partial(queries.turn, turn_id=turn_id))

    async def wakes(self, limit: int = 50) -> list[WakeView]:
        """The latest wakes, oldest first."""
        return await self._read(partial(queries.wakes, limit=_within(limit)))

    async def recent(self, conversation_id: str, limit: int = 20) -> list[Exchange]:
        """The latest pairs of question and answer of a conversation, oldest first, as `exchanges.paired` says."""
        return await self._read(partial(queries.recent, conversation_id=conversation_id, limit=_within(limit)))

    async def session(self, session_id: str) -> SessionRecord:
        """A session that is over. Raises session_not_found."""
        return await self._read(partial(queries.session, session_id=session_id))

    async def sessions(self, *, but: list[str], limit: int, offset: int = 0) -> list[SessionRecord]:
        """Sessions that are over, the latest first, without those named in `but`."""
        return await self._read(partial(queries.sessions, but=but, limit=_within(limit), offset=max(0, offset)))

    async def conversation(self, name: str) -> str:
        """The id of a conversation, by its own or that of a session in it. Raises session_not_found."""
        return await self._read(partial(queries.conversation, name=name))

    async def export(self) -> AsyncIterator[dict[str, object]]:
        """Every turn with all that is known of it, in the order they began."""
        after = 0
        while True:
            after, details = await self._read(partial(queries.page, after=after, limit=PAGE))
            for detail in details:
                yield asdict(detail)
            if not details:
                return

    # Deleting

    async def delete(
        self,
        *,
        last: bool = False,
        everything: bool = False,
        before: datetime | None = None,
        satellite: str | None = None,
    ) -> int:
        """Really delete turns and what belongs to them; how many turns that were.

        before and satellite narrow each other; last is the latest ended turn. Goes on when the caller is cancelled.
        Raises malformed when nothing was said to be deleted, store_error when it could not be.
        """
        if not (last or everything or before is not None or satellite is not None):
            raise VonadError("malformed", "say what to delete: last, everything, before or satellite", op="history")
        writer, reader = self._open_for_writing()
        which = Which(last=last, before=moment(before) if before is not None else None, satellite=satellite)
        return await Deletion(writer, reader).asked_for(which, self._group)

    # The parts' own values

    async def get(self, namespace: str, key: str) -> str | None:
        """A value, or None."""
        return await self._read(partial(store.get, namespace=namespace, key=key))

    async def set(self, namespace: str, key: str, value: str | None) -> None:
        """Keep a value for good: it is on disk on return. None forgets it."""
        writer, _ = self._open_for_writing()
        await writer.do(partial(store.put, namespace=namespace, key=key, value=value))

    def _now(self) -> int:
        return moment(self._clock.now())

    def _write(self, kind: str, rows: Sequence[writes.Statement], *, durable: bool) -> asyncio.Future[bool]:
        if self._writer is not None:
            return self._writer.write(kind, rows, durable=durable)
        nowhere: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        nowhere.set_result(False)
        return nowhere

    async def _read(self, work: Work[T]) -> T:
        if self._reader is None:
            raise _disabled()
        if self._writer is not None:
            await self._writer.settled()
        return await self._reader.read(work)

    def _open_for_writing(self) -> tuple[Writer, Reader]:
        if self._reader is None:
            raise _disabled()
        if self._writer is None:
            raise VonadError("invalid_state", "the history is open for reading only", op="history")
        return self._writer, self._reader


def _within(limit: int) -> int:
    return max(0, min(limit, MOST))


def _disabled() -> VonadError:
    return VonadError(
        "persistence_disabled", "history is switched off: set enabled = true under [history]", op="history"
    )
