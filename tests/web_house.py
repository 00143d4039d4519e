"""A small house for tests of its HTTP face: real events on a real Bus, everything else by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import httpx

from vonad import SessionView, SystemClock, VonadError, Wake
from vonad.bus import Bus
from vonad.history import FallbackRun, SkillRun
from vonad.plan import AS_SET
from vonad.views import AnnouncementView
from vonad.web.api import build_app
from vonad.web.events import Events
from vonad.web.server import serve_web
from vonad.why import Step, Why


def view(session_id: str, **changes) -> SessionView:
    facts = {"conversation_id": "c1", "satellite": None, "state": "idle", "turn": 0, "backend": "bridge"}
    return SessionView(session_id=session_id, created="2025-11-21T00:00:00.000Z", **(facts | changes))


@dataclass
class Past:
    turn_id: str = "s1-1"
    session_id: str = "s1"
    satellite: str | None = "desk"
    ts: str = "2025-11-21T00:00:00.000Z"
    transcript: str | None = "what time is it"
    reply: str | None = "It is noon."
    heard: str | None = "It is noon."
    outcome: str | None = "completed"
    skills: tuple[str, ...] = ("clock",)


class FakeSessions:
    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.views = {"s1": view("s1")}
        self.asked: list[tuple[str, str]] = []
        self.slow = False
        self.confirm = False
        self.created: list[dict[str, object]] = []
        self.options: list[tuple[str, bool | None]] = []
        self.schemas: list[object] = []
        self.budgets: list[object] = []
        self.unfit = False
        self.reply = "It is noon."
        self.injected: list[tuple[str, object, str]] = []

    async def create(
        self, *, satellite=None, initial_turn="defer", text=None, overrides=AS_SET, resume=None, output_schema=None
    ):
        self.created.append({"overrides": overrides, "resume": resume})
        self.schemas.append(output_schema)
        if satellite not in (None, "desk"):
            raise VonadError("not_found", f"no satellite {satellite!r}; there is: desk")
        self.views["s2"] = view("s2", satellite=satellite)
        return self.views["s2"]

    def first_turn(self, session_id):
        return f"{session_id}-1"

    async def start_turn(self, session_id, text, *, on_busy="refuse", follow_up=None, budget=None, output_schema=None):
        await self.read(session_id)
        self.budgets.append(budget)
        self.schemas.append(output_schema)
        self.options.append((on_busy, follow_up))
        if text == "busy" and on_busy == "refuse":
            raise VonadError("session_busy", f"session {session_id} is answering", retryable=True, retry_after_ms=1500)
        self.asked.append((session_id, text))
        self.confirm = text == "open the lock"
        return SimpleNamespace(id=f"{session_id}-1")

    def session_of(self, turn_id):
        return turn_id.rsplit("-", 1)[0]

    async def wait(self, turn_id, seconds):
        if self.slow:
            raise VonadError("timeout", f"turn {turn_id} is not over after {seconds:g} s")
        session_id = turn_id.rsplit("-", 1)[0]
        if self.unfit:
            raise VonadError("structured_output_invalid", "$.room: wanted", details={"path": "$.room"})
        return SimpleNamespace(
            turn_id=turn_id,
            session_id=session_id,
            transcript="what time is it",
            reply="Unlocks a door. Shall I do this?" if self.confirm else self.reply,
            confirm=self.confirm,
            heard="",
            outcome="completed",
            output={"room": "kitchen"} if self.schemas[-1:] != [None] else None,
        )

    async def interrupt(self, session_id):
        await self.read(session_id)
        raise VonadError("session_not_running", f"session {session_id} has no running turn")

    async def inject(self, session_id, event, mode="queue"):
        await self.read(session_id)
        self.injected.append((session_id, event, mode))
        return {"queue": "queued", "steer": "steered", "interrupt": "interrupted"}[mode]

    async def compact(self, session_id):
        await self.read(session_id)
        return 4000, 900

    @contextmanager
    def subscribe(self, session_id=None, *, limit=1000):
        with self.bus.subscribe(limit=limit, session_id=session_id) as subscription:
            if session_id is not None and self.views[session_id].state == "closed":
                subscription.close()
            yield subscription

    async def read(self, session_id):
        if session_id not in self.views:
            raise VonadError("session_not_found", f"no session {session_id!r}")
        return self.views[session_id]

    async def list(self, *, limit=50, offset=0):
        return list(self.views.values())[offset : offset + limit]

    async def archive(self, session_id):
        await self.read(session_id)
        del self.views[session_id]


class FakeHouse:
    version = "0.0.test"

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.woken: list[Wake] = []
        self.refused: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.said: list[str] = []
        self.announced: dict[str, AnnouncementView] = {}
        self.say_options: dict[str, object] = {}
        self.kept = 0
        self.deleted: dict[str, object] = {}
        self.refuse_next = ""
        self.is_ready = True
        self.broken = False

    def satellites(self):
        state = {"id": "desk", "name": "Desk", "area": None, "state": "idle", "online": True}
        return [SimpleNamespace(**state, transport="desk", session_id=None)]

    def wake(self, wake):
        self.woken.append(wake)
        reason = self.refuse_next or ("" if wake.satellite == "desk" else "unknown_satellite")
        return SimpleNamespace(accepted=not reason, reason=reason, detail="", session_id=None if reason else "s2")

    def refuse(self, *, satellite, source, reason, detail, id=None):
        self.refused.append((satellite, reason))

    def error(self, code, message, *, op, satellite=None, id=None):
        self.errors.append(message)

    async def text(self, satellite, text, *, id=None, on_busy="refuse"):
        if text == "busy" and on_busy == "refuse":
            raise VonadError("session_busy", f"{satellite} is answering")
        return SimpleNamespace(id="s2-1")

    def say(self, satellite, text, *, id=None, priority=0, durable=False, **options):
        self.said.append(text)
        self.say_options = {"priority": priority, "durable": durable, **options}
        state = {"never": "queued", "unheard": "failed"}.get(text, "finished")
        reason = "the speaker is gone" if state == "failed" else ""
        name = id or "a1"
        self.announced[name] = AnnouncementView(
            name, satellite, text, state, reason, priority=priority, durable=durable
        )
        return name

    def announcement(self, id):
        if id not in self.announced:
            raise VonadError("not_found", f"no announcement {id!r} of late")
        return self.announced[id]

    async def wait_said(self, id, seconds):
        announcement = self.announcement(id)
        if announcement.state == "queued":
            why = f"announcement {id!r} is still queued after {seconds:g} s"
            raise VonadError("timeout", why, details={"id": id})
        return announcement

    def cancel_say(self, id):
        return self.announcement(id).state == "queued"

    async def says_kept(self):
        self.kept += 1

    def stop(self, satellite):
        return True

    async def history(self, *, limit=20, search=None, satellite=None, before=None):
        if self.broken:
            raise RuntimeError("a defect, with /secret/path in it")
        return [Past()][:limit]

    async def turn(self, turn_id):
        if turn_id != "s1-1":
            raise VonadError("not_found", f"no turn {turn_id!r}")
        return Past()

    async def why(self, turn_id="last"):
        if turn_id not in ("s1-1", "last"):
            raise VonadError("not_found", f"no turn {turn_id!r}")
        steps = (
            Step("speech", 1000.0, 1000.0, "the user"),
            Step("endpoint", 1200.0, 200.0, "endpointing"),
            Step("agent_first_token", 2000.0, 800.0, "bridge: agent"),
        )
        attempt = SkillRun(
            call_id="k1",
            name="clock",
            risk="read",
            arguments="{}",
            ts="2025-11-21T00:00:00.000Z",
            outcome="done",
            duration_ms=3.25,
            detail="a\x1b[2Jb",
        )
        fallback = FallbackRun(
            reason="silence",
            from_backend="cloud",
            to_backend="bridge",
            outcome="completed",
            duration_ms=41.5,
            ts="2025-11-21T00:00:00.000Z",
        )
        return Why(
            turn_id="s1-1",
            session_id="s1",
            satellite="desk",
            ts="2025-11-21T00:00:00.000Z",
            source="voice",
            outcome="completed",
            transcript="what time\x1b is it",
            backend="bridge",
            degraded=True,
            audio_gap=True,
            endpoint="semantic",
            first_audio_ms=420.0,
            total_ms=2000.0,
            steps=steps,
            slowest=steps[2],
            attempts=(attempt,),
            fallbacks=(fallback,),
        )

    async def wakes(self, *, limit=50):
        return [{"satellite": "desk", "accepted": True}]

    async def delete_history(self, *, last=False, everything=False, before=None, satellite=None):
        self.deleted = {"last": last, "everything": everything, "before": before, "satellite": satellite}
        return 3

    async def export_history(self):
        for number in range(3):
            yield {"turn_id": f"s1-{number}", "transcript": "größer"}

    def skills(self):
        return [
            SimpleNamespace(
                name="clock",
                description="Tells the time",
                sentences=("what time is it",),
                risk="read",
                timeout_s=5.0,
                plugin="clock",
            )
        ]

    def plugins(self):
        return [
            SimpleNamespace(
                name="clock",
                origin="bundled",
                version="1",
                location="vonad_clock",
                offers=("skill:clock",),
                running=True,
                reason="",
            )
        ]

    async def reload(self):
        return ["[skills.clock]"]

    def health(self):
        return {"ok": False, "ready": self.is_ready, "parts": {"[engines.espeak]": "it is mute"}}

    def ready(self):
        return self.is_ready

    def events(self, *, limit=1000):
        return self.bus.subscribe(limit=limit)


@dataclass
class Served:
    """A house that is served."""

    socket: Path
    port: int
    house: FakeHouse
    sessions: FakeSessions
    bus: Bus
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def client(self, **options) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket), verify=False)
        return httpx.AsyncClient(transport=transport, base_url="http://vonad", timeout=10, **options)


def unserved() -> tuple[Served, httpx.AsyncClient]:
    """A fake house and a client that talks to its application directly, as if through the socket."""
    bus = Bus("test", SystemClock())
    world = Served(Path(), 0, FakeHouse(bus), FakeSessions(bus), bus)
    events = Events(lambda session_id, limit: world.sessions.subscribe(session_id, limit=limit))
    app = build_app(SimpleNamespace(sessions=world.sessions, house=world.house), events)
    return world, httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://vonad", timeout=10)


@asynccontextmanager
async def served(directory: Path, *, port: int | None = None) -> AsyncIterator[Served]:
    """Serve a fake house on a socket in `directory`, and on a port if one is given."""
    bus = Bus("test", SystemClock())
    world = Served(directory / "vonad.sock", port or 0, FakeHouse(bus), FakeSessions(bus), bus)
    service = SimpleNamespace(sessions=world.sessions, house=world.house)
    settings = SimpleNamespace(web=SimpleNamespace(enabled=port is not None, port=port))
    ready = asyncio.Event()

    async def serve() -> None:
        await serve_web(settings, service, socket_path=world.socket, stop=world.stop, ready=ready)
        world.done.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve())
        await asyncio.wait_for(ready.wait(), 10)
        try:
            yield world
        finally:
            world.stop.set()
