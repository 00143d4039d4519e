"""The Runtime: opens the parts, and turns wakes and requests into running sessions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from zoneinfo import ZoneInfo

from vonad.announcing import Announcing
from vonad.bus import Bus
from vonad.clock import Clock
from vonad.directories import Directories
from vonad.engine import SpeechToText
from vonad.errors import VonadError
from vonad.events import Event, coarse
from vonad.frame import Frame
from vonad.history import Journal
from vonad.host import Voice
from vonad.lines import Lines, Satellite
from vonad.parts import Parts
from vonad.plan import SATELLITE_ID, Plan, Refusal, Style, Wake
from vonad.plans import plan_session, plan_wake
from vonad.plugins import Plugins
from vonad.policy import DefaultPolicy, Policy
from vonad.resilience import BreakerState
from vonad.session.announcement import Announcement, new_announcement
from vonad.session.machine import State
from vonad.session.session import Session
from vonad.session.turn import Turn
from vonad.sessions import Sessions
from vonad.settings import Settings
from vonad.sounds import Sounds
from vonad.wake.gate import Gate

log = logging.getLogger(__name__)

GRACE_S = 5.0
"""What open sessions get to end when the daemon stops."""

OPENING = frozenset({State.CREATED, State.CONNECTING, State.LISTENING})
"""States in which the microphone is open, or about to be."""


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
        self.parts = parts = Parts(
            plugins,
            clock=clock,
            journal=journal,
            directories=directories,
            timezone=timezone,
            voice=RuntimeVoice(self),
            satellites=lambda: [satellite.id for satellite in self.lines.online],
            changed=self._part_changed,
            breaker_changed=self._breaker_changed,
        )
        self._bus = bus
        self._journal = journal
        self._clock = clock
        self._policy = Policy(plugins.hook, self._hook_failed, clock=clock)
        plugins.register_policy(DefaultPolicy(lambda wake: plan_wake(self.settings, wake), risk=parts.catalogue.risk))
        self.announcing = Announcing(self._announce, bus=bus, journal=journal, clock=clock)
        self.sounds = Sounds(directories, clock=clock, speak=self._speak)
        self.lines = Lines(parts, bus=bus, clock=clock, wake=self.wake, came=self.announcing.came)
        self.sessions = Sessions(
            parts,
            self._policy,
            bus=bus,
            journal=journal,
            clock=clock,
            publish=self._session_event,
            breaker_changed=self._breaker_changed,
            cues=self.sounds,
        )
        self._gate = self._new_gate(settings)
        self._group = asyncio.TaskGroup()
        self._rendering: asyncio.Task[None] | None = None
        self._stopping = False

    # Life

    async def run(self, stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Open everything, serve until `stop`, close everything in reverse order."""
        async with self._group:
            self.announcing.open(self._group)
            await self.configure(self.settings)
            started()
            await stop.wait()
            self._stopping = True
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
        self._gate = self._new_gate(settings, after=self._gate)
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
        return self.sessions.speak(backends, text, language=language, style=style)

    async def _sessions_over(self) -> None:
        try:
            async with self._clock.deadline(GRACE_S):
                while len(self.sessions):
                    await self._clock.sleep(0.01)
        except TimeoutError:
            log.warning("%d sessions did not end within %g s", len(self.sessions), GRACE_S)

    def _new_gate(self, settings: Settings, *, after: Gate | None = None) -> Gate:
        return Gate(
            self._clock,
            max_age_s=settings.wake.max_age_s,
            cooldown_s=settings.wake.cooldown_s,
            turns_per_minute=settings.policy.turns_per_minute,
            after=after,
        )

    # Wakes

    def wake(self, wake: Wake) -> Session | Refusal:
        """Open a satellite's microphone, or not: accepted or refused, counted, recorded, and never an exception."""
        judged = self._judge(wake)
        if isinstance(judged, Refusal):
            return self.refuse(wake, judged)
        satellite, plan = judged
        session = satellite.session
        opens = session is None or session.over or session.plan.backends[0] != plan.backends[0]
        if session is None or opens:
            try:
                session = self._open(plan, satellite)
            except VonadError as error:
                return self.refuse(wake, Refusal("overload", error.message))
        self._gate.count(wake.satellite)
        self._journal.wake(wake.satellite, wake.source, wake.phrase, wake.score, accepted=True, reason="", detail="")
        data = {"id": wake.id, "source": wake.source, "phrase": wake.phrase, "score": wake.score}
        conversation = session.view().conversation_id
        self._bus.publish(Event("wake.accepted", data, wake.satellite, session.id, conversation))
        if opens:
            session.opened_by(wake)
            self.sessions.start(session, satellite, self._group)
        elif wake.text is not None:
            session.preempt(wake.text)
        else:
            session.listen(wake)
        return session

    def refuse(self, wake: Wake, refusal: Refusal) -> Refusal:
        """Record and publish that a wake opens nothing."""
        reason, detail = refusal.reason, refusal.detail
        self._journal.wake(
            wake.satellite, wake.source, wake.phrase, wake.score, accepted=False, reason=reason, detail=detail
        )
        data = {"id": wake.id, "source": wake.source, "phrase": wake.phrase, "reason": reason, "detail": detail}
        named = wake.satellite if SATELLITE_ID.fullmatch(wake.satellite) else None
        self._bus.publish(Event("wake.refused", data, named))
        return refusal

    def _judge(self, wake: Wake) -> tuple[Satellite, Plan] | Refusal:
        satellite = self.lines.find(wake.satellite)
        if satellite is None:
            return Refusal("unknown_satellite", f"{wake.satellite!r:.80} is not connected; {self.lines.who()}")
        session = satellite.session
        refusal = self._gate.check(wake, speaking=session.speaking_text if session is not None else "")
        if refusal is not None:
            return refusal
        if self._stopping:
            return Refusal("overload", "the daemon is stopping")
        if session is not None and session.state in OPENING:
            return Refusal("busy", f"the microphone of {satellite.id} is open already")
        plan = self._policy.plan(wake, [open_.view() for open_ in self.sessions.open])
        return plan if isinstance(plan, Refusal) else (satellite, plan)

    # Requests

    async def create(self, satellite: str | None, backend: str | None) -> Session:
        """A session that waits for turns. Raises not_found, session_limit, backend_unavailable, session_busy."""
        place = self.lines.get(satellite) if satellite is not None else None
        if place is not None and place.session is not None and not place.session.over:
            where = f"{satellite} is in session {place.session.id} already"
            raise VonadError("session_busy", f"{where}: take a turn in that one", op="create")
        session = self._open(plan_session(self.settings, satellite, purpose="idle", backend=backend), place)
        self.sessions.start(session, place, self._group)
        await session.opened.wait()
        return session

    async def text(self, satellite: str, text: str, *, request_id: str | None) -> Turn:
        """A turn from text on a satellite. Raises not_found, rate_limited, wake_refused, session_busy."""
        place = self.lines.get(satellite)
        refusal = self._gate.rate(satellite)
        if refusal is not None:
            raise VonadError("rate_limited", refusal.detail, op="text", retryable=True)
        refusal = self._gate.duplicate(request_id)
        if refusal is not None:
            raise VonadError("wake_refused", f"duplicate: {refusal.detail}", op="text")
        session = place.session
        if session is not None and not session.over:
            turn = session.ask(text, request_id=request_id)
        else:
            session = self._open(plan_session(self.settings, satellite, purpose="idle"), place)
            self.sessions.start(session, place, self._group)
            await session.opened.wait()
            turn = session.ask(text, request_id=request_id)
        self._gate.count(satellite)
        return turn

    def _announce(self, announcement: Announcement) -> None:
        """Announce; a session opens for it where there is none. Raises not_found, overload, session_limit."""
        satellite = announcement.satellite
        place = self.lines.get(satellite)
        session = place.session
        if session is not None and not session.over:
            session.say(announcement)
            return
        session = self._open(plan_session(self.settings, satellite, purpose="say"), place)
        session.say(announcement)
        self.sessions.start(session, place, self._group)

    def _open(self, plan: Plan, place: Satellite | None) -> Session:
        if self._stopping:
            raise VonadError("overload", "the daemon is stopping", op="session")
        if place is not None and place.session is not None:
            place.session.close("superseded")
        return self.sessions.create(plan, place, self.settings, self._group)

    # Telling

    def _session_event(self, event: Event) -> None:
        satellite = self.lines.find(event.satellite)
        if event.type == "session.state" and satellite is not None:
            session = satellite.session
            if session is None or session.id == event.session_id:
                before, satellite.state = satellite.state, coarse(str(event.data["state"]))
                if before != "idle" and satellite.state == "idle":
                    self._gate.rested(satellite.id)
        self._bus.publish(event)

    def _part_changed(self, label: str, reason: str) -> None:
        self._bus.publish(Event("backend.health", {"name": label, "ok": not reason, "detail": reason}))

    def _breaker_changed(self, name: str, state: BreakerState) -> None:
        log.warning("the circuit breaker of engine %s is %s", name, state)
        self._bus.publish(Event("breaker.state", {"name": name, "state": state}))

    def _hook_failed(self, hook: str, error: VonadError) -> None:
        log.error("policy: %s", error.message)
        self._bus.publish(Event("error", {"code": error.code, "message": error.message, "op": hook}))


class RuntimeVoice(Voice):
    """What a component may ask of the house."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def say(self, satellite: str, text: str) -> str:
        return self._runtime.announcing.say(new_announcement(text, satellite=satellite)).id
