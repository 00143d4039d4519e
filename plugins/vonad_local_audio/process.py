"""The daemon's end of the child process that holds a sound device."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from vonad_local_audio import child
from vonad_local_audio.child import DeviceError

OPEN_S = 5.0
"""Seconds in which a device is open, or never will be: a wedged sound server lets it wait for ever."""

KILL_S = 1.0
"""Seconds that a killed process may take to be gone; one stuck in a driver is left behind."""

COMPLAINTS = 2_000
"""Bytes kept of what the sound libraries print, to explain the child's death."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A device. name: None for the default one. rate: Hz, None for what suits it. latency_s: of its buffer."""

    role: Literal["capture", "playback"]
    name: str | None
    rate: int | None
    latency_s: float


@runtime_checkable
class Pipe(Protocol):
    """Where bytes for the child go; uvloop's transports are none of asyncio's classes."""

    def write(self, data: bytes, /) -> None: ...


class DeviceProcess(asyncio.SubprocessProtocol):
    """A device that a child process holds open.

    name:     of the device that was opened.
    rate:     Hz.
    received: told of each message of the child's.
    lost:     the error, once the device is gone.
    """

    name = ""
    rate = 0

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.received: Callable[[int, bytes], None] = lambda kind, body: None
        self.lost: asyncio.Future[DeviceError] = loop.create_future()
        self._opened: asyncio.Future[DeviceError | None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._error: DeviceError | None = None
        self._buffer = bytearray()
        self._complaints = b""
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: object = None

    async def opened(self) -> None:
        """Wait until the device is open. Raises DeviceError."""
        await asyncio.wait({self._opened}, timeout=OPEN_S)
        if not self._opened.done():
            raise DeviceError("not_opened", f"the sound server has not answered for {OPEN_S:.0f} s: restart it")
        if (error := self._opened.result()) is not None:
            raise error

    def send(self, kind: int, body: bytes = b"") -> None:
        """Leave a message for the child; one that is gone gets none."""
        if isinstance(self._stdin, Pipe):
            self._stdin.write(child.message(kind, body))

    def attach(self, transport: asyncio.SubprocessTransport) -> None:
        """The child itself."""
        self._transport = transport
        self._stdin = transport.get_pipe_transport(0)

    async def end(self) -> None:
        """Kill the child, whatever holds it up; returns when it is gone, or after KILL_S."""
        if self._transport is not None:
            self._transport.close()  # kills
            gone = asyncio.ensure_future(asyncio.wait({self._gone}, timeout=KILL_S))
            try:
                await asyncio.shield(gone)
            except asyncio.CancelledError:
                await gone  # who is cancelled here would leave a dead child that nobody waits for
                raise

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            self._complaints = (self._complaints + data)[-COMPLAINTS:]
            return
        self._buffer += data
        for kind, body in child.messages(self._buffer):
            if kind == child.OPENED:
                rate, self.name = body.decode().split("\n", 1)
                self.rate = int(rate)
                self._opened.set_result(None)
            elif kind == child.FAILED:
                self._error = DeviceError(*body.decode().split("\n", 1))
            else:
                self.received(kind, body)

    def connection_lost(self, exc: Exception | None) -> None:
        """The child is dead, and everything it said has been read."""
        self._gone.set_result(None)
        error = self._error or DeviceError("lost", f"the process that held the sound device {self._end()}")
        self.lost.set_result(error)
        if not self._opened.done():
            self._opened.set_result(error)

    def _end(self) -> str:
        code = self._transport.get_returncode() if self._transport is not None else None
        if code is not None and code < 0:
            return f"was killed ({signal.Signals(-code).name})"
        last = self._complaints.decode(errors="replace").strip().rpartition("\n")[2]
        return f"ended with exit code {code}: {last}"


@asynccontextmanager
async def device(wanted: Wanted) -> AsyncIterator[DeviceProcess]:
    """Hold a device open. Raises DeviceError when it cannot be."""
    arguments = [wanted.role, wanted.name or "", str(wanted.rate or 0), str(wanted.latency_s)]
    transport, process = await asyncio.get_running_loop().subprocess_exec(
        DeviceProcess,
        # Without site: the child finds what we find, and runs nobody's start-up code.
        *(sys.executable, "-S", "-P", child.__file__, str(os.getpid()), *arguments),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,  # Ctrl-C is for the daemon, which ends its children in its own time
    )
    process.attach(transport)
    try:
        await process.opened()
        yield process
    finally:
        await process.end()
