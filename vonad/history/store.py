"""The parts' own values: namespace, key, text."""

import sqlite3

from vonad.history.writes import clean


def get(connection: sqlite3.Connection, namespace: str, key: str) -> str | None:
    """The value, or None."""
    found = connection.execute("SELECT value FROM store WHERE namespace = ? AND key = ?", clean(namespace, key))
    row: tuple[str] | None = found.fetchone()
    return row[0] if row is not None else None


def put(connection: sqlite3.Connection, namespace: str, key: str, value: str | None) -> None:
    """Keep a value for good, or forget it. Raises sqlite3.Error."""
    connection.execute("PRAGMA synchronous = FULL")
    if value is None:
        connection.execute("DELETE FROM store WHERE namespace = ? AND key = ?", clean(namespace, key))
    else:
        connection.execute("INSERT OR REPLACE INTO store VALUES (?, ?, ?)", clean(namespace, key, value))
