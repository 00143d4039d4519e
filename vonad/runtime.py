"""The Runtime: opens the parts, and turns wakes and requests into running sessions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from zoneinfo import ZoneInfo

from vonad.admission import OnBusy, QueuedTurn
from vonad.announcing import Announcing
from vonad.bus import Bus
from vonad.clock import Clock
from vonad.directories import Directories
from vonad.engine import SpeechToText
from vonad.equipment import Equipment
from vonad.errors import VonadError
from vonad.events import Event, coarse
from vonad.frame import Frame
from vonad.history import Journal
from vonad.host import Voice
from vonad.lines import Lines, Satellite
from vonad.parts import Parts
from vonad.plan import AS_SET, SATELLITE_ID, Overrides, Plan, Refusal, Style, Wake
from vonad.plans import plan_session, plan_wake
from vonad.plugins import Plugins
from vonad.policy import DefaultPolicy, Policy
from vonad.reaper import Reaper
from vonad.resilience import BreakerState
from vonad.session.announcement import Announcement, new_announcement
from vonad.session.machine import State
from vonad.session.session import Session
from vonad.session.turn import Turn
from vonad.sessions import Past, Sessions
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
        self.bus = bus
        self.journal = journal
        self._clock = clock
        self._policy = Policy(plugins.hook, self._hook_failed, clock=clock)
        plugins.register_policy(DefaultPolicy(lambda wake: plan_wake(self.settings, wake), risk=parts.catalogue.risk))
        self.announcing = Announcing(self._announce, bus=bus, journal=journal, clock=clock)
        self.sounds = Sounds(directories, clock=clock, speak=self._speak)
        self.lines = Lines(parts, bus=bus, clock=clock, wake=self.wake, came=self.announcing.came)
        self.equipment = Equipment(
            parts,
            self._policy,
            journal=journal,
            clock=clock,
            publish=self._session_event,
            breaker_changed=self._breaker_changed,
            cues=self.sounds,
        )
        self.sessions = Sessions(self.equipment, bus=bus, journal=journal, clock=clock)
        self._reaper = Reaper(lambda: self.sessions.opened, lambda: self.settings.session.idle_timeout_s, clock)
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
            reaping = self._group.create_task(self._reaper.run(), name="reaper")
            started()
            await stop.wait()
            self._stopping = True
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
        return self.equipment.speak(backends, text, language=language, style=style)

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
        self.journal.wake(wake.satellite, wake.source, wake.phrase, wake.score, accepted=True, reason="", detail="")
        data = {"id": wake.id, "source": wake.source, "phrase": wake.phrase, "score": wake.score}
        conversation = session.view().conversation_id
        self.bus.publish(Event("wake.accepted", data, wake.satellite, session.id, conversation))
        if opens:
            session.opened_by(wake)
            self.sessions.start(session, self._group)
        elif wake.text is not None:
            session.preempt(wake.text)
        else:
            session.listen(wake)
        return session

    def refuse(self, wake: Wake, refusal: Refusal) -> Refusal:
        """Record and publish that a wake opens nothing."""
        reason, detail = refusal.reason, refusal.detail
        self.journal.wake(
            wake.satellite, wake.source, wake.phrase, wake.score, accepted=False, reason=reason, detail=detail
        )
        data = {"id": wake.id, "source": wake.source, "phrase": wake.phrase, "reason": reason, "detail": detail}
        named = wake.satellite if SATELLITE_ID.fullmatch(wake.satellite) else None
        self.bus.publish(Event("wake.refused", data, named))
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

    async def create(
        self,
        satellite: str | None,
        overrides: Overrides = AS_SET,
        *,
        resume: str | None = None,
        text: str | None = None,
        request_id: str | None = None,
    ) -> tuple[Session, Turn | QueuedTurn | None]:
        """A session that waits for turns, and with a text its first turn: that may fail, the session is there.

        resume: a session that is over, or a conversation, that goes on. Raises not_found, session_limit, session_busy,
        backend_unavailable, capability_unsupported, malformed, session_not_found, session_already_active, and what the
        backend failed to open with.
        """
        place = self._free(satellite)
        plan = plan_session(self.settings, satellite, purpose="idle", overrides=overrides)
        with self.sessions.reserve(satellite, self.settings) as seat:
            past = await self._past(resume) if resume is not None else None
            if satellite is not None and self._free(satellite) is not place:
                raise VonadError("not_found", f"satellite {satellite} went away meanwhile", op="create")
            self._check_running(place)
            wanted = overrides.style is not None
            opened = self.sessions.build(
                plan, place, self.settings, self._group, seat=seat, past=past, style_wanted=wanted
            )
            session = self.sessions.commit(opened)
        turn = None
        if text is not None:
            turn = opened.admission.ask(text, on_busy="queue", request_id=request_id)
        self.sessions.start(session, self._group)
        await session.opened.wait()
        if session.over:
            why = f"session {session.id} ended before it had opened"
            raise opened.error or VonadError("backend_start_failed", why, op="create")
        opened.admission.look()
        return session, turn

    async def text(
        self, satellite: str, text: str, *, request_id: str | None, on_busy: OnBusy = "refuse"
    ) -> Turn | QueuedTurn:
        """A turn from text on a satellite. Raises not_found, rate_limited, wake_refused, session_busy."""
        place = self.lines.get(satellite)
        refusal = self._gate.rate(satellite)
        if refusal is not None:
            raise VonadError("rate_limited", refusal.detail, op="text", retryable=True)
        refusal = self._gate.duplicate(request_id)
        if refusal is not None:
            raise VonadError("wake_refused", f"duplicate: {refusal.detail}", op="text")
        turn: Turn | QueuedTurn | None
        if place.session is not None and not place.session.over:
            turn = self.sessions.get(place.session.id).admission.ask(text, on_busy=on_busy, request_id=request_id)
        else:
            _, turn = await self.create(satellite, text=text, request_id=request_id)
            assert turn is not None
        self._gate.count(satellite)
        return turn

    def _free(self, satellite: str | None) -> Satellite | None:
        """Where a session may open. Raises not_found, session_busy."""
        place = self.lines.get(satellite) if satellite is not None else None
        if place is not None and place.session is not None and not place.session.over:
            where = f"{satellite} is in session {place.session.id} already"
            raise VonadError("session_busy", f"{where}: take a turn in that one", op="create")
        return place

    async def _past(self, name: str) -> Past:
        """What was said in a conversation. Raises session_not_found, session_already_active, persistence_disabled."""
        for view in self.sessions.views():
            if name in {view.session_id, view.conversation_id}:
                name = view.conversation_id
                break
        conversation = await self.journal.conversation(name)
        history = tuple(await self.journal.recent(conversation))
        for session in self.sessions.open:  # last: another may have resumed it meanwhile
            if not session.over and session.view().conversation_id == conversation:
                why = f"its conversation goes on in session {session.id}: take a turn in that one"
                raise VonadError("session_already_active", f"{name!r:.100}: {why}", op="resume")
        return Past(conversation, history)

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
        self.sessions.start(session, self._group)

    def _open(self, plan: Plan, place: Satellite | None) -> Session:
        self._check_running(place)
        return self.sessions.create(plan, place, self.settings, self._group)

    def _check_running(self, place: Satellite | None) -> None:
        """Make way on a satellite. Raises overload."""
        if self._stopping:
            raise VonadError("overload", "the daemon is stopping", op="session")
        if place is not None and place.session is not None:
            place.session.close("superseded")

    # Telling

    def _session_event(self, event: Event) -> None:
        satellite = self.lines.find(event.satellite)
        if event.type == "session.state" and satellite is not None:
            session = satellite.session
            if session is None or session.id == event.session_id:
                before, satellite.state = satellite.state, coarse(str(event.data["state"]))
                if before != "idle" and satellite.state == "idle":
                    self._gate.rested(satellite.id)
        self.sessions.heard(event)
        self.bus.publish(event)

    def _part_changed(self, label: str, reason: str) -> None:
        self.bus.publish(Event("backend.health", {"name": label, "ok": not reason, "detail": reason}))

    def _breaker_changed(self, name: str, state: BreakerState) -> None:
        log.warning("the circuit breaker of engine %s is %s", name, state)
        self.bus.publish(Event("breaker.state", {"name": name, "state": state}))

    def _hook_failed(self, hook: str, error: VonadError) -> None:
        log.error("policy: %s", error.message)
        self.bus.publish(Event("error", {"code": error.code, "message": error.message, "op": hook}))


class RuntimeVoice(Voice):
    """What a component may ask of the house."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def say(self, satellite: str, text: str) -> str:
        return self._runtime.announcing.say(new_announcement(text, satellite=satellite)).id
