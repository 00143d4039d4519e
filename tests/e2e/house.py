"""A whole vonad for a test: the real `serve`, in directories of its own, and an MQTT client that watches it."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt

from vonad.daemon import DATABASE, Requests, serve
from vonad.directories import Directories
from vonad.service import Service
from vonad.settings import load

HERE = Path(__file__).parent
PATIENCE_S = 30.0
"""Real engines on a busy machine; nothing here waits that long unless it is broken."""


ALONE = """
[node]
id = "home"
[web]
enabled = false
[transports.local]
enabled = false
"""
"""No port, no sound card: tests run beside each other."""


@dataclass
class House:
    """A running daemon. folder: where everything of it is."""

    folder: Path
    service: Service
    requests: Requests
    host: str
    port: int

    @property
    def base(self) -> str:
        return f"vonad/{self.service.house.node.id}"

    @property
    def database(self) -> Path:
        return self.folder / "state" / DATABASE


@dataclass
class Watcher:
    """A client of its own: what was published below the base, in order, and means to publish."""

    client: aiomqtt.Client
    base: str
    seen: list[tuple[str, str, bool]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, topic: str, payload: str, *, retained: bool) -> None:
        self.seen.append((topic.removeprefix(f"{self.base}/"), payload, retained))
        self._news.set()

    def payloads(self, topic: str) -> list[str]:
        return [payload for seen, payload, _ in self.seen if seen == topic]

    def events(self, satellite: str, kind: str) -> list[dict[str, object]]:
        found = [json.loads(payload) for payload in self.payloads(f"satellite/{satellite}/event")]
        return [event for event in found if event["event_type"] == kind]

    async def until(self, true: Callable[[], object], what: str = "") -> None:
        """Wait for what has been published to make this true."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            listing = "\n".join(f"{topic} {payload}" for topic, payload, _ in self.seen)
            raise AssertionError(f"never seen: {what}\n{listing}") from None

    def ended(self) -> bool:
        """Whether a turn is over, and in the history."""
        return any(topic.endswith("/event/turn.ended") for topic, _, _ in self.seen)

    def said(self, topic: str) -> str:
        """The text of the first message on a satellite's topic of words."""
        return str(json.loads(self.payloads(topic)[0])["text"])

    async def publish(self, topic: str, payload: str = "", *, retain: bool = False) -> None:
        await self.client.publish(f"{self.base}/{topic}", payload, qos=1, retain=retain)


@asynccontextmanager
async def house(
    folder: Path, config: str, *, broker_port: int | None, drop_ins: Sequence[Path] = (HERE / "lamp.py",)
) -> AsyncIterator[House]:
    """A daemon that is ready. broker_port: of a broker on this machine; None: its own embedded one."""
    (folder / "plugins").mkdir(mode=0o755)
    for file in drop_ins:
        shutil.copy(file, folder / "plugins" / file.name)
        (folder / "plugins" / file.name).chmod(0o644)
    own_port = f"host = '127.0.0.1'\nport = {broker_port}" if broker_port is not None else "port = 1"
    path = folder / "vonad.toml"
    path.write_text(f"{ALONE}\n[mqtt]\n{own_port}\n{config}\n")
    places = Directories(config=folder, state=folder / "state", runtime=folder / "run", cache=folder / "cache")
    requests, ready = Requests(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(load(path, {}), places, requests, environ={}, started=ready.set_result))
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    port = broker_port or int((places.state / "embedded_broker_port").read_text())
    try:
        yield House(folder, ready.result(), requests, "127.0.0.1", port)
    finally:
        requests.stop.set()
        await asyncio.wait_for(running, 15)


@asynccontextmanager
async def watch(home: House) -> AsyncIterator[Watcher]:
    """See everything that the daemon publishes from now on, and what is retained."""
    async with aiomqtt.Client(home.host, home.port, protocol=aiomqtt.ProtocolVersion.V311) as client:
        watcher = Watcher(client, home.base)
        await client.subscribe(f"{home.base}/#", qos=1)

        async def listen() -> None:
            async for message in client.messages:
                payload = bytes(message.payload) if isinstance(message.payload, bytes | bytearray) else b""
                watcher.note(str(message.topic), payload.decode(), retained=bool(message.retain))

        listening = asyncio.create_task(listen())
        try:
            await watcher.until(lambda: "online" in watcher.payloads("status"), "status online")
            yield watcher
        finally:
            listening.cancel()
            await asyncio.wait({listening})
