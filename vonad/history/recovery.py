"""After a crash: what it left open is closed, never run again."""

import logging
import sqlite3

from vonad.history.records import UnknownAction, iso

log = logging.getLogger(__name__)


def recover(connection: sqlite3.Connection, at: int) -> tuple[UnknownAction, ...]:
    """Close sessions as `crash` and turns as `interrupted`; the skills that had begun become `unknown` and are told."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # The plus keeps SQLite to the index of open attempts: there may be a million others.
        begun = connection.execute(
            "SELECT call_id, turn_id, satellite, name, risk, arguments, audit.started_at "
            "FROM audit LEFT JOIN turns USING (turn_id) WHERE audit.outcome = 'started' ORDER BY +audit.id"
        ).fetchall()
        connection.execute("UPDATE audit SET outcome = 'unknown', detail = 'vonad crashed' WHERE outcome = 'started'")
        turns = connection.execute(
            "UPDATE turns SET outcome = 'interrupted', ended_at = ? WHERE outcome IS NULL", (at,)
        ).rowcount
        sessions = connection.execute(
            "UPDATE sessions SET closed_at = ?, reason = 'crash' WHERE closed_at IS NULL", (at,)
        ).rowcount
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    if sessions or turns:
        log.warning("vonad had crashed: %d sessions closed as crash, %d turns as interrupted", sessions, turns)
    return tuple(
        UnknownAction(
            call_id=call_id,
            turn_id=turn_id,
            satellite=satellite,
            name=name,
            risk=risk,
            arguments=arguments,
            ts=iso(started_at),
        )
        for call_id, turn_id, satellite, name, risk, arguments, started_at in begun
    )
