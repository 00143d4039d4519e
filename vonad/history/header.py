"""The first bytes of the database file: whose it is, looked at before SQLite touches it."""

import os
from contextlib import suppress
from pathlib import Path

from vonad.history.faults import Damaged, foreign
from vonad.history.schema import APPLICATION_ID

_MAGIC = b"SQLite format 3\0"
_LENGTH = 100


class Header:
    """Looks through a descriptor that stays open for as long as this process may have a connection to the file.

    POSIX takes all locks of a process on a file away when the process closes any descriptor of it. SQLite's are among
    them: another program would then be the last to leave, and delete the write-ahead log under the daemon.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def check(self) -> None:
        """Raises store_error for another program's file, Damaged for zeros, OSError for one that cannot be read."""
        head = os.pread(self._open(), _LENGTH, 0)
        if not head:
            return
        if not any(head):
            raise Damaged("its header is all zeros")
        if not head.startswith(_MAGIC):
            raise foreign(self._path, f"a file that begins with {head[:16]!r}")
        application = int.from_bytes(head[68:72], "big", signed=True)
        # 0: the marks may still be in the write-ahead log.
        if application not in {0, APPLICATION_ID}:
            raise foreign(self._path, f"a database with application id {application:#x}")

    def close(self) -> None:
        """Once no connection of this process is left."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        if self._descriptor is None or not self._is_there(self._descriptor):
            # What was open is another file by now, set aside or replaced.
            self.close()
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        return self._descriptor

    def _is_there(self, descriptor: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        return False
