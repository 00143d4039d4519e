"""The database's shape: its marks, and the numbered migrations that lead to it. Never edit one that was released."""

import sqlite3

APPLICATION_ID = 0x766F6E61
"""Says in the file's header that it is vonad's ("vona")."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    # 1: conversations, sessions, turns, wakes, the audit of skills, the parts' own values, full text.
    # Moments are milliseconds since 1970, UTC. There are no foreign keys: a row whose parent was lost to a full disk
    # is worth keeping.
    (
        """CREATE TABLE conversations (
            conversation_id TEXT PRIMARY KEY, started_at INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE sessions (
            session_id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL, satellite TEXT, backend TEXT, purpose TEXT,
            opened_at INTEGER NOT NULL, closed_at INTEGER, reason TEXT
        )""",
        "CREATE INDEX sessions_by_conversation ON sessions (conversation_id)",
        "CREATE INDEX sessions_by_time ON sessions (opened_at)",
        "CREATE INDEX sessions_open ON sessions (session_id) WHERE closed_at IS NULL",
        """CREATE TABLE turns (
            id INTEGER PRIMARY KEY, turn_id TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL,
            conversation_id TEXT NOT NULL, satellite TEXT, number INTEGER NOT NULL, source TEXT NOT NULL,
            started_at INTEGER NOT NULL, ended_at INTEGER, outcome TEXT,
            transcript TEXT, user_text TEXT, generated_text TEXT, heard_text TEXT,
            backend TEXT, stages TEXT, first_audio_ms REAL, endpoint TEXT, usage TEXT
        )""",
        "CREATE INDEX turns_by_session ON turns (session_id)",
        "CREATE INDEX turns_by_conversation ON turns (conversation_id)",
        "CREATE INDEX turns_by_time ON turns (started_at)",
        "CREATE INDEX turns_by_satellite ON turns (satellite, started_at)",
        "CREATE INDEX turns_open ON turns (id) WHERE outcome IS NULL",
        """CREATE TABLE wakes (
            id INTEGER PRIMARY KEY, at INTEGER NOT NULL, satellite TEXT, source TEXT NOT NULL, phrase TEXT,
            score REAL, accepted INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL
        )""",
        "CREATE INDEX wakes_by_time ON wakes (at)",
        # One row an attempt: outcome is 'started' until it is terminal, exactly once.
        """CREATE TABLE audit (
            id INTEGER PRIMARY KEY, call_id TEXT NOT NULL, turn_id TEXT NOT NULL, name TEXT NOT NULL,
            risk TEXT NOT NULL, arguments TEXT NOT NULL, started_at INTEGER NOT NULL,
            outcome TEXT NOT NULL DEFAULT 'started', duration_ms REAL, detail TEXT, UNIQUE (turn_id, call_id)
        )""",
        "CREATE INDEX audit_started ON audit (call_id) WHERE outcome = 'started'",
        """CREATE TABLE store (
            namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (namespace, key)
        ) WITHOUT ROWID""",
        """CREATE VIRTUAL TABLE turn_words USING fts5(
            transcript, user_text, generated_text, content='turns', content_rowid='id',
            tokenize="unicode61 remove_diacritics 2"
        )""",
        # A turn has words once it has ended; they never change after that.
        """CREATE TRIGGER turns_ended AFTER UPDATE OF outcome ON turns
            WHEN old.outcome IS NULL AND new.outcome IS NOT NULL
        BEGIN
            INSERT INTO turn_words (rowid, transcript, user_text, generated_text)
            VALUES (new.id, new.transcript, new.user_text, new.generated_text);
        END""",
        """CREATE TRIGGER turns_unindexed AFTER DELETE ON turns WHEN old.outcome IS NOT NULL
        BEGIN
            INSERT INTO turn_words (turn_words, rowid, transcript, user_text, generated_text)
            VALUES ('delete', old.id, old.transcript, old.user_text, old.generated_text);
        END""",
        """CREATE TRIGGER turns_deleted AFTER DELETE ON turns
        BEGIN
            DELETE FROM audit WHERE turn_id = old.turn_id;
            DELETE FROM sessions WHERE session_id = old.session_id AND closed_at IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM turns WHERE session_id = old.session_id);
        END""",
        """CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions
        BEGIN
            DELETE FROM conversations WHERE conversation_id = old.conversation_id
                AND NOT EXISTS (SELECT 1 FROM sessions WHERE conversation_id = old.conversation_id);
        END""",
    ),
    # 2: what a turn went through, the sum of a long conversation, and the names of sessions that were deleted.
    (
        "ALTER TABLE turns ADD COLUMN degraded INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE turns ADD COLUMN audio_gap INTEGER NOT NULL DEFAULT 0",
        # Made when the turn of this row had ended; it sums up what came before the last exchanges up to then.
        "ALTER TABLE conversations ADD COLUMN summary TEXT",
        "ALTER TABLE conversations ADD COLUMN summed_up_to INTEGER",
        # A sum holds the words of its turns: it goes with the first of them.
        """CREATE TRIGGER turns_summed_up AFTER DELETE ON turns
        BEGIN
            UPDATE conversations SET summary = NULL, summed_up_to = NULL
                WHERE conversation_id = old.conversation_id AND summary IS NOT NULL;
        END""",
        # What is written late for one of these is not kept. The latest thousand: late means seconds.
        "CREATE TABLE tombstones (id INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE)",
        """CREATE TRIGGER sessions_buried AFTER DELETE ON sessions
        BEGIN
            INSERT OR IGNORE INTO tombstones (session_id) VALUES (old.session_id);
            DELETE FROM tombstones WHERE id <= (SELECT max(id) FROM tombstones) - 1000;
        END""",
    ),
    # 3: the audit holds fallbacks, too. Of one, name is the reason, and turn_id is empty where no turn was open; its
    # row is written once it is over.
    (
        "ALTER TABLE audit ADD COLUMN kind TEXT NOT NULL DEFAULT 'skill'",
        "ALTER TABLE audit ADD COLUMN session_id TEXT",
        "ALTER TABLE audit ADD COLUMN from_backend TEXT",
        "ALTER TABLE audit ADD COLUMN to_backend TEXT",
        "CREATE INDEX audit_by_session ON audit (session_id) WHERE session_id IS NOT NULL",
        """CREATE TRIGGER sessions_audited AFTER DELETE ON sessions
        BEGIN
            DELETE FROM audit WHERE session_id = old.session_id;
        END""",
    ),
)

VERSION = len(MIGRATIONS)
"""What this vonad reads and writes; `user_version` in the file."""


def marks(connection: sqlite3.Connection) -> tuple[int, int]:
    """The file's application id and schema version. A file without content has (APPLICATION_ID, 0)."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == 0 and version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
        return APPLICATION_ID, 0
    return application, version


def migrate(connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the schema up to date, each migration in one transaction: it happens whole or not at all."""
    for number, statements in enumerate(migrations, start=1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Read under the lock: another process may have been faster.
            if connection.execute("PRAGMA user_version").fetchone()[0] < number:
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
