"""The process that holds one sound device, so that a wedged sound server can be killed without the daemon.

A script of its own: `child.py PARENT capture|playback DEVICE RATE LATENCY` (DEVICE "", RATE 0: the default). It imports
sounddevice and nothing of vonad, reads and writes the device with blocking calls (callbacks need memory that is both
writable and executable, which a hardened service may not have), and speaks in messages on its input and output.
"""

import ctypes
import os
import re
import select
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import NoReturn, Protocol

HEAD = struct.Struct("<BI")
"""Head of a message: its kind, the length of its body in bytes."""

# From the child. FAILED: "<reason>\n<sentence>"; OPENED: "<rate>\n<name>"; SOUND: CAPTURED, samples; POSITION: PLAYED.
FAILED, OPENED, SOUND, POSITION = range(1, 5)
# To the child. PLAY: samples; CLEAR: nothing.
PLAY, CLEAR = range(5, 7)
# Samples are int16, mono.

CAPTURED = struct.Struct("<d?")
"""Monotonic seconds of the first sample; whether samples were lost before it."""

PLAYED = struct.Struct("<QQ")
"""Samples since the start: how many were heard, how many are done with (heard or cleared)."""

OUTPUT = 64
"""Descriptor of our messages; what libraries print on standard output goes to standard error."""

BLOCKS_PER_S = 50
POLL_S = 0.01
KINDS = {"capture": "input", "playback": "output"}
RATES = {"input": 16_000, "output": 48_000}
"""Hz that are tried first; then the device's own."""

PR_SET_PDEATHSIG = 1


class DeviceError(Exception):
    """Why there is no sound. reason: no_portaudio, no_device, unknown_device, ambiguous_device, not_opened or lost."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def message(kind: int, body: bytes = b"") -> bytes:
    """The bytes of a message."""
    return HEAD.pack(kind, len(body)) + body


def messages(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take every whole message out of the buffer."""
    while len(buffer) >= HEAD.size:
        kind, length = HEAD.unpack_from(buffer)
        end = HEAD.size + length
        if len(buffer) < end:
            return
        body = bytes(buffer[HEAD.size : end])
        del buffer[:end]
        yield kind, body


def find(names: Mapping[int, str], wanted: str, kind: str) -> int:
    """The device of this name, or the only one whose name contains it, in any case. Raises DeviceError."""
    exact = [index for index, name in names.items() if name == wanted]
    if exact:
        return exact[0]
    alike = [index for index, name in names.items() if stable(name) == wanted]
    alike = alike or [index for index, name in names.items() if wanted.casefold() in name.casefold()]
    if len(alike) == 1:
        return alike[0]
    if alike:
        which = _listed(names[index] for index in alike)
        raise DeviceError(
            "ambiguous_device", f"several {kind} devices are called {wanted!r}: {which}; name one in full"
        )
    raise DeviceError("unknown_device", f"there is no {kind} device {wanted!r}; found: {_listed(names.values())}")


def stable(name: str) -> str:
    """A device's name without the number that its card happened to get when the system started."""
    return re.sub(r"\s*\(hw:\d+,\d+\)$", "", name)


class InputStream(Protocol):
    """The part of sounddevice.RawInputStream that is used."""

    read_available: int

    def start(self) -> None: ...
    def read(self, frames: int, /) -> tuple[bytes, bool]: ...


class OutputStream(Protocol):
    """The part of sounddevice.RawOutputStream that is used."""

    write_available: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def abort(self) -> None: ...
    def write(self, samples: bytes, /) -> bool: ...


