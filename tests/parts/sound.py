"""A real sound server without a sound card: PulseAudio, a null sink for the speaker, another as the microphone's bus.

Whatever runs with `sound.env` finds the microphone `vonad_mic` and the speaker `vonad_spk`, which are also its default
devices. Each test process has a server and a directory of its own.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from vonad import Samples, read_wav

BOOT_S = 10.0
RECORD_RATE = 48_000
"""Hz of the null sinks: what is recorded is what was played into them, untouched."""

# norewinds: otherwise a null sink begins with a block of 2 s, and loses the first 9 ms of every stream.
SERVER = """\
.fail
load-module module-native-protocol-unix auth-anonymous=1 socket={native}
load-module module-null-sink sink_name=speaker rate=48000 channels=2 norewinds=1
load-module module-null-sink sink_name=micbus rate=48000 channels=1 norewinds=1
load-module module-remap-source source_name=mic master=micbus.monitor
set-default-sink speaker
set-default-source mic
"""
ALSA = """\
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.vonad_mic { type pulse device mic }
pcm.vonad_spk { type pulse device speaker }
"""

KEEPER = """
while read -r command; do
  eval "exec $command" &
  kept="$kept $!"
  echo $!
done
kill -9 $kept
wait
"""
"""Runs each line it is given, answers its process id, and takes them all along when its input ends."""


class Recording:
    """What the speaker plays while it is open: `samples` (int16, mono) at `rate` Hz once it has ended."""

    def __init__(self) -> None:
        self.rate = RECORD_RATE
        self.samples: Samples = np.zeros(0, dtype=np.int16)


class Sound:
    """The sound server. env: what a process needs in its environment to use it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.native = directory / "native"
        asound = directory / "asound.conf"
        self.env = {
            "PULSE_RUNTIME_PATH": str(directory),
            "PULSE_SERVER": f"unix:{self.native}",
            "PULSE_COOKIE": str(directory / "cookie"),
            "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{asound}",
        }
        asound.write_text(ALSA)
        (directory / "server.pa").write_text(SERVER.format(native=self.native))
        # Processes that come and go in a test, and are not children of the test's own; they end when it does.
        self._keeper = self._spawn(["sh", "-c", KEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._kept: list[int] = []

    def start(self) -> None:
        """Start the server; returns when it answers."""
        self.native.unlink(missing_ok=True)
        log = self.directory / "log"
        options = f"-n --daemonize=no --use-pid-file=no --exit-idle-time=-1 --log-target=file:{log} -F server.pa"
        self._keep(f"pulseaudio {options}")
        _until(lambda: self._call("pactl", "get-default-source").stdout == b"mic\n", "the sound server to start", log)
        # A null sink works in blocks as long as its most impatient listener allows: this one makes them 10 ms.
        for source in ("micbus.monitor", "speaker.monitor"):
            self._keep(f"parec --device={source} --latency-msec=10")

    def stop(self) -> None:
        """End the server at once, as a crash would."""
        for process in self._kept:
            os.kill(process, signal.SIGKILL)
        _until(lambda: not any(map(alive, self._kept)), "the sound server to end", self.directory / "log")
        self._kept.clear()

    def close(self) -> None:
        """End everything."""
        self._keeper.communicate()

    def restart(self) -> None:
        """Replace the server: what was connected to it loses its devices."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Wedge the server: it keeps its connections and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End the wedge."""
        self._signal(signal.SIGCONT)

    def play(self, sound: Path | Samples, *, rate: int = 16_000) -> None:
        """Somebody speaks into the microphone; returns when all of it has been said. rate: Hz of samples."""
        if isinstance(sound, Path):
            frame = read_wav(sound.read_bytes(), name=str(sound))
            sound, rate = frame.samples, frame.rate
        said = self._call("pacat", "--device=micbus", *_raw(rate), stdin=sound.tobytes())
        assert said.returncode == 0, said.stderr.decode()

    @contextmanager
    def record(self) -> Iterator[Recording]:
        """Listen to the speaker for as long as the block runs."""
        recording = Recording()
        with tempfile.TemporaryFile(dir=self.directory) as sink:
            arguments = ["parec", "--device=speaker.monitor", *_raw(RECORD_RATE), "--latency-msec=20"]
            listener = self._spawn(arguments, stdout=sink)
            try:
                _until(lambda: os.fstat(sink.fileno()).st_size > 0, "the recorder to hear", self.directory / "log")
                yield recording
                end = os.fstat(sink.fileno()).st_size + RECORD_RATE * 2 // 10
                _until(lambda: os.fstat(sink.fileno()).st_size >= end, "the recorder's tail", self.directory / "log")
            finally:
                listener.kill()
                listener.wait()
                sink.seek(0)
                data = sink.read()
                recording.samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.int16)

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self._kept[0], number)

    def _keep(self, command: str) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(f"{command} </dev/null >/dev/null 2>&1\n".encode())
        self._keeper.stdin.flush()
        self._kept.append(int(self._keeper.stdout.readline()))

    def _environment(self) -> dict[str, str]:
        home = str(self.directory)
        return {**os.environ, **self.env, "XDG_RUNTIME_DIR": home, "HOME": home, "LC_ALL": "C.UTF-8"}

    def _spawn(
        self, command: list[str], *, stdin: int = subprocess.DEVNULL, stdout: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=self._environment(),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )

    def _call(self, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            check=False,
            input=stdin,
            env=self._environment(),
            cwd=self.directory,
            capture_output=True,
            timeout=60,
        )


@pytest.fixture(scope="session")
def sound() -> Iterator[Sound]:
    """A sound server of this test process; a test that suspends or stops it brings it back."""
    # Paths of Unix sockets are limited to 107 bytes: pytest's own directories may be too deep.
    with tempfile.TemporaryDirectory(prefix="vonad-snd-", dir="/tmp") as directory:
        server = Sound(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.close()


def _raw(rate: int) -> tuple[str, ...]:
    return ("--raw", "--format=s16le", f"--rate={rate}", "--channels=1")


def alive(process: int) -> bool:
    """Whether it runs still."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(true: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + BOOT_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {BOOT_S:.0f} s for {what}: {log.read_text() if log.exists() else 'no log'}")
        time.sleep(0.01)
