"""The Runtime: opens the parts, owns lines and sessions, and tells what happens in them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from zoneinfo import ZoneInfo

from vonad.announcing import Announcing
from vonad.bus import Bus
from vonad.clock import Clock
from vonad.component_voice import ComponentVoice
from vonad.directories import Directories
from vonad.engine import SpeechToText
from vonad.equipment import Equipment
from vonad.errors import VonadError
from vonad.events import Event
from vonad.frame import Frame
from vonad.history import Journal
from vonad.lines import Lines
from vonad.part import Part
from vonad.part_host import Facilities
from vonad.parts import Parts
from vonad.plan import Refusal, Style, Wake
from vonad.plans import plan_wake
from vonad.plugins import Plugins
from vonad.policy import DefaultPolicy, Policy
from vonad.reaper import Reaper
from vonad.reception import Reception
from vonad.resilience import BreakerState
from vonad.session.announcement import Announcement
from vonad.session.session import Session
from vonad.sessions import Sessions
from vonad.settings import Settings
from vonad.skill import Risk
from vonad.sounds import Sounds

log = logging.getLogger(__name__)

GRACE_S = 5.0
"""What open sessions get to end when the daemon stops."""


class Runtime:
    """All calls on the event loop. Verbs act at once; `run` is the life of everything below it."""

    def __init__(
        self,
        *,
        settings: Settings,
        plugins: Plugins,
        directories: Directories,
        timezone: ZoneInfo,
        bus: Bus,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.voice = ComponentVoice(self._say)
        facilities = Facilities(
            clock=clock,
            journal=journal,
            directories=directories,
            timezone=timezone,
            voice=self.voice,
            satellites=lambda: [satellite.id for satellite in self.lines.online],
        )
        self.parts = parts = Parts(
            plugins,
            facilities,
            changed=self._part_changed,
            leaves=self._part_leaves,
            breaker_changed=self._breaker_changed,
        )
        self.bus = bus
        self.journal = journal
        self._clock = clock
        self._policy = Policy(plugins.hook, self._hook_failed, clock=clock)
        own = DefaultPolicy(
            lambda wake: plan_wake(self.settings, wake),
            risk=parts.catalogue.risk,
            there=self._risk_there,
            does=self._does_there,
        )
        plugins.register_policy(own)
        self.announcing = Announcing(self._announce, bus=bus, journal=journal, clock=clock)
        self.sounds = Sounds(directories, clock=clock, speak=self._speak)
        self.lines = Lines(parts, settings=settings, bus=bus, clock=clock, wake=self.wake, came=self.announcing.came)
        self.equipment = Equipment(
            parts,
            self._policy,
            journal=journal,
            clock=clock,
            publish=self._session_event,
            breaker_changed=self._breaker_changed,
            backend_told=lambda name, why: self._part_changed(f"[backends.{name}]", why),
            cues=self.sounds,
        )
        self.sessions = Sessions(self.equipment, bus=bus, journal=journal, clock=clock)
        self._reaper = Reaper(lambda: self.sessions.opened, lambda: self.settings.session.idle_timeout_s, clock)
        self._group = asyncio.TaskGroup()
        self.reception = Reception(
            self.lines,
            self.sessions,
            self._policy,
            settings=settings,
            group=self._group,
            bus=bus,
            journal=journal,
            clock=clock,
        )
        self._rendering: asyncio.Task[None] | None = None

    # Life

    async def run(self, stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Open everything, serve until `stop`, close everything in reverse order."""
        async with self._group:
            self.announcing.open(self._group)
            await self.configure(self.settings)
            reaping = self._group.create_task(self._reaper.run(), name="reaper")
            started()
            await stop.wait()
            self.reception.close()
            reaping.cancel()
            for session in self.sessions.open:
                session.close("shutdown")
            await self._sessions_over()
            await self.announcing.close()
            self._prepare_sounds(None)
            self.lines.take_no_more()
            await self.parts.close()
            self.lines.hang_up()

    async def configure(self, settings: Settings) -> list[str]:
        """Take settings up, at the start and at each reload; the labels of the parts that changed."""
        self.settings = settings
        self.reception.configure(settings)
        self.sounds.configure(settings)
        changed = await self.parts.apply(settings, self._group)
        await self._prepare()
        self._prepare_sounds(self._group)
        self.lines.serve(settings, self._group)
        return changed

    async def _prepare(self) -> None:
        """Recognisers compile what can be said before somebody says it."""
        for name in self.parts.engines("stt"):
            try:
                async with self.parts.lease(SpeechToText, "stt", name) as engine:
                    await engine.prepare(self.parts.catalogue.sentences, self.settings.node.language)
            except VonadError as error:
                log.warning("[engines.%s] could not prepare the skills' sentences: %s", name, error.message)
            except Exception:  # a defect of the engine's: its first turn will say so too
                log.exception("[engines.%s] could not prepare the skills' sentences", name)

    def _prepare_sounds(self, group: asyncio.TaskGroup | None) -> None:
        """Have phrases spoken ahead of need, alongside; without a group no more."""
        if self._rendering is not None:
            self._rendering.cancel()
        self._rendering = group.create_task(self.sounds.prepare(), name="phrases") if group is not None else None

    def _speak(self, backends: tuple[str, ...], text: str, language: str, style: Style) -> AsyncIterator[Frame]:
        return self.equipment.speak(backends, text, language=language, style=style)

    async def _sessions_over(self) -> None:
        try:
            async with self._clock.deadline(GRACE_S):
                while len(self.sessions):
                    await self._clock.sleep(0.01)
        except TimeoutError:
            log.warning("%d sessions did not end within %g s", len(self.sessions), GRACE_S)

    # Telling

    def _say(self, announcement: Announcement) -> Announcement:
        return self.announcing.say(announcement)

    def _announce(self, announcement: Announcement) -> None:
        self.reception.announce(announcement)

    def wake(self, wake: Wake) -> Session | Refusal:
        """Open a satellite's microphone, or not."""
        return self.reception.wake(wake)

    def _session_event(self, event: Event) -> None:
        if event.type != "latency.mark":  # the most there are, and no news of the session
            if event.type == "session.state":
                self.lines.follow(event)
            self.sessions.heard(event)
        self.bus.publish(event)

    def _risk_there(self, session_id: str, name: str) -> Risk | None:
        return self.sessions.risk(session_id, name)

    def _does_there(self, session_id: str, name: str) -> str:
        return self.sessions.description(session_id, name)

    def _part_changed(self, label: str, reason: str) -> None:
        self.bus.publish(Event("backend.health", {"name": label, "ok": not reason, "detail": reason}))

    def _part_leaves(self, part: Part) -> None:
        """Whoever talks to it, or through it, is told before it is gone."""
        if part.group == "backends":
            for session in self.sessions.open:
                session.unload(part.name)
        elif part.group == "transports":
            self.lines.leave(part)

    def _breaker_changed(self, name: str, state: BreakerState) -> None:
        log.warning("the circuit breaker of engine %s is %s", name, state)
        self.bus.publish(Event("breaker.state", {"name": name, "state": state}))

    def _hook_failed(self, hook: str, error: VonadError) -> None:
        log.error("policy: %s", error.message)
        self.bus.publish(Event("error", {"code": error.code, "message": error.message, "op": hook}))
