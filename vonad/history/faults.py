"""What can be wrong with a database file: which errors are its own, and sentences for a tired owner."""

import sqlite3
from pathlib import Path

from vonad.errors import VonadError
from vonad.history.schema import APPLICATION_ID, VERSION

_SENTENCES = {
    sqlite3.SQLITE_BUSY: "{path} is locked by another program: end it, and writing goes on",
    sqlite3.SQLITE_LOCKED: "{path} is locked by another program: end it, and writing goes on",
    sqlite3.SQLITE_FULL: "no space is left for {path}: free some on its file system",
    sqlite3.SQLITE_READONLY: "{path} cannot be written: make the file, its directory and its file system writable",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened: its directory must exist and be writable by this user",
    sqlite3.SQLITE_PERM: "{path} may not be opened by this user: correct its owner or mode",
    sqlite3.SQLITE_IOERR: "{path}: reading or writing failed ({error}): check the disk, dmesg names the cause",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged ({error})",
    sqlite3.SQLITE_NOTADB: "{path} is damaged ({error})",
    sqlite3.SQLITE_NOMEM: "no memory was left to write {path}",
    sqlite3.SQLITE_PROTOCOL: "{path} is locked by another program: end it, and writing goes on",
}


class Damaged(Exception):  # noqa: N818  (a state of the file, found before SQLite is asked)
    """The file was ours and can no longer be read."""


def is_fault(error: BaseException) -> bool:
    """Whether the file, its disk or a lock is at fault, rather than the statement."""
    if isinstance(error, sqlite3.Error):
        return _primary(error) in _SENTENCES
    return isinstance(error, OSError | Damaged)


def is_damage(error: BaseException) -> bool:
    """Whether the file's content can no longer be trusted."""
    if isinstance(error, sqlite3.Error):
        return _primary(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return isinstance(error, Damaged)


def is_locked_or_full(error: BaseException) -> bool:
    """Whether the connection is still good, and only has to be tried again."""
    waits = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
    return isinstance(error, sqlite3.Error) and _primary(error) in waits


def sentence(error: BaseException, path: Path) -> str:
    """What is wrong, and what to do about it."""
    if isinstance(error, sqlite3.Error) and _primary(error) in _SENTENCES:
        return _SENTENCES[_primary(error)].format(path=path, error=error)
    if isinstance(error, OSError):
        return f"{error.filename or path}: {error.strerror or error}: vonad must be able to write there"
    return f"{path}: {error}"


def _primary(error: sqlite3.Error) -> int:
    # Errors that Python's own sqlite3 module raises carry no code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def check_marks(path: Path, application: int, version: int) -> None:
    """Raises store_error for another program's database, and for one that a newer vonad wrote."""
    if application != APPLICATION_ID:
        raise foreign(path, f"a database with application id {application:#x}")
    if version > VERSION:
        raise VonadError(
            "store_error",
            f"{path} was written by a newer vonad: schema {version} found, at most {VERSION} expected; "
            f"update vonad, or begin anew with: mv '{path}' '{path}.newer'",
            op="history.open",
            details={"path": str(path), "found": version, "expected": VERSION},
        )


def foreign(path: Path, found: str) -> VonadError:
    """Another program's file stands where the history should be."""
    return VonadError(
        "store_error",
        f"{path} is not vonad's history: {found} found, an SQLite database with application id "
        f"{APPLICATION_ID:#x} expected; move it away with: mv '{path}' '{path}.other'",
        op="history.open",
        details={"path": str(path), "found": found, "expected": f"{APPLICATION_ID:#x}"},
    )
