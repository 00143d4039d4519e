"""What can be asked of the history. Each function is one unit of work on a reading connection."""

import json
import re
import sqlite3
from datetime import datetime
from typing import Any

from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.history import audit
from vonad.history.exchanges import SummedUp, paired
from vonad.history.records import SessionRecord, TurnDetail, TurnView, WakeView, iso, moment
from vonad.history.writes import Value, clean

_VIEW = (
    "t.id, t.turn_id, t.session_id, t.satellite, t.started_at, t.transcript, t.generated_text, t.heard_text, t.outcome"
)
_DETAIL = (
    f"{_VIEW}, t.conversation_id, t.number, t.source, t.ended_at, t.user_text, t.backend, t.stages, t.first_audio_ms, "
    "t.endpoint, t.usage, t.degraded, t.audio_gap"
)
_SESSION = (
    "SELECT s.session_id, s.conversation_id, s.satellite, "
    "coalesce(f.to_backend, nullif(t.backend, ''), s.backend), s.opened_at, s.closed_at, s.reason, "
    "(SELECT max(number) FROM turns WHERE session_id = s.session_id), "
    "(SELECT sum(value) FROM turns, json_each(turns.usage) WHERE session_id = s.session_id), "
    "f.id IS NOT NULL OR t.degraded, coalesce(t.user_text, t.transcript, ''), coalesce(t.generated_text, '') "
    "FROM sessions s LEFT JOIN turns t ON t.id = (SELECT max(id) FROM turns WHERE session_id = s.session_id) "
    # A fallback that no turn has followed says more than the last turn.
    "LEFT JOIN audit f ON f.id = (SELECT max(id) FROM audit WHERE session_id = s.session_id "
    "AND kind = 'fallback' AND outcome = 'completed') AND f.started_at >= coalesce(t.ended_at, 0) "
)
LINES = 3
"""Turns that are looked at for one pair: some were never answered."""

_WORD = re.compile(r"[^\s\0\"]+")


NO_TURN = "nothing was said yet: there is no turn to explain"
"""To whoever asks for the last one."""


def history(
    connection: sqlite3.Connection,
    *,
    limit: int,
    search: str | None,
    satellite: str | None,
    before: datetime | None,
) -> list[TurnView]:
    """The latest turns that match, oldest first. search: every word must begin a word of the turn."""
    conditions: list[str] = []
    values: list[Value] = []
    table, order = "turns t", "t.started_at DESC, t.id DESC"
    if search is not None and search.strip():
        words = _WORD.findall(search)
        if not words:
            return []
        table, order = "turn_words JOIN turns t ON t.id = turn_words.rowid", "turn_words.rowid DESC"
        conditions.append("turn_words MATCH ?")
        values.append(" ".join(f'"{word}"*' for word in words))
    if satellite is not None:
        conditions.append("t.satellite = ?")
        values.append(satellite)
    if before is not None:
        conditions.append("t.started_at < ?")
        values.append(moment(before))
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    sql = f"SELECT {_VIEW} FROM {table} {where} ORDER BY {order} LIMIT ?"  # noqa: S608  (our own fragments)
    rows = connection.execute(sql, clean(*values, limit)).fetchall()
    skills = audit.skills(connection, [row["turn_id"] for row in rows])
    views = [TurnView(**_view(row), skills=skills.get(row["turn_id"], [])) for row in reversed(rows)]
    return sorted(views, key=lambda view: view.ts)


def turn(connection: sqlite3.Connection, turn_id: str) -> TurnDetail:
    """All of one turn; `last` is the latest. Raises not_found."""
    which = "t.id = (SELECT max(id) FROM turns)" if turn_id == "last" else "t.turn_id = ?"
    values = () if turn_id == "last" else clean(turn_id)
    row = connection.execute(f"SELECT {_DETAIL} FROM turns t WHERE {which}", values).fetchone()  # noqa: S608
    if row is None:
        none = f"there is no turn {turn_id!r:.100} in the history"
        raise VonadError("not_found", NO_TURN if turn_id == "last" else none, op="history.turn")
    return _detail(connection, row)


def page(connection: sqlite3.Connection, after: int, limit: int) -> tuple[int, list[TurnDetail]]:
    """The turns after a row, in the order they began; and the last row's number, the same when there are no more."""
    sql = f"SELECT {_DETAIL} FROM turns t WHERE t.id > ? ORDER BY t.id LIMIT ?"  # noqa: S608
    rows = connection.execute(sql, (after, limit)).fetchall()
    return (rows[-1]["id"] if rows else after), [_detail(connection, row) for row in rows]


def wakes(connection: sqlite3.Connection, limit: int) -> list[WakeView]:
    """The latest wakes, oldest first."""
    rows = connection.execute(
        "SELECT at, satellite, source, phrase, score, accepted, reason, detail FROM wakes "
        "ORDER BY at DESC, id DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return [
        WakeView(
            ts=iso(at),
            satellite=satellite,
            source=source,
            phrase=phrase,
            score=score,
            accepted=bool(accepted),
            reason=reason,
            detail=detail,
        )
        for at, satellite, source, phrase, score, accepted, reason, detail in reversed(rows)
    ]


