"""A small house for tests of its MQTT face: real events on a real Bus, verbs that note what they were asked."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiomqtt

from vonad import Event, SystemClock, VonadError, Wake
from vonad.bus import Bus
from vonad.identity import NodeIdentity
from vonad.mqtt.connection import Broker
from vonad.mqtt.frontend import serve_mqtt
from vonad.plan import ContextEvent
from vonad.settings import Mqtt

BASE = "vonad/home"
PATIENCE_S = 5.0


class FakeHouse:
    """wakes, texts, says, stops: what came. ready: set while MQTT is well."""

    def __init__(self, *satellites: str) -> None:
        self.bus = Bus("home", SystemClock())
        self.online = list(satellites)
        self.configured: list[str] = []
        self.sessions: dict[str, str] = {}
        self.wakes: list[Wake] = []
        self.refused: list[dict] = []
        self.texts: list[tuple[str, str, str | None]] = []
        self.queued: list[str] = []
        self.injected: list[tuple[str, ContextEvent, str]] = []
        self.say_options: dict[str, bool] = {}
        self.says: list[tuple] = []
        self.stops: list[str] = []
        self.health: list[tuple[bool, str]] = []
        self.ready = asyncio.Event()
        self.ill = asyncio.Event()
        self.broken: Exception | None = None

    def satellites(self):
        return [self._view(name, online=name in self.online) for name in {*self.online, *self.configured}]

    def _view(self, name, *, online):
        return SimpleNamespace(id=name, online=online, state="idle", session_id=self.sessions.get(name))

    def info(self):
        return {"version": "1", "node": "home", "satellites": self.online}

    def wake(self, wake):
        self.wakes.append(wake)
        if self.broken:
            raise self.broken
        known = wake.satellite if wake.satellite in self.online else None
        if wake.retained or known is None:
            reason = "retained" if wake.retained else "unknown_satellite"
            self.bus.publish(Event("wake.refused", {"id": wake.id, "reason": reason, "detail": ""}, known))
            return
        self.bus.publish(Event("wake.accepted", {"id": wake.id}, known, "s1"))
        self.bus.publish(Event("session.state", {"state": "listening", "previous": "idle"}, known, "s1"))

    def refuse(self, *, satellite, source, reason, detail, id=None):
        self.refused.append({"satellite": satellite, "source": source, "reason": reason, "detail": detail, "id": id})
        known = satellite if satellite in self.online else None
        self.bus.publish(Event("wake.refused", {"id": id, "reason": reason, "detail": detail}, known))

    async def text(self, satellite, text, *, id=None, on_busy="refuse"):
        self._known(satellite)
        if on_busy == "queue":
            self.queued.append(text)
        self.texts.append((satellite, text, id))

    def say(self, satellite, text, *, id=None, priority=0, interrupt=False, preannounce=False, durable=False):
        self._known(satellite)
        self.say_options = {"preannounce": preannounce, "durable": durable}
        self.says.append((satellite, text, id, priority, interrupt))
        return id or "made"

    async def inject(self, session_id, event, mode="queue"):
        if self.broken:
            raise self.broken
        if session_id not in self.sessions.values():
            raise VonadError("session_not_found", f"no session {session_id!r:.100}", op="session")
        self.injected.append((session_id, event, mode))
        applied = {"queue": "queued", "steer": "steered", "interrupt": "interrupted"}[mode]
        told = {"source": event.source, "mode": mode, "applied": applied}
        self.bus.publish(Event("context.injected", told, "desk", session_id))
        return applied

    def stop(self, satellite):
        self._known(satellite)
        self.stops.append(satellite)
        return True

    def _known(self, satellite):
        if self.broken:
            raise self.broken
        if satellite not in self.online:
            raise VonadError("not_found", f"satellite {satellite!r} is not connected", op="satellite")

    def error(self, code, message, *, op, satellite=None, id=None):
        self.bus.publish(Event("error", {"code": code, "message": message, "op": op, "id": id}, satellite))

    def events(self, *, limit=1_000):
        return self.bus.subscribe(limit=limit)

    @property
    def times_online(self) -> int:
        return [ok for ok, _ in self.health].count(True)

    def report(self, name, *, ok, detail=""):
        assert name == "mqtt"
        self.health.append((ok, detail))
        (self.ready if ok else self.ill).set()
        (self.ill if ok else self.ready).clear()


@asynccontextmanager
async def served(
    house: FakeHouse,
    port: int,
    *,
    wait: bool = True,
    clock=None,
    seed: int | None = None,
    speaks=None,
    ca_file=None,
    **settings,
) -> AsyncIterator[asyncio.Task]:
    """The frontend on a broker, until the `with` ends: then it is stopped as the daemon does it."""
    mqtt = Mqtt(host="127.0.0.1", port=port, **settings)
    password = mqtt.password.get_secret_value() if mqtt.password else None
    broker = Broker(
        host="127.0.0.1",
        port=port,
        username=mqtt.username,
        password=password,
        speaks=speaks,
        tls=ca_file is not None,
        ca_file=ca_file,
    )
    node = NodeIdentity("home", "0" * 8, "home")
    stop = asyncio.Event()
    rng = random.Random(seed) if seed is not None else None
    service = SimpleNamespace(house=house, sessions=house)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            serve_mqtt(mqtt, service, broker, node=node, clock=clock or SystemClock(), stop=stop, random=rng)
        )
        try:
            if wait:
                async with asyncio.timeout(PATIENCE_S):
                    await house.ready.wait()
            yield task
        finally:
            stop.set()


class Watcher:
    """Another client of the broker, which notes all it sees."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.seen: list[tuple[str, bytes, bool]] = []
        self._news = asyncio.Event()

    async def follow(self) -> None:
        async for message in self.client.messages:
            self.seen.append((message.topic.value, message.payload, bool(message.retain)))
            self._news.set()

    async def until(self, condition):
        """Wait until condition(self) is true; its value."""
        async with asyncio.timeout(PATIENCE_S):
            while not (value := condition(self)):
                self._news.clear()
                await self._news.wait()
            return value

    def payloads(self, leaf: str) -> list[bytes]:
        return [payload for topic, payload, _ in self.seen if topic == f"{BASE}/{leaf}"]

    def objects(self, leaf: str) -> list[dict]:
        return [json.loads(payload) for payload in self.payloads(leaf)]

    def retained(self) -> dict[str, bytes]:
        """What the broker had when we came."""
        return {topic.removeprefix(BASE + "/"): payload for topic, payload, kept in self.seen if kept}

    async def saw(self, leaf: str, payload: bytes) -> None:
        await self.until(lambda watcher: payload in watcher.payloads(leaf))

    async def told(self, leaf: str, **facts) -> dict:
        """An object on a topic with these values."""
        return await self.until(
            lambda watcher: next((o for o in watcher.objects(leaf) if facts.items() <= o.items()), None)
        )

    async def publish(self, leaf: str, payload=b"", *, retain: bool = False, qos: int = 1) -> None:
        await self.client.publish(f"{BASE}/{leaf}", payload, qos=qos, retain=retain)


@asynccontextmanager
async def watching(port: int, *filters: str, **options) -> AsyncIterator[Watcher]:
    async with aiomqtt.Client("127.0.0.1", port, **options) as client, asyncio.TaskGroup() as group:
        watcher = Watcher(client)
        task = group.create_task(watcher.follow())
        await client.subscribe([(filter_, 1) for filter_ in filters or (f"{BASE}/#",)])
        yield watcher
        task.cancel()
