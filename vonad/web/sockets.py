"""What the API listens on: vonad.sock, made without a race, and a port of the loopback."""

import contextlib
import errno
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vonad.errors import VonadError

LONGEST = 107
"""Bytes of a path that fit into the address of a Unix socket on Linux."""
WAITING = 128
"""Connections that the system keeps for us while we are busy."""


@contextmanager
def listen_unix(path: Path, *, mode: int = 0o660) -> Iterator[socket.socket]:
    """A listening socket at `path`, which is gone afterwards. The file's permission is the API's authority.

    It is bound inside a private directory and moved into place with its final mode, so nobody meets it half made; the
    file of a daemon that died is replaced. Raises invalid_state when something alive, or no socket, is at `path`.
    """
    _refuse_alive(path)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        private = Path(tempfile.mkdtemp(prefix=".vonad-", dir=path.parent))
        stack.callback(shutil.rmtree, private, ignore_errors=True)
        new = private / path.name
        with address(new) as name:
            listener.bind(name)
        new.chmod(mode)
        listener.listen(WAITING)
        ours = new.stat().st_ino
        new.replace(path)
        shutil.rmtree(private, ignore_errors=True)
        stack.callback(_remove, path, ours)
        yield listener


@contextmanager
def listen_port(port: int) -> Iterator[socket.socket]:
    """A listening socket on 127.0.0.1. Raises invalid_state, with the remedy, when the port cannot be had."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(WAITING)
        except OSError as error:
            why = "taken by another program" if error.errno == errno.EADDRINUSE else str(error.strerror)
            raise VonadError(
                "invalid_state",
                f"port {port} of 127.0.0.1 is not available ({why}): set web.port to a free port, or web.enabled = "
                "false to open none",
                op="web.listen",
            ) from error
        yield listener


@contextmanager
def address(path: Path) -> Iterator[str]:
    """The address of a Unix socket's path, whatever its length."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _refuse_alive(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise VonadError("invalid_state", f"{path} is in the way and is not a socket: remove it", op="web.listen")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, address(path) as name:
        probe.settimeout(0)
        try:
            probe.connect(name)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            pass
    raise VonadError("invalid_state", f"another daemon answers on {path}: stop it first", op="web.listen")


def _remove(path: Path, inode: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_ino == inode:
            path.unlink()
