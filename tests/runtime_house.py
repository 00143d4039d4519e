"""The real runtime and service over scripted parts: no daemon, no broker, a clock that a test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from tests.conversation import Hooks
from vonad.backend import ReplyDone, ReplyText
from vonad.bus import Bus
from vonad.directories import Directories
from vonad.engine import WakeWordDetector
from vonad.errors import VonadError
from vonad.events import Event
from vonad.frame import Frame
from vonad.history import open_journal
from vonad.host import Host, NoSettings, Role
from vonad.identity import NodeIdentity
from vonad.plan import Wake
from vonad.plugins.offer import Group, Offer
from vonad.policy import DefaultPolicy
from vonad.runtime import Runtime
from vonad.service import House, SessionService
from vonad.settings import load
from vonad.testing import (
    LoudnessDetector,
    ManualClock,
    ScriptedBackend,
    ScriptedLine,
    ScriptedTransport,
    settle,
    speech,
)

CONFIG = """
[session]
{session}
backends = ["scripted"]
vad = "loudness"
[wake]
words = []
[transports.scripted]
[backends.scripted]
[engines.loudness]
[transports.local]
enabled = false
[backends.bridge]
enabled = false
"""


class ScriptedPlugins:
    """Offers without plugins."""

    def __init__(self, parts: Mapping[tuple[Group, str], object], hooks: Hooks) -> None:
        self.hook = hooks
        self.statuses = ()
        self.offers = {
            key: Offer(
                group=key[0],
                kind=key[1],
                factory=_factory(part),
                settings=NoSettings,
                role=_role(part) if key[0] == "engines" else None,
                plugin="scripted",
            )
            for key, part in parts.items()
        }

    def offer(self, group: Group, kind: str) -> Offer:
        if (group, kind) not in self.offers:
            raise VonadError("not_found", f"no plugin offers {kind!r} among the {group}")
        return self.offers[group, kind]

    def load_anew(self, key: tuple[Group, str]) -> None:
        """The plugin that offers this has been loaded again."""
        self.offers[key] = replace(self.offers[key])

    def register_policy(self, policy: object) -> None:
        assert isinstance(policy, DefaultPolicy)
        self.hook.own, self.hook.plan, self.hook.risk = policy, policy.plan_session, policy.risk


def _role(engine: object) -> Role:
    return "wake" if isinstance(engine, WakeWordDetector) else "vad"


def _factory(part: object) -> Callable[[BaseModel, Host], object]:
    @asynccontextmanager
    async def opened(settings: BaseModel, host: Host) -> AsyncIterator[object]:
        if isinstance(part, Exception):
            raise part
        yield part

    return opened


class RuntimeHouse:
    """Everything of it, and what it says."""

    def __init__(self, runtime: Runtime, clock: ManualClock, house: House, sessions: SessionService) -> None:
        self.runtime = runtime
        self.clock = clock
        self.house = house
        self.sessions = sessions
        self.events: list[Event] = []
        self.news = asyncio.Event()
        self.transport = ScriptedTransport()
        self.backend = ScriptedBackend()
        self.plugins = ScriptedPlugins({}, Hooks())

    def told(self, type_: str) -> list[Event]:
        return [event for event in self.events if event.type == type_]

    def forget(self) -> None:
        """What happened so far: nobody but a test keeps events and dialogues, and a dialogue keeps its session."""
        self.events.clear()
        self.backend._dialogues.clear()

    async def until(self, type_: str) -> None:
        """Wait for an event that the database, a real thread, is waited for with."""
        async with asyncio.timeout(10):
            while not self.told(type_):
                self.news.clear()
                await self.news.wait()

    async def connect(self, name: str = "desk") -> ScriptedLine:
        line = ScriptedLine(name)
        self.transport.waiting.put_nowait(line)
        await settle()
        return line

    def wake(self, satellite: str = "desk", **more: object) -> Wake:
        return Wake(**{"satellite": satellite, "source": "mqtt", "at": self.clock.monotonic(), **more})  # type: ignore[arg-type]

    async def asked(self, satellite: str = "desk", **more: object) -> str:
        """Wake it; the reason of a refusal, or `accepted`."""
        answer = self.house.wake(self.wake(satellite, **more))
        await settle()
        return "accepted" if answer.accepted else answer.reason

    def answer_with(self, reply: str) -> None:
        dialogue = self.backend.dialogue

        def say(_: str) -> None:
            sound = Frame(speech(0.5).samples, 16_000, turn=dialogue.turn)
            dialogue.emit(ReplyText(dialogue.turn, reply), sound, ReplyDone(dialogue.turn))

        dialogue.on_say = say


@asynccontextmanager
async def runtime_house(
    folder: Path,
    config: str = "",
    *,
    session: str = "",
    parts: Mapping[tuple[Group, str], object] | None = None,
    history: bool = True,
    clock: ManualClock | None = None,
) -> AsyncIterator[RuntimeHouse]:
    """A runtime that has opened its parts; no satellite is connected yet."""
    path = folder / "vonad.toml"
    path.write_text(CONFIG.format(session=session) + config)
    settings = load(path, {}).settings
    clock, hooks = clock or ManualClock(), Hooks()
    bus = Bus("home", clock)
    transport, backend = ScriptedTransport(), ScriptedBackend()
    offered: dict[tuple[Group, str], object] = {
        ("transports", "scripted"): transport,
        ("backends", "scripted"): backend,
        ("engines", "loudness"): LoudnessDetector(),
    }
    plugins = ScriptedPlugins({**offered, **(parts or {})}, hooks)
    places = Directories(config=folder, state=folder, runtime=folder, cache=folder)
    async with open_journal(folder / "vonad.db" if history else None, clock=clock, retention_days=0) as journal:
        runtime = Runtime(
            settings=settings,
            plugins=plugins,  # type: ignore[arg-type]  # it quacks
            directories=places,
            timezone=ZoneInfo("UTC"),
            bus=bus,
            journal=journal,
            clock=clock,
        )
        sessions = SessionService(runtime, clock)

        async def reloaded() -> list[str]:
            return await runtime.configure(load(path, {}).settings)

        house = House(
            runtime,
            sessions,
            node=NodeIdentity("home", "uuid", "Home"),
            version="0",
            bus=bus,
            journal=journal,
            plugins=plugins,  # type: ignore[arg-type]
            clock=clock,
            reloaded=reloaded,
        )
        made = RuntimeHouse(runtime, clock, house, sessions)
        made.transport, made.backend, made.plugins = transport, backend, plugins
        stop = asyncio.Event()
        with bus.subscribe() as subscription:
            listener = asyncio.create_task(_listen(subscription, made))
            running = asyncio.create_task(runtime.run(stop, lambda: None))
            await settle()
            try:
                yield made
            finally:
                stop.set()
                while not running.done():
                    await made.clock.advance(0.05)
                    await asyncio.sleep(0)
                await running
                subscription.close()
                await listener


async def _listen(events: AsyncIterator[Event], into: RuntimeHouse) -> None:
    async for event in events:
        into.events.append(event)
        into.news.set()
