"""The audit: every attempt to run a skill, with its one end, and every fallback, as they are written and read."""

import json
import sqlite3

from vonad.history.records import FallbackRecord, FallbackRun, SkillRun, iso
from vonad.history.writes import Statement, clean

_END_SKILL = (
    "UPDATE audit SET outcome = ?, duration_ms = ?, detail = ? "
    "WHERE id = (SELECT max(id) FROM audit WHERE call_id = ? AND outcome = 'started')"
)
# What is told late of a session that was deleted is not kept.
_FALLBACK = (
    "INSERT INTO audit (call_id, turn_id, name, risk, arguments, started_at, outcome, duration_ms, kind, session_id, "
    "from_backend, to_backend) SELECT ?1, ?2, ?3, '', '', ?4, ?5, ?6, 'fallback', ?7, ?8, ?9 "
    "WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE session_id = ?7)"
)


def skill_started(call_id: str, turn_id: str, name: str, risk: str, arguments: str, *, at: int) -> list[Statement]:
    """A skill is about to act."""
    return [
        (
            "INSERT INTO audit (call_id, turn_id, name, risk, arguments, started_at) VALUES (?, ?, ?, ?, ?, ?)",
            clean(call_id, turn_id, name, risk, arguments, at),
        )
    ]


def skill_ended(call_id: str, outcome: str, duration_ms: float, detail: str) -> list[Statement]:
    """Its one terminal state. call_id: the attempt's own, as it began with."""
    return [(_END_SKILL, clean(outcome, float(duration_ms), detail, call_id))]


def fallback(key: str, session_id: str, turn_id: str | None, record: FallbackRecord, *, at: int) -> list[Statement]:
    """A session has left its backend. key: its own, so that writing it again after a fault does not double it."""
    return [
        (
            _FALLBACK,
            clean(
                key,
                turn_id or "",
                record.reason,
                at,
                record.outcome,
                float(record.duration_ms),
                session_id,
                record.from_backend,
                record.to_backend,
            ),
        )
    ]


def attempts(connection: sqlite3.Connection, turn_id: str) -> list[SkillRun]:
    """The skills that a turn wanted, in order."""
    rows = connection.execute(
        "SELECT call_id, name, risk, arguments, started_at, outcome, duration_ms, detail FROM audit "
        "WHERE turn_id = ? AND kind = 'skill' ORDER BY id",
        (turn_id,),
    )
    return [
        SkillRun(
            call_id=call_id,
            name=name,
            risk=risk,
            arguments=arguments,
            ts=iso(started_at),
            outcome=outcome,
            duration_ms=duration_ms,
            detail=detail,
        )
        for call_id, name, risk, arguments, started_at, outcome, duration_ms, detail in rows
    ]


def fallbacks(connection: sqlite3.Connection, turn_id: str) -> list[FallbackRun]:
    """The backends that a turn was taken from, in order."""
    rows = connection.execute(
        "SELECT started_at, name, from_backend, to_backend, outcome, duration_ms FROM audit "
        "WHERE turn_id = ? AND kind = 'fallback' ORDER BY id",
        (turn_id,),
    )
    return [
        FallbackRun(
            ts=iso(started_at),
            reason=reason,
            from_backend=from_backend,
            to_backend=to_backend,
            outcome=outcome,
            duration_ms=duration_ms,
        )
        for started_at, reason, from_backend, to_backend, outcome, duration_ms in rows
    ]


def skills(connection: sqlite3.Connection, turn_ids: list[str]) -> dict[str, list[str]]:
    """The skills that ran in each turn, in order; what was refused did not run."""
    rows = connection.execute(
        "SELECT turn_id, name FROM audit WHERE kind = 'skill' AND outcome NOT IN ('rejected', 'asked') "
        "AND turn_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(turn_ids),),
    )
    found: dict[str, list[str]] = {}
    for turn_id, name in rows:
        names = found.setdefault(turn_id, [])
        if name not in names:
            names.append(name)
    return found
