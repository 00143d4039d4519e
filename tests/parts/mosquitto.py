"""A real Mosquitto: a process of its own on a free port, with the settings that vonad's documentation asks for."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HOST = "127.0.0.1"
READY_S = 5.0
PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
"""Debian keeps daemons where only root looks."""


class Mosquitto:
    """host, port: where it listens, from `start` to `stop`. log: what it says."""

    def __init__(self, folder: Path, config: str) -> None:
        self.host = HOST
        self.port = _free_port()
        self.folder = folder
        self.log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        # Started by root it would become a user who cannot read the test's folder.
        user = "user root\n" if os.geteuid() == 0 else ""
        self._config.write_text(f"{config.format(port=self.port, folder=folder)}\n{user}")

    def start(self) -> None:
        """Return when it answers."""
        program = shutil.which("mosquitto", path=PLACES)
        assert program, "mosquitto is not installed"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([program, "-v", "-c", self._config], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S
        while not _answers(self.port):
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def stop(self) -> None:
        """Return when it has ended; twice is no harm."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait()

    def restart(self) -> None:
        """The same port, nothing remembered."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """It keeps its connections and does nothing more, like a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def reread(self) -> None:
        """It reads its passwords and access list again."""
        self._signal(signal.SIGHUP)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


OPEN = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
"""


@pytest.fixture
def mosquitto_with(tmp_path: Path) -> Iterator[Callable[[str], Mosquitto]]:
    """Start one with a configuration of its own; {port} and {folder} are filled in."""
    started: list[Mosquitto] = []

    def start(config: str) -> Mosquitto:
        folder = tmp_path / f"mosquitto{len(started)}"
        folder.mkdir()
        started.append(Mosquitto(folder, config))
        started[-1].start()
        return started[-1]

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def mosquitto(mosquitto_with: Callable[[str], Mosquitto]) -> Mosquitto:
    """One that takes everybody on this machine."""
    return mosquitto_with(OPEN)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=0.2).close()
    except OSError:
        return False
    return True
