"""The service manager's notify protocol: what the daemon tells systemd, and the watchdog that systemd waits for.

Without NOTIFY_SOCKET in the environment nothing is sent: the daemon runs in a terminal.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping

from vonad.clock import Clock


class Notify:
    """Tells systemd. A service manager that cannot be told is no reason to stop answering people: errors are dropped.

    watchdog_s: seconds within which a ping is expected; None: nobody waits for one.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = _watchdog_s(environ) if self._address else None

    def ready(self, status: str = "") -> None:
        """Started, or reloaded."""
        self._send("READY=1", *_status(status))

    def reloading(self) -> None:
        """Reading the configuration again; `ready` ends it."""
        # The time lets systemd tell this reload from one that was asked for meanwhile.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """On the way out."""
        self._send("STOPPING=1")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(*_status(status))

    def ping(self) -> None:
        """Alive."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
            try:
                sender.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return


async def watchdog(notify: Notify, clock: Clock, alive: Callable[[], bool]) -> None:
    """Ping at half the interval for as long as `alive` says that the core makes progress; returns if nobody waits.

    Run it on the event loop that does the work: a loop that is stuck does not ping.
    """
    if notify.watchdog_s is None:
        return
    while True:
        if alive():
            notify.ping()
        await clock.sleep(notify.watchdog_s / 2)


def _address(named: str) -> str:
    """Of a socket in the file system, or an abstract one (written with @, meant as NUL)."""
    if named.startswith("@"):
        return "\0" + named[1:]
    return named if named.startswith("/") else ""


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for another process
    interval = environ.get("WATCHDOG_USEC", "")
    return int(interval) / 1e6 if interval.isdecimal() and int(interval) else None


def _status(status: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(status.split())}",) if status else ()
