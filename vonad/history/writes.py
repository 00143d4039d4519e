"""What is written: each event of the house as statements, and how a group of them becomes one transaction."""

import asyncio
import json
import logging
import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vonad.history.faults import is_fault
from vonad.history.records import TurnRecord, WakeRecord

log = logging.getLogger(__name__)

Value = str | int | float | None
Statement = tuple[str, tuple[Value, ...]]

_REFUSED = (sqlite3.Error, ValueError, TypeError, OverflowError)
"""What a statement or its values raise."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(slots=True, eq=False)
class Write:
    """Statements that stand or fall together. It has happened when the last of them changed a row.

    durable: whether somebody waits for it to be on disk; the others ride along.
    done:    True once it is, False when it is not; it may be forgotten by whoever got it.
    """

    kind: str
    statements: Sequence[Statement]
    durable: bool
    done: asyncio.Future[bool]

    def settle(self, *, happened: bool) -> None:
        """Tell whoever waits; only the first verdict counts."""
        if not self.done.done():
            self.done.set_result(happened)


def commit(connection: sqlite3.Connection, writes: Sequence[Write]) -> list[bool]:
    """All of it in one transaction; which of them have happened.

    A write that is at fault itself is left out and the others are kept. Raises sqlite3.Error when the file is at fault:
    then nothing has happened.
    """
    # Without FULL the log is not synced; the next FULL commit syncs all of it.
    durable = any(write.durable for write in writes)
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    try:
        return _transaction(connection, writes)
    except _REFUSED as error:
        roll_back(connection)
        if is_fault(error):
            raise
    try:
        return _transaction(connection, writes, one_by_one=True)
    except sqlite3.Error:
        roll_back(connection)
        raise


def _transaction(connection: sqlite3.Connection, writes: Sequence[Write], *, one_by_one: bool = False) -> list[bool]:
    connection.execute("BEGIN IMMEDIATE")
    verdicts = [(_apply_alone if one_by_one else _apply)(connection, write) for write in writes]
    connection.execute("COMMIT")
    return verdicts


def _apply(connection: sqlite3.Connection, write: Write) -> bool:
    changed = 0
    for sql, values in write.statements:
        changed = connection.execute(sql, values).rowcount
    return changed > 0


def _apply_alone(connection: sqlite3.Connection, write: Write) -> bool:
    connection.execute("SAVEPOINT alone")
    happened = False
    try:
        happened = _apply(connection, write)
    except _REFUSED as error:
        if is_fault(error):
            raise
        log.warning("history: one row was left out, %s: %s: %s", write.kind, type(error).__name__, error)
        connection.execute("ROLLBACK TO alone")
    connection.execute("RELEASE alone")
    return happened


def roll_back(connection: sqlite3.Connection) -> None:
    """End the transaction, if there still is one."""
    # SQLite rolls back by itself on some errors.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


# The statements

_OPEN_SESSION = (
    "INSERT INTO sessions (session_id, conversation_id, satellite, backend, purpose, opened_at) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
# A turn that is told late does not bring back a session that is over: neither a closed one nor a deleted one.
_START_TURN = (
    "INSERT INTO turns (turn_id, session_id, conversation_id, satellite, number, source, transcript, started_at) "
    "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 "
    "WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE session_id = ?2 AND closed_at IS NOT NULL) "
    "AND NOT EXISTS (SELECT 1 FROM tombstones WHERE session_id = ?2)"
)
_SAID = "UPDATE turns SET transcript = ?, user_text = ? WHERE turn_id = ? AND outcome IS NULL"
_END_TURN = (
    "UPDATE turns SET ended_at = ?, outcome = ?, transcript = ?, user_text = ?, generated_text = ?, "
    "heard_text = ?, backend = ?, stages = ?, first_audio_ms = ?, endpoint = ?, usage = ?, degraded = ?, audio_gap = ? "
    "WHERE turn_id = ? AND outcome IS NULL"
)
_SUM_UP = (
    "UPDATE conversations SET summary = ?1, summed_up_to = (SELECT id FROM turns WHERE turn_id = ?2) "
    "WHERE conversation_id = ?3 AND EXISTS (SELECT 1 FROM turns WHERE turn_id = ?2)"
)


def session_opened(
    session_id: str, conversation_id: str, satellite: str | None, backend: str, purpose: str, *, at: int
) -> list[Statement]:
    """A session begins, in a conversation that may be older."""
    return [
        (
            "INSERT OR IGNORE INTO conversations (conversation_id, started_at) VALUES (?, ?)",
            clean(conversation_id, at),
        ),
        (
            _OPEN_SESSION,
            clean(session_id, conversation_id, satellite, backend, purpose, at),
        ),
    ]


def session_closed(session_id: str, reason: str, *, at: int) -> list[Statement]:
    """It is over, once."""
    return [
        (
            "UPDATE sessions SET closed_at = ?, reason = ? WHERE session_id = ? AND closed_at IS NULL",
            clean(at, reason, session_id),
        )
    ]


def summed_up(conversation_id: str, summary: str, *, up_to: str) -> list[Statement]:
    """What was said so far but for the last exchanges, in a few sentences. up_to: the turn it was made after."""
    return [
        (
            _SUM_UP,
            clean(summary, up_to, conversation_id),
        )
    ]


def turn_started(
    turn_id: str, of: tuple[str, str, str | None], *, number: int, source: str, transcript: str | None = None, at: int
) -> list[Statement]:
    """A turn begins. of: the session, the conversation and the satellite that it belongs to."""
    return [
        (
            _START_TURN,
            clean(turn_id, *of, number, source, transcript, at),
        )
    ]


def turn_said(turn_id: str, transcript: str | None, user_text: str | None) -> list[Statement]:
    """The words of a turn that is open."""
    return [(_SAID, clean(transcript, user_text, turn_id))]


def turn_ended(turn_id: str, record: TurnRecord, *, at: int) -> list[Statement]:
    """It is over, once."""
    return [
        (
            _END_TURN,
            clean(
                at,
                record.outcome,
                record.transcript,
                record.user_text,
                record.generated_text,
                record.heard_text,
                record.backend,
                _numbers(record.stages),
                record.first_audio_ms,
                record.endpoint,
                _numbers(record.usage) if record.usage is not None else None,
                int(record.degraded),
                int(record.audio_gap),
                turn_id,
            ),
        )
    ]


def wake(key: int, record: WakeRecord, *, at: int) -> list[Statement]:
    """A wake came. key: its own, so that writing it again after a fault does not double it."""
    return [
        (
            "INSERT INTO wakes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            clean(
                key,
                at,
                record.satellite,
                record.source,
                record.phrase,
                float(record.score) if record.score is not None else None,
                int(record.accepted),
                record.reason,
                record.detail,
            ),
        )
    ]


def clean(*values: Value) -> tuple[Value, ...]:
    """Values as SQLite can hold and JSON can show them: no lone surrogates, no NaN, no infinity."""
    return tuple(_clean(value) for value in values)


def _clean(value: Value) -> Value:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _numbers(values: Mapping[str, float]) -> str:
    return json.dumps({key: _clean(value) for key, value in values.items()})