def recent(connection: sqlite3.Connection, conversation_id: str, limit: int) -> list[Exchange]:
    """The latest exchanges of a conversation, oldest first, as they were heard; before them, the sum of those before.

    A reply stands right behind what it answers, however late it was written: they are one row.
    """
    rows = connection.execute(
        "SELECT id, coalesce(user_text, transcript, ''), coalesce(heard_text, '') FROM turns "
        "WHERE conversation_id = ? AND outcome IS NOT NULL "
        "AND (coalesce(user_text, transcript, '') <> '' OR coalesce(heard_text, '') <> '') "
        "ORDER BY started_at DESC, id DESC LIMIT ?",
        clean(conversation_id, limit * LINES),
    ).fetchall()
    summary: tuple[str, int] | None = connection.execute(
        "SELECT summary, summed_up_to FROM conversations WHERE conversation_id = ? AND summary IS NOT NULL",
        clean(conversation_id),
    ).fetchone()
    return paired(rows[::-1], limit, SummedUp(*summary) if summary is not None else None)


def session(connection: sqlite3.Connection, session_id: str) -> SessionRecord:
    """One that is over. Raises session_not_found."""
    row = connection.execute(
        f"{_SESSION} WHERE s.session_id = ? AND s.closed_at IS NOT NULL", clean(session_id)
    ).fetchone()
    if row is None:
        raise VonadError("session_not_found", f"there is no session {session_id!r:.100}", op="session")
    return _session(row)


def sessions(connection: sqlite3.Connection, but: list[str], limit: int, offset: int) -> list[SessionRecord]:
    """Those that are over, the latest first, without those named in `but`."""
    rows = connection.execute(
        f"{_SESSION} WHERE s.closed_at IS NOT NULL "  # noqa: S608  (our own fragment)
        "AND s.session_id NOT IN (SELECT value FROM json_each(?)) ORDER BY s.opened_at DESC LIMIT ? OFFSET ?",
        (json.dumps(but), limit, offset),
    ).fetchall()
    return [_session(row) for row in rows]


def conversation(connection: sqlite3.Connection, name: str) -> str:
    """The id of a conversation, by its own or that of a session in it. Raises session_not_found."""
    found = connection.execute(
        "SELECT conversation_id FROM sessions WHERE session_id = ?1 UNION ALL "
        "SELECT conversation_id FROM conversations WHERE conversation_id = ?1 LIMIT 1",
        clean(name),
    ).fetchone()
    if found is None:
        message = f"there is no session and no conversation {name!r:.100} to resume"
        raise VonadError("session_not_found", message, op="resume")
    return str(found[0])


def newest(connection: sqlite3.Connection) -> int | None:
    """The latest moment anything was recorded."""
    found = connection.execute(
        "SELECT max(at) FROM (SELECT max(started_at) AS at FROM turns UNION ALL SELECT max(at) FROM wakes "
        "UNION ALL SELECT max(opened_at) FROM sessions)"
    )
    at: int | None = found.fetchone()[0]
    return at


def anything_before(connection: sqlite3.Connection, limit: int) -> bool:
    """Whether anything is older than a moment."""
    found = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM turns WHERE started_at < :limit AND outcome IS NOT NULL) "
        "OR EXISTS (SELECT 1 FROM wakes WHERE at < :limit) "
        "OR EXISTS (SELECT 1 FROM sessions WHERE opened_at < :limit AND closed_at IS NOT NULL)",
        {"limit": limit},
    )
    return bool(found.fetchone()[0])


def _session(row: sqlite3.Row) -> SessionRecord:
    session_id, conversation_id, satellite, backend, opened_at, _, reason, turn, tokens, degraded, said, reply = row
    return SessionRecord(
        session_id=session_id,
        conversation_id=conversation_id,
        satellite=satellite,
        backend=backend or "",
        created=iso(opened_at),
        reason=reason or "",
        turn=turn or 0,
        tokens=round(tokens or 0),
        degraded=bool(degraded),
        last_transcript=said or "",
        last_reply=reply or "",
    )


def _view(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "turn_id": row["turn_id"],
        "session_id": row["session_id"],
        "satellite": row["satellite"],
        "ts": iso(row["started_at"]),
        "transcript": row["transcript"],
        "reply": row["generated_text"],
        "heard": row["heard_text"],
        "outcome": row["outcome"],
    }


def _detail(connection: sqlite3.Connection, row: sqlite3.Row) -> TurnDetail:
    turn_id = row["turn_id"]
    return TurnDetail(
        **_view(row),
        skills=audit.skills(connection, [turn_id]).get(turn_id, []),
        conversation_id=row["conversation_id"],
        number=row["number"],
        source=row["source"],
        ended=iso(row["ended_at"]) if row["ended_at"] is not None else None,
        user_text=row["user_text"],
        backend=row["backend"],
        stages=json.loads(row["stages"] or "{}"),
        first_audio_ms=row["first_audio_ms"],
        endpoint=row["endpoint"],
        usage=json.loads(row["usage"]) if row["usage"] is not None else None,
        degraded=bool(row["degraded"]),
        audio_gap=bool(row["audio_gap"]),
        attempts=audit.attempts(connection, turn_id),
        fallbacks=audit.fallbacks(connection, turn_id),
    )
