"""`vonad run` as a process of its own, in directories of its own, told apart by what it tells its service manager."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.e2e.house import ALONE

PATIENCE_S = 30.0


class DaemonProcess:
    """folder: its state, runtime and configuration directory. told: what it told its service manager."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process, notify: socket.socket, python: Path) -> None:
        self.folder = folder
        self.python = python
        self.process = process
        self.told: list[str] = []
        self._notify = notify

    async def until_told(self, what: str) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            while not any(what in told for told in self.told):
                self.told.append((await loop.sock_recv(self._notify, 4096)).decode())

    async def until_logged(self, what: str, times: int = 1) -> None:
        """Wait for a line of its log."""
        async with asyncio.timeout(PATIENCE_S):
            while self.log().count(what) < times:
                await asyncio.sleep(0.02)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit status."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()

    async def cli(self, *arguments: str) -> tuple[int, str]:
        """A command of the command line for this daemon: its exit status, and what it printed."""
        command = await asyncio.create_subprocess_exec(
            *(self.python, "-m", "vonad", *arguments),
            env=environment(self.folder),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await command.communicate()
        return command.returncode or 0, output.decode()


def environment(folder: Path) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("VONAD_", "NOTIFY_", "WATCHDOG_"))}
    places = dict.fromkeys(("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CACHE_DIRECTORY"), str(folder))
    return own | places | {"VONAD_CONFIG": str(folder / "vonad.toml")}


@asynccontextmanager
async def daemon_process(
    folder: Path, config: str = "", *, mqtt: str = "port = 1", python: Path = Path(sys.executable), **more: str
) -> AsyncIterator[DaemonProcess]:
    """Start one; not yet ready. python: of the environment to run it in. more: environment variables."""
    folder.mkdir(exist_ok=True)
    (folder / "vonad.toml").write_text(f"{ALONE}\n[mqtt]\n{mqtt}\n{config}")
    address = folder / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify:
        notify.bind(str(address))
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(python, "-m", "vonad", "run"),
                env=environment(folder) | {"NOTIFY_SOCKET": str(address)} | more,
                stdout=log,
                stderr=log,
            )
        try:
            yield DaemonProcess(folder, process, notify, python)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
