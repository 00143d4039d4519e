"""The stage of the demo: a daemon as a process of its own, with everything it touches in a temporary directory."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

RECORDINGS = Path(__file__).parent.parent / "recordings"
SATELLITE = "demo"
STOP_S = 15.0
"""A little more than the daemon's own last deadline."""

OTHERS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is."""

    directory: Path
    node: str
    port: int

    @property
    def base(self) -> str:
        """What its topics begin with."""
        return f"vonad/{self.node}"

    @property
    def config(self) -> Path:
        """The daemon's vonad.toml."""
        return self.directory / "vonad.toml"

    @property
    def state(self) -> Path:
        """The daemon's state directory."""
        return self.directory / "state"

    @property
    def speaker(self) -> Path:
        """What was played."""
        return self.directory / "speaker.wav"

    @property
    def log(self) -> Path:
        """What the daemon says about itself."""
        return self.directory / "daemon.log"


@contextmanager
def build_stage(port: int, recordings: Sequence[str]) -> Iterator[Stage]:
    """Directories and a configuration, gone afterwards. port: the broker's; recordings: what the microphone hears."""
    with tempfile.TemporaryDirectory(prefix="vonad-demo-") as directory:
        stage = Stage(Path(directory), f"demo-{token_hex(3)}", port)
        for name in ("state", "runtime", "cache"):
            (stage.directory / name).mkdir(mode=0o700)
        stage.config.write_text(_configuration(stage, recordings))
        yield stage


@asynccontextmanager
async def start_daemon(stage: Stage) -> AsyncIterator[asyncio.subprocess.Process]:
    """`vonad run` as a process, stopped afterwards whatever happens."""
    with stage.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            *("-m", "vonad", "run", "--config", str(stage.config)),
            env=_environment(stage),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        await stop_daemon(process)


async def stop_daemon(process: asyncio.subprocess.Process) -> int:
    """Ask it to end, as systemd would; its exit status."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
    return await process.wait()


def _configuration(stage: Stage, recordings: Sequence[str]) -> str:
    """As an owner would write it."""
    microphone = ", ".join(json.dumps(str(RECORDINGS / name)) for name in recordings)
    return f"""\
[node]
id = "{stage.node}"

[mqtt]
host = "127.0.0.1"
port = {stage.port}

[web]
enabled = false

[transports.local]
enabled = false

[transports.{SATELLITE}]
kind = "wav"
microphone = [{microphone}]
speaker = {json.dumps(str(stage.speaker))}
"""


def _environment(stage: Stage) -> Mapping[str, str]:
    """The user's, without what would reach into this daemon."""
    own = {name: value for name, value in os.environ.items() if name not in OTHERS and not name.startswith("VONAD_")}
    return own | {
        "STATE_DIRECTORY": str(stage.state),
        "RUNTIME_DIRECTORY": str(stage.directory / "runtime"),
        "CACHE_DIRECTORY": str(stage.directory / "cache"),
    }
