"""Reception: turns wakes and requests into sessions and turns, or says why not."""

import asyncio
import logging

from vonad.admission import OnBusy, QueuedTurn
from vonad.brought import Brought
from vonad.bus import Bus
from vonad.clock import Clock
from vonad.equipment import unstyled
from vonad.errors import VonadError
from vonad.history import Journal
from vonad.lines import Lines, Satellite
from vonad.opened import Opened
from vonad.output import OutputSchema
from vonad.plan import AS_SET, Budget, Overrides, Plan, Purpose, Refusal, Wake
from vonad.plans import plan_session, unopened, vetted
from vonad.policy import Policy
from vonad.session.announcement import Announcement
from vonad.session.session import Session
from vonad.session.turn import Turn
from vonad.session.watch import RESTING
from vonad.sessions import Past, Sessions
from vonad.settings import Settings
from vonad.wake.gate import Gate
from vonad.wake.ledger import Ledger

log = logging.getLogger(__name__)


class Reception:
    """All calls on the event loop. group: where sessions run."""

    def __init__(
        self,
        lines: Lines,
        sessions: Sessions,
        policy: Policy,
        *,
        settings: Settings,
        group: asyncio.TaskGroup,
        bus: Bus,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._lines = lines
        self._sessions = sessions
        self._policy = policy
        self._settings = settings
        self._group = group
        self._journal = journal
        self._clock = clock
        self._gate = Gate(clock, settings)
        self._ledger = Ledger(bus, journal)
        self._stopping = False

    def configure(self, settings: Settings) -> None:
        """Go by these from now on."""
        self._settings = settings
        self._gate = Gate(self._clock, settings, after=self._gate)

    def close(self) -> None:
        """The house stops: nothing new begins."""
        self._stopping = True

    # Wakes

    def wake(self, wake: Wake) -> Session | Refusal:
        """Open a satellite's microphone, or not: accepted or refused, counted, recorded, and never an exception."""
        try:
            judged = self._judge(wake)
        except Exception as error:  # a transport's own wakes are as its plugin makes them
            log.exception("satellite %s: a wake could not be judged", wake.satellite)
            judged = Refusal("malformed", f"it could not be judged: {type(error).__name__}: {error}")
        if isinstance(judged, Refusal):
            return self.refuse(wake, judged)
        satellite, plan = judged
        session = satellite.session
        chosen = plan.backends[0] if wake.backend is not None else None
        opens = session is None or session.over or chosen not in {None, session.plan.backends[0]}
        if session is None or opens:
            try:
                session = self._open(plan, satellite)
            except VonadError as error:
                return self.refuse(wake, unopened(error))
        elif not session.admits(wake):
            return self.refuse(wake, Refusal("busy", f"session {session.id} is {session.state}"))
        self._gate.admitted(wake)
        satellite.machine.woken()
        self._ledger.accepted(wake, session.view())
        if opens:
            session.opened_by(wake)
            self._sessions.start(session, self._group)
        else:
            self._sessions.get(session.id).admission.woken()
            self._take_turn(session, wake)
        return session

    def _take_turn(self, session: Session, wake: Wake) -> None:
        """In a session that admits it; if it raises after all, that session is over, and nothing else."""
        try:
            if wake.text is not None:
                session.preempt(wake.text, wake)
            else:
                session.listen(wake)
        except VonadError as error:  # a defect
            log.exception("session %s took no turn from a wake", session.id)
            session.close(f"error({error.code})")

    def refuse(self, wake: Wake, refusal: Refusal) -> Refusal:
        """Record and publish that a wake opens nothing."""
        return self._ledger.refused(wake, refusal)

    def _judge(self, wake: Wake) -> tuple[Satellite, Plan] | Refusal:
        satellite = self._lines.find(wake.satellite)
        if satellite is None:
            return Refusal("unknown_satellite", f"{wake.satellite!r:.80} is not connected; {self._lines.who()}")
        session = satellite.session
        satellite.look()
        refusal = self._gate.check(
            wake,
            satellite.machine,
            speaking=session.speaking_text if session is not None else "",
            listening=session is not None and session.awake,
        )
        if refusal is not None:
            return refusal
        if self._stopping:
            return Refusal("overload", "the daemon is stopping")
        plan = vetted(wake, self._policy.plan(wake, [open_.view() for open_ in self._sessions.open]))
        return plan if isinstance(plan, Refusal) else (satellite, plan)

    # Requests

    async def create(
        self,
        satellite: str | None,
        overrides: Overrides = AS_SET,
        *,
        resume: str | None = None,
        text: str | None = None,
        output: OutputSchema | None = None,
        brought: Brought = Brought(),  # noqa: B008  (frozen)
        request_id: str | None = None,
        purpose: Purpose = "idle",
    ) -> tuple[Session, Turn | QueuedTurn | None]:
        """A session that waits for turns, and with a text its first turn: that may fail, the session is there.

        resume: a session that is over, or a conversation, that goes on.
        output: what the first turn's reply must be.
        brought: what the session has besides, of its caller's.

        Raises not_found, session_limit, session_busy, backend_unavailable, capability_unsupported, malformed,
        session_not_found, session_already_active, rate_limited, skill_not_found, plugin_error, plugin_conflict, and
        what the backend failed to open with.
        """
        place = self._free(satellite)
        if text is not None or purpose == "listen":
            self._check_rate(satellite)
        plan = plan_session(self._settings, satellite, purpose=purpose, overrides=overrides)
        before = place.session if place is not None else None
        with self._sessions.reserve(satellite, self._settings, instead=before) as seat:
            past = await self._past(resume) if resume is not None else None
            if satellite is not None and self._free(satellite) is not place:
                raise VonadError("not_found", f"satellite {satellite} went away meanwhile", op="create")
            self._check_running()
            opened = self._sessions.build(
                plan,
                place,
                self._settings,
                self._group,
                seat=seat,
                past=past,
                style_wanted=overrides.style is not None,
                output_wanted=output is not None,
                skills_wanted=overrides.skills is not None,
                brought=brought,
            )
            session = self._sessions.commit(opened)
        turn = None
        if text is not None:
            turn = opened.admission.ask(text, on_busy="queue", request_id=request_id, output=output)
        if text is not None or purpose == "listen":
            self._count(satellite)
        self._sessions.start(session, self._group)
        await session.opened.wait()
        if session.over:
            why = f"session {session.id} ended before it had opened"
            raise opened.error or VonadError("backend_start_failed", why, op="create")
        styled = overrides.style is None or session.capabilities.style_conditioning
        if not styled:  # another than the first may have opened
            session.close("error(capability_unsupported)")
            raise unstyled(session.view().backend, "create")
        opened.admission.look()
        return session, turn

    async def text(
        self, satellite: str, text: str, *, request_id: str | None, on_busy: OnBusy = "refuse"
    ) -> Turn | QueuedTurn:
        """A turn from text on a satellite. Raises not_found, rate_limited, wake_refused, session_busy."""
        place = self._lines.get(satellite)
        self._check_rate(satellite)
        refusal = self._gate.duplicate(request_id)
        if refusal is not None:
            raise VonadError("wake_refused", f"duplicate: {refusal.detail}", op="text")
        if place.session is not None and not place.session.over:
            return self.ask(self._sessions.get(place.session.id), text, on_busy=on_busy, request_id=request_id)
        _, turn = await self.create(satellite, text=text, request_id=request_id)
        assert turn is not None
        return turn

    def ask(
        self,
        opened: Opened,
        text: str,
        *,
        on_busy: OnBusy = "refuse",
        request_id: str | None = None,
        follow_up: bool | None = None,
        output: OutputSchema | None = None,
        budget: Budget | None = None,
    ) -> Turn | QueuedTurn:
        """A turn from text in a session. Raises rate_limited, session_busy, capability_unsupported."""
        satellite = opened.session.plan.satellite
        self._check_rate(satellite)
        turn = opened.admission.ask(
            text, on_busy=on_busy, request_id=request_id, follow_up=follow_up, output=output, budget=budget
        )
        self._count(satellite)
        return turn

    def _count(self, satellite: str | None) -> None:
        if satellite is not None:
            self._gate.count(satellite)

    def _check_rate(self, satellite: str | None) -> None:
        """Raises rate_limited."""
        refusal = self._gate.rate(satellite) if satellite is not None else None
        if refusal is not None:
            raise VonadError("rate_limited", refusal.detail, op="text", retryable=True)

    def _free(self, satellite: str | None) -> Satellite | None:
        """Where a session may open, in place of one that rests. Raises not_found, session_busy."""
        place = self._lines.get(satellite) if satellite is not None else None
        session = place.session if place is not None else None
        if session is not None and not session.over and session.state not in RESTING:
            where = f"{satellite} is in session {session.id}, which is {session.state}"
            raise VonadError("session_busy", f"{where}: take a turn in that one, or interrupt it first", op="create")
        return place

    async def _past(self, name: str) -> Past:
        """What was said in a conversation. Raises session_not_found, session_already_active, persistence_disabled."""
        for view in self._sessions.views():
            if name in {view.session_id, view.conversation_id}:
                name = view.conversation_id
                break
        conversation = await self._journal.conversation(name)
        history = tuple(await self._journal.recent(conversation))
        for session in self._sessions.open:  # last: another may have resumed it meanwhile
            if not session.over and session.view().conversation_id == conversation:
                why = f"its conversation goes on in session {session.id}: take a turn in that one"
                raise VonadError("session_already_active", f"{name!r:.100}: {why}", op="resume")
        return Past(conversation, history)

    def announce(self, announcement: Announcement) -> None:
        """Announce; a session opens for it where there is none. Raises not_found, overload, session_limit."""
        satellite = announcement.satellite
        place = self._lines.get(satellite)
        session = place.session
        if session is not None and not session.over:
            session.say(announcement)
            return
        session = self._open(plan_session(self._settings, satellite, purpose="say"), place)
        session.say(announcement)
        self._sessions.start(session, self._group)

    def check_style(self, satellite: str) -> None:
        """Raises capability_unsupported where whoever speaks announcements there lets no style be heard."""
        self._sessions.check_voice_style(plan_session(self._settings, satellite, purpose="say"))

    def _open(self, plan: Plan, place: Satellite | None) -> Session:
        """In place of one that is there, which goes on if this raises."""
        self._check_running()
        return self._sessions.create(plan, place, self._settings, self._group)

    def _check_running(self) -> None:
        """Raises overload."""
        if self._stopping:
            raise VonadError("overload", "the daemon is stopping", op="session")