def capture(stream: InputStream, rate: int) -> NoReturn:
    """Pass on what is heard in blocks of 20 ms; those that the device has at once, at once."""
    block = rate // BLOCKS_PER_S
    stream.start()
    while True:
        samples, lost = stream.read(block)
        behind = stream.read_available
        at = time.monotonic() - (block + behind) / rate
        data = message(SOUND, CAPTURED.pack(at, lost) + bytes(samples))
        for _ in range(behind // block):
            samples, lost = stream.read(block)
            at += block / rate
            data += message(SOUND, CAPTURED.pack(at, lost) + bytes(samples))
        _write(data)


class Player:
    """Plays what it is sent and reports what was heard. The stream runs only while there is something to play."""

    def __init__(self, stream: OutputStream, rate: int) -> None:
        self._stream = stream
        self._block = rate // BLOCKS_PER_S
        self._queue: deque[bytes] = deque()
        self._written = 0
        self._heard = 0
        self._cleared = 0
        self._running = False
        self._room = 0
        self._padding = 0

    def run(self) -> None:
        """Until standard input ends."""
        buffer = bytearray()
        while True:
            if select.select([0], [], [], self._patience())[0]:
                data = os.read(0, 65536)
                if not data:
                    return
                buffer += data
                for kind, body in messages(buffer):
                    if kind == PLAY:
                        self._queue += [body[at : at + 2 * self._block] for at in range(0, len(body), 2 * self._block)]
                    elif kind == CLEAR:
                        self._clear()
            elif self._queue and not self._padding:
                self._write(self._queue.popleft())
            else:
                self._finish()
            self._report()

    def _patience(self) -> float | None:
        """Seconds to wait for messages before the device needs attention; None: for ever."""
        if self._queue and not self._padding:
            return 0.0
        return POLL_S if self._running else None

    def _write(self, samples: bytes) -> None:
        if not self._running:
            self._stream.start()
            self._running = True
            self._room = self._stream.write_available
        self._stream.write(samples)
        self._written += len(samples) // 2

    def _finish(self) -> None:
        """Nothing more is there: stop once the device has played what it has."""
        left = self._buffered()
        if not left:
            self._stop()
        elif not self._padding and left <= 2 * self._block:
            # A device works in periods, and does not begin, or end, in the middle of one.
            padding = self._room // 4 + 2 * self._block
            self._stream.write(bytes(2 * padding))
            self._padding = padding

    def _clear(self) -> None:
        self._heard = self._written - self._buffered()
        self._cleared += self._written - self._heard + sum(len(samples) // 2 for samples in self._queue)
        self._written = self._heard
        self._queue.clear()
        if self._running:
            self._stop()

    def _stop(self) -> None:
        self._stream.abort()
        self._running = False
        self._padding = 0

    def _buffered(self) -> int:
        """Samples of ours that the device has not played."""
        if not self._running:
            return 0
        return min(max(0, self._room - self._stream.write_available - self._padding), self._written - self._heard)

    def _report(self) -> None:
        self._heard = self._written - self._buffered()
        _send(POSITION, PLAYED.pack(self._heard, self._heard + self._cleared))


def main(role: str, wanted: str, rate: int, latency: float) -> None:
    """Open the device and serve it until the parent closes its end."""
    kind = KINDS[role]
    sounddevice = _sounddevice()
    index, name, own_rate = _device(sounddevice, wanted, kind)
    raw = sounddevice.RawInputStream if role == "capture" else sounddevice.RawOutputStream
    refused = ""
    for hertz in [rate] if rate else dict.fromkeys([RATES[kind], own_rate]):
        form = {"samplerate": hertz, "blocksize": hertz // BLOCKS_PER_S, "channels": 1, "dtype": "int16"}
        try:
            stream = raw(device=index, latency=latency, **form)
            break
        except sounddevice.PortAudioError as error:
            refused = f"{error} at {hertz} Hz"
    else:
        raise DeviceError("not_opened", f"the {kind} device {name!r} cannot be opened: {refused}")
    _send(OPENED, f"{hertz}\n{name}".encode())
    try:
        if role == "capture":
            capture(stream, hertz)
        Player(stream, hertz).run()
    except sounddevice.PortAudioError as error:
        raise DeviceError("lost", f"the {kind} device {name!r} failed: {error}") from error


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError("no_portaudio", f"{error}: pip install sounddevice") from error
    except OSError as error:
        raise DeviceError("no_portaudio", f"{error}: install it, on Debian with: apt install libportaudio2") from error
    module: ModuleType = sounddevice
    return module


def _device(sounddevice: ModuleType, wanted: str, kind: str) -> tuple[int, str, int]:
    """Index, name and default rate of the device that is wanted, "" for the default one. Raises DeviceError."""
    able = [device for device in sounddevice.query_devices() if device[f"max_{kind}_channels"] > 0]
    if not able:
        raise DeviceError("no_device", f"there is no {kind} device: connect one, or start the sound server")
    names = {device["index"]: device["name"] for device in able}
    index = find(names, wanted, kind) if wanted else sounddevice.default.device[kind]
    if index not in names:
        raise DeviceError("no_device", f"no {kind} device is the default; name one of {_listed(names.values())}")
    return index, names[index], int(sounddevice.query_devices(index)["default_samplerate"])


def _send(kind: int, body: bytes) -> None:
    _write(message(kind, body))


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(OUTPUT, data) :]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _die_with(parent: int) -> None:
    """Even wedged inside a driver, end when the daemon does, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


if __name__ == "__main__":
    _die_with(int(sys.argv[1]))
    os.dup2(1, OUTPUT)
    os.dup2(2, 1)
    try:
        main(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
    except DeviceError as failure:
        _send(FAILED, f"{failure.reason}\n{failure}".encode())
    except BrokenPipeError:
        pass
    os._exit(0)  # closing a stream in good order may hang in the sound server
