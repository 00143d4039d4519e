"""The instance: one daemon for one state directory, held by a lock that the kernel lets go of even after kill -9."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vonad.errors import VonadError

LOCK = "vonad.lock"


class InstanceTaken(VonadError):  # noqa: N818  (said of the other one)
    """Another daemon has this state directory."""

    def __init__(self, lock: Path, pid: str) -> None:
        who = f"pid {pid}" if pid else "pid unknown"
        super().__init__("invalid_state", f"vonad is already running ({who}): it holds {lock}", op="run")


@contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Hold the state directory. Raises InstanceTaken; store_error when the directory cannot be used."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = f"{state} cannot be used ({error.strerror}): it must belong to the user vonad runs as"
        raise VonadError("store_error", why, op="run") from error
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InstanceTaken(state / LOCK, lock.read().strip()) from None
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
        lock.seek(0)
        lock.truncate()
