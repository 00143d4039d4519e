"""What the benchmarks share: percentiles, one JSON line a figure, and a daemon of their own in a process of its own."""

import asyncio
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

AUDIO = Path(__file__).parent.parent / "tests" / "audio"
VONAD = Path(sys.executable).with_name("vonad")


def percentile(values: Sequence[float], p: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))]


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    return {
        "n": len(values),
        "p50": round(percentile(values, 50), digits),
        "p99": round(percentile(values, 99), digits),
        "max": round(max(values), digits),
    }


def emit(bench: str, target: object, **figures: object) -> None:
    print(json.dumps({"bench": bench, "python": platform.python_version(), "target": target, **figures}), flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mosquitto() -> Iterator[int]:
    """A broker of its own, with TCP_NODELAY; its port."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed: apt install mosquitto")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            f"set_tcp_nodelay true\nmax_queued_messages 0\n{user}"
        )
        process = subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                except OSError:
                    time.sleep(0.02)
            yield port
        finally:
            process.terminate()
            process.wait()


@dataclass
class Daemon:
    """A running `vonad run`. ready_s: from its start to READY=1."""

    pid: int
    folder: Path
    ready_s: float

    @property
    def socket(self) -> Path:
        return self.folder / "vonad.sock"


@asynccontextmanager
async def daemon(
    config: str, *, environment: dict[str, str] | None = None, drop_ins: Sequence[Path] = ()
) -> AsyncIterator[Daemon]:
    """`vonad run` with this configuration; ready when it says so to the service manager, which is us."""
    with tempfile.TemporaryDirectory(prefix="vb") as name:
        folder = Path(name)
        (folder / "vonad.toml").write_text(f"[node]\nid = 'bench'\n[policy]\nturns_per_minute = 0\n{config}")
        (folder / "plugins").mkdir(mode=0o755)
        for file in drop_ins:
            (folder / "plugins" / file.name).write_bytes(file.read_bytes())
            (folder / "plugins" / file.name).chmod(0o644)
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        env |= environment or {}
        for variable in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CACHE_DIRECTORY"):
            env[variable] = name
        loop = asyncio.get_running_loop()
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        notify.bind(str(folder / "notify"))
        env["NOTIFY_SOCKET"] = str(folder / "notify")
        begun = time.perf_counter()
        log = (folder / "log").open("wb")
        process = await asyncio.create_subprocess_exec(
            VONAD, "run", "--config", folder / "vonad.toml", env=env, stdout=log, stderr=log
        )
        try:
            async with asyncio.timeout(30):
                while b"READY=1" not in await loop.sock_recv(notify, 4096):
                    pass
            yield Daemon(process.pid, folder, time.perf_counter() - begun)
        except TimeoutError:
            raise SystemExit(f"vonad did not become ready:\n{(folder / 'log').read_text()}") from None
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
            notify.close()
            log.close()


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and its children, in MB: shared pages are counted once."""
    total = 0
    for member in family(pid):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def rss_mb(pid: int) -> float:
    """Resident set size of a process and its children, in MB."""
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int) -> float:
    """Processor time that a process and its children have used."""
    ticks = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
