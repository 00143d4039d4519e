"""The service: the one way in for every face. SessionService is about conversations, House about everything else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from datetime import datetime

from vonad.admission import OnBusy, QueuedTurn
from vonad.bus import Bus, Subscription
from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.events import Event
from vonad.health import Health
from vonad.history import Journal, TurnDetail, TurnView, UnknownAction, WakeView
from vonad.identity import NodeIdentity
from vonad.plan import REFUSALS, SATELLITE_ID, Refusal, Style, Wake
from vonad.plugins import Plugins, PluginStatus
from vonad.runtime import Runtime
from vonad.session.announcement import new_announcement
from vonad.session.turn import Turn
from vonad.session_service import SessionService
from vonad.views import (
    AnnouncementView,
    SatelliteView,
    SkillView,
    WakeAnswer,
    announcement_view,
    satellite_views,
    skill_views,
)
from vonad.why import Why, why

__all__ = ["House", "Service", "SessionService"]


class House:
    """Satellites, wakes, announcements, history, skills, plugins.

    reloaded: reads the configuration again and takes it up; the labels of what changed.
    """

    def __init__(
        self,
        runtime: Runtime,
        sessions: SessionService,
        *,
        node: NodeIdentity,
        version: str,
        bus: Bus,
        journal: Journal,
        plugins: Plugins,
        clock: Clock,
        reloaded: Callable[[], Awaitable[list[str]]],
    ) -> None:
        self.node = node
        self.version = version
        self._runtime = runtime
        self._sessions = sessions
        self._bus = bus
        self._journal = journal
        self._clock = clock
        self._reloaded = reloaded
        self._health = Health(runtime, plugins, bus)

    # Satellites

    def satellites(self) -> list[SatelliteView]:
        """Those connected, and those configured that are not."""
        return satellite_views(self._runtime.lines.online, self._runtime.settings.satellites)

    def wake(self, wake: Wake) -> WakeAnswer:
        """Open a microphone; never raises, always counted."""
        outcome = self._runtime.reception.wake(wake)
        if isinstance(outcome, Refusal):
            return WakeAnswer(accepted=False, reason=outcome.reason, detail=outcome.detail)
        return WakeAnswer(accepted=True, session_id=outcome.id)

    def refuse(self, *, satellite: str, source: str, reason: str, detail: str, id: str | None = None) -> None:
        """Count a wake that could not even be decoded."""
        assert reason in REFUSALS
        wake = Wake(satellite=satellite, source=source, at=self._clock.monotonic(), id=id)
        self._runtime.reception.refuse(wake, Refusal(reason, detail))

    async def text(
        self, satellite: str, text: str, *, id: str | None = None, on_busy: OnBusy = "refuse"
    ) -> Turn | QueuedTurn:
        """A turn as if spoken. Raises not_found, rate_limited, session_busy, session_limit."""
        turn = await self._runtime.reception.text(satellite, text, request_id=id, on_busy=on_busy)
        return self._sessions.remember(turn.id.rsplit("-", 1)[0], turn)

    def say(
        self,
        satellite: str,
        text: str,
        *,
        id: str | None = None,
        priority: int = 0,
        interrupt: bool = False,
        interruptible: bool = True,
        preannounce: bool = False,
        durable: bool = False,
        style: Style | None = None,
        volume: float = 1.0,
    ) -> str:
        """Queue an announcement; its id, which `say.finished` repeats.

        Raises not_found, overload, malformed; capability_unsupported for a style that no backend there can follow.

        interruptible: whether somebody who speaks cuts it short; `stop` always does.
        preannounce:   a chime comes first.
        durable:       waits for an absent satellite, and over a restart, until it was said.
        volume:        0..1 of the voice's own loudness.
        """
        if not text.strip():
            raise VonadError("malformed", "an announcement needs a text", op="say")
        if not 0.0 <= volume <= 1.0:
            raise VonadError("malformed", f"volume {volume:g}: it is from 0 to 1", op="say")
        if not SATELLITE_ID.fullmatch(satellite):
            raise VonadError("not_found", f"{satellite!r:.80} is no satellite's id: a-z 0-9 _ -, at most 64", op="say")
        if style is not None:
            self._runtime.reception.check_style(satellite)
        announcement = new_announcement(
            text,
            id=id,
            satellite=satellite,
            priority=priority,
            interrupt=interrupt,
            interruptible=interruptible,
            preannounce=preannounce,
            durable=durable,
            style=style,
            volume=volume,
        )
        return self._runtime.announcing.say(announcement).id

    def announcement(self, id: str) -> AnnouncementView:
        """One of the last 256. Raises not_found."""
        return announcement_view(self._runtime.announcing.get(id))

    async def wait_said(self, id: str, seconds: float) -> AnnouncementView:
        """One, once it is over. Raises not_found, timeout; it is said all the same."""
        return announcement_view(await self._runtime.announcing.wait(id, seconds))

    def cancel_say(self, id: str) -> bool:
        """Do not say it, or no further. False when it was over already. Raises not_found."""
        return self._runtime.announcing.cancel(id)

    async def says_kept(self) -> None:
        """Return when every durable announcement so far is on disk."""
        await self._runtime.announcing.saved()

    def stop(self, satellite: str) -> bool:
        """End playback, turn and follow-up at once. False when there was nothing to stop. Raises not_found."""
        session = self._runtime.lines.get(satellite).session
        forgotten = self._runtime.announcing.forget(satellite)
        if session is None or session.over:
            return forgotten > 0
        return self._runtime.sessions.get(session.id).admission.stop() or forgotten > 0

    # History

    async def history(
        self,
        *,
        limit: int = 20,
        search: str | None = None,
        satellite: str | None = None,
        before: datetime | None = None,
    ) -> list[TurnView]:
        """Turns, oldest first. Raises persistence_disabled, store_error."""
        return await self._journal.history(limit=limit, search=search, satellite=satellite, before=before)

    async def turn(self, turn_id: str) -> TurnDetail:
        """One turn; `last` is the latest. Raises not_found."""
        return await self._journal.turn(turn_id)

    async def why(self, turn_id: str = "last") -> Why:
        """Where a turn's time went, and who was slow; `last` is the latest. Raises not_found."""
        return why(await self._journal.turn(turn_id))

    def recovered(self) -> tuple[UnknownAction, ...]:
        """Skills that had begun when vonad crashed: nobody knows whether they acted. None is run again."""
        return self._journal.recovered

    async def wakes(self, *, limit: int = 50) -> list[WakeView]:
        """Wakes, accepted and refused, oldest first."""
        return await self._journal.wakes(limit=limit)

    async def delete_history(
        self,
        *,
        last: bool = False,
        everything: bool = False,
        before: datetime | None = None,
        satellite: str | None = None,
    ) -> int:
        """Really delete; how many turns that were."""
        if self._journal.enabled:
            self._sessions.forget()
        return await self._journal.delete(last=last, everything=everything, before=before, satellite=satellite)

    def export_history(self) -> AsyncIterator[dict[str, object]]:
        """Every turn, as stored."""
        return self._journal.export()

    # The house

    def skills(self) -> list[SkillView]:
        """The skills that run."""
        return skill_views(self._runtime.parts.catalogue)

    def plugins(self) -> list[PluginStatus]:
        """Every plugin found; one that runs, but whose backend was lost, says so."""
        return self._health.plugins()

    def info(self) -> dict[str, object]:
        """What `info` on MQTT says."""
        web = self._runtime.settings.web
        return {
            "version": self.version,
            "node": self.node.id,
            "name": self.node.name,
            "plugins": {
                status.name: {"version": status.version, "running": status.running, "reason": status.reason}
                for status in self.plugins()
            },
            "satellites": [view.id for view in self.satellites() if view.online],
            "web": f"http://127.0.0.1:{web.port}" if web.enabled else None,
        }

    def health(self) -> dict[str, object]:
        """Whether everything that should run does, and what does not."""
        ills = self._health.ills()
        return {"ok": not ills, "ready": self._health.ready, "parts": ills}

    def report(self, name: str, *, ok: bool, detail: str = "") -> None:
        """A part of the house says how it is; published when that changes."""
        self._health.report(name, ok=ok, detail=detail)

    def now_ready(self) -> None:
        """Start-up is over: now somebody can be told what the last stop left open."""
        self._health.ready = True
        for action in self.recovered():
            message = (
                f"skill {action.name} had begun in turn {action.turn_id} when vonad crashed: nobody knows whether it "
                "was done; it is not done again"
            )
            self.error("skill_failed", message, op="recovery", satellite=action.satellite, id=action.call_id)

    def ready(self) -> bool:
        """Whether start-up is over."""
        return self._health.ready

    async def reload(self) -> list[str]:
        """Read the configuration and the drop-in plugins again. Raises invalid_config: then all stays as it was."""
        plugins, satellites, running = self._what_runs()
        changed = await self._reloaded()
        now = self._what_runs()
        # What did not run and still does not was tried once more: that is no change.
        if (plugins, satellites) != now[:2] or not (running | now[2]).isdisjoint(changed):
            self._bus.publish(Event("plugins.changed"))
        return changed

    def _what_runs(self) -> tuple[list[PluginStatus], set[str], set[str]]:
        """The plugins, the ids of the satellites, the labels of the parts that run."""
        running = {part.label for part in self._runtime.parts.all() if part.running}
        return self.plugins(), {view.id for view in self.satellites()}, running

    def error(self, code: str, message: str, *, op: str, satellite: str | None = None, id: str | None = None) -> None:
        """Publish that a request failed."""
        self._bus.publish(Event("error", {"code": code, "message": message, "op": op, "id": id}, satellite))

    def events(self, *, limit: int = 1_000) -> AbstractContextManager[Subscription]:
        """Everything that happens from now on."""
        return self._bus.subscribe(limit=limit)


class Service:
    """Both of them."""

    def __init__(self, sessions: SessionService, house: House) -> None:
        self.sessions = sessions
        self.house = house
