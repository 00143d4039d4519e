"""What the service manager is told, and that our units are sound and shut in."""

import asyncio
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vonad.systemd import Notify, watchdog
from vonad.testing import ManualClock

ROOT = Path(__file__).parent.parent
UNITS = ROOT / "systemd"
EXPOSURE = 20
"""Tenths: `systemd-analyze security` may find at most this."""


class ServiceManager:
    """The other end of NOTIFY_SOCKET: keeps every message with the process that sent it."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def told(self) -> list[list[str]]:
        """The messages since the last call, each as its lines."""
        messages = []
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize("3i")))
            except BlockingIOError:
                return messages
            process, _, _ = struct.unpack("3i", ancillary[0][2])
            assert process == os.getpid()
            messages.append(data.decode().split("\n"))


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceManager]:
    path = str(tmp_path / "notify")
    manager = ServiceManager(path if request.param == "path" else f"@vonad-test-{os.getpid()}-{time.monotonic_ns()}")
    yield manager
    manager.close()


def test_each_stage_of_life_is_told(manager: ServiceManager) -> None:
    notify = Notify(manager.environ)

    notify.ready("2 satellites\nonline")
    notify.status("3 satellites online")
    notify.stopping()

    assert manager.told() == [
        ["READY=1", "STATUS=2 satellites online"],
        ["STATUS=3 satellites online"],
        ["STOPPING=1"],
    ]


def test_a_reload_says_when_it_began(manager: ServiceManager) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Notify(manager.environ).reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    [[reloading, when]] = manager.told()

    assert reloading == "RELOADING=1"
    assert before <= int(when.removeprefix("MONOTONIC_USEC=")) <= after


def test_without_a_service_manager_nothing_is_sent() -> None:
    notify = Notify({"WATCHDOG_USEC": "30000000"})

    notify.ready()
    notify.reloading()
    notify.ping()

    assert notify.watchdog_s is None


def test_a_service_manager_that_is_gone_or_does_not_read_hinders_nobody(tmp_path: Path) -> None:
    Notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()

    deaf = ServiceManager(str(tmp_path / "deaf"))
    notify = Notify(deaf.environ)
    for _ in range(5_000):  # far more than the socket holds
        notify.ping()

    assert 0 < len(deaf.told()) < 5_000
    deaf.close()


def test_an_address_that_is_no_unix_socket_is_left_alone() -> None:
    Notify({"NOTIFY_SOCKET": "vsock:2:1234"}).ready()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_kept_only_when_it_is_meant_for_us(environ: dict[str, str], expected: float | None) -> None:
    assert Notify({"NOTIFY_SOCKET": "/nowhere", **environ}).watchdog_s == expected


async def test_the_watchdog_is_fed_at_half_its_interval(manager: ServiceManager) -> None:
    clock = ManualClock()
    feeding = asyncio.create_task(
        watchdog(Notify(manager.environ | {"WATCHDOG_USEC": "30000000"}), clock, lambda: True)
    )

    await clock.advance(0)
    assert manager.told() == [["WATCHDOG=1"]]
    await clock.advance(14.9)
    assert manager.told() == []
    await clock.advance(30.2)
    assert manager.told() == [["WATCHDOG=1"]] * 3

    feeding.cancel()


async def test_a_core_that_makes_no_progress_misses_its_watchdog(manager: ServiceManager) -> None:
    clock, progress = ManualClock(), [True]
    notify = Notify(manager.environ | {"WATCHDOG_USEC": "2000000"})
    feeding = asyncio.create_task(watchdog(notify, clock, lambda: progress[0]))
    await clock.advance(0.5)
    manager.told()

    progress[0] = False
    await clock.advance(10)
    assert manager.told() == []

    progress[0] = True
    await clock.advance(1)
    assert manager.told() == [["WATCHDOG=1"]]
    feeding.cancel()


async def test_where_nobody_waits_for_a_watchdog_it_ends(manager: ServiceManager) -> None:
    await watchdog(Notify(manager.environ), ManualClock(), lambda: True)

    assert manager.told() == []


@pytest.mark.real("systemd")
@pytest.mark.parametrize(("unit", "instance"), [("vonad.service", "--system"), ("vonad-user.service", "--user")])
def test_systemd_finds_nothing_to_say_about_our_units(unit: str, instance: str, tmp_path: Path) -> None:
    """It exits 0 even for a misspelt key: only silence is consent."""
    told = _analyze(instance, "verify", str(_installed(unit, tmp_path)), runtime=tmp_path)

    assert (told.returncode, told.stderr, told.stdout) == (0, "", "")


@pytest.mark.real("systemd")
def test_systemd_has_something_to_say_about_a_misspelt_key(tmp_path: Path) -> None:
    unit = _installed("vonad.service", tmp_path)
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))

    assert "WatchdogSecs" in _analyze("--system", "verify", str(unit), runtime=tmp_path).stderr


@pytest.mark.real("systemd")
def test_the_service_is_shut_in(tmp_path: Path) -> None:
    unit = _installed("vonad.service", tmp_path)

    told = _analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(unit), runtime=tmp_path)

    assert told.returncode == 0, told.stdout[-2000:] + told.stderr
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", told.stdout)
    assert exposure
    assert float(exposure[1]) <= EXPOSURE / 10


def _installed(unit: str, directory: Path) -> Path:
    """The unit as after an installation: its program is one that exists."""
    program = directory / "vonad"
    program.symlink_to(sys.executable)
    text, places = re.subn(r"(?m)^(ExecStart=)\S+/vonad ", rf"\g<1>{program} ", (UNITS / unit).read_text())
    assert places == 1
    copy = directory / unit
    copy.write_text(text)
    return copy


def _analyze(*arguments: str, runtime: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program
    environ = {"PATH": os.environ["PATH"], "HOME": str(runtime), "XDG_RUNTIME_DIR": str(runtime)}
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True, env=environ, timeout=60)
