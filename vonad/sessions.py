"""Sessions: those that are open, those that closed not long ago, and all that a session is given to work with."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

from vonad.backend import Backend
from vonad.bus import Bus
from vonad.clock import Clock
from vonad.engine import TurnDetector, VoiceActivityDetector
from vonad.errors import VonadError
from vonad.events import Event
from vonad.frame import Frame
from vonad.history import Journal
from vonad.lines import Satellite
from vonad.parts import Parts
from vonad.plan import Plan, SessionView, Style
from vonad.policy import Policy
from vonad.resilience import BreakerState
from vonad.roster import Roster
from vonad.session.means import Cues, Limits, Means
from vonad.session.session import Session
from vonad.settings import Settings
from vonad.skills.desk import Desk
from vonad.streams import closing

SEEN = 1_000
"""Sessions that can still be read after they closed."""


class Sessions:
    """Opens sessions within the limits, supervises them, and remembers what became of them.

    publish: told every event of a session.
    cues:    sounds and spoken phrases that are ready.
    """

    def __init__(
        self,
        parts: Parts,
        policy: Policy,
        *,
        bus: Bus,
        journal: Journal,
        clock: Clock,
        publish: Callable[[Event], object],
        breaker_changed: Callable[[str, BreakerState], None],
        cues: Cues,
    ) -> None:
        self.roster = Roster(parts, clock, breaker_changed)
        self._cues = cues
        self._parts = parts
        self._policy = policy
        self._bus = bus
        self._journal = journal
        self._clock = clock
        self._publish = publish
        self._desk = Desk(parts.catalogue, policy=policy, journal=journal, clock=clock)
        self._open: dict[str, Session] = {}
        self._closed: dict[str, SessionView] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def open(self) -> list[Session]:
        """Those that are open."""
        return list(self._open.values())

    def get(self, session_id: str) -> Session:
        """An open one. Raises session_not_found."""
        if session_id not in self._open:
            raise VonadError("session_not_found", f"no open session {session_id!r}", op="session")
        return self._open[session_id]

    def view(self, session_id: str) -> SessionView:
        """An open one, or one that closed not long ago. Raises session_not_found."""
        if session_id in self._open:
            return self._open[session_id].view()
        if session_id in self._closed:
            return self._closed[session_id]
        raise VonadError("session_not_found", f"no session {session_id!r}", op="session")

    def views(self) -> Iterator[SessionView]:
        """The open ones, then those that closed not long ago; newest first."""
        yield from (session.view() for session in reversed(self._open.values()))
        yield from reversed(self._closed.values())

    def create(self, plan: Plan, satellite: Satellite | None, settings: Settings, group: asyncio.TaskGroup) -> Session:
        """A session that does not run yet. Raises session_limit, backend_unavailable."""
        self._check_room(plan, settings)
        self._backend(plan)
        session = Session(
            secrets.token_hex(8),
            secrets.token_hex(8),
            plan,
            satellite.line if satellite is not None else None,
            self._means(plan, settings, group),
            past=satellite.ear.past if satellite is not None else tuple,
        )
        self._open[session.id] = session
        if satellite is not None:
            satellite.take(session)
        return session

    def start(self, session: Session, satellite: Satellite | None, group: asyncio.TaskGroup) -> None:
        """Let it run."""
        view = session.view()
        self._journal.session_opened(
            view.session_id, view.conversation_id, view.satellite, view.backend, session.plan.purpose
        )
        data = {"backend": view.backend, "purpose": session.plan.purpose}
        self._bus.publish(Event("session.created", data, view.satellite, view.session_id, view.conversation_id))
        group.create_task(self._supervise(session, satellite), name=f"session {session.id}")

    async def _supervise(self, session: Session, satellite: Satellite | None) -> None:
        try:
            await session.run()
        finally:
            self._open.pop(session.id, None)
            self._closed[session.id] = session.view()
            while len(self._closed) > SEEN:
                del self._closed[next(iter(self._closed))]
            if satellite is not None and satellite.session is session:
                satellite.take(None)

    def _check_room(self, plan: Plan, settings: Settings) -> None:
        most, each = settings.session.maximum, settings.policy.sessions_per_satellite
        if len(self._open) >= most:
            why = f"{len(self._open)} sessions are open; session.maximum is {most}"
            raise VonadError("session_limit", why, op="session", retryable=True)
        mine = sum(1 for s in self.open if plan.satellite is not None and s.plan.satellite == plan.satellite)
        if each and mine >= each:
            why = f"{plan.satellite} has {mine} sessions open; policy.sessions_per_satellite is {each}"
            raise VonadError("session_limit", why, op="session", retryable=True)

    def _backend(self, plan: Plan) -> tuple[str, Backend]:
        """The first of the plan's backends that runs."""
        first: VonadError | None = None
        for name in plan.backends:
            try:
                component = self._parts.get("backends", name).component
            except VonadError as error:
                first = first or error
            else:
                assert isinstance(component, Backend)
                return name, component
        raise first or VonadError("backend_unavailable", "the plan names no backend")

    def _means(self, plan: Plan, settings: Settings, group: asyncio.TaskGroup) -> Means:
        limits = settings.session
        self.roster.cool_off_s = limits.cool_off_s
        return Means(
            clock=self._clock,
            publish=self._publish,
            journal=self._journal,
            policy=self._policy,
            desk=self._desk,
            voice=lambda text, language, style: self.speak(plan.backends, text, language=language, style=style),
            backends=self.roster,
            cues=self._cues,
            group=group,
            detector=lambda: self._parts.lease(VoiceActivityDetector, "vad", limits.vad),
            judge=self._judge(limits.turn),
            sentences=lambda: self._parts.catalogue.sentences,
            limits=Limits(
                processing_s=limits.processing_s,
                away_s=limits.away_s,
                keep_alive_s=limits.keep_alive_s,
                compaction_tokens=limits.compaction_tokens,
                idle_timeout_s=limits.idle_timeout_s,
                max_duration_s=limits.max_duration_s,
            ),
        )

    def _judge(self, name: str | None) -> Callable[[], AbstractAsyncContextManager[TurnDetector]] | None:
        if name is None or name not in self._parts.engines("turn"):
            return None
        return lambda: self._parts.lease(TurnDetector, "turn", name)

    async def speak(self, backends: tuple[str, ...], text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        """The house's own words, by the first of these backends that can speak them. Raises the last one's error."""
        last: VonadError | None = None
        for name in backends:
            sounded = False
            try:
                component = self._parts.get("backends", name).component
                assert isinstance(component, Backend)
                async with closing(component.speak(text, language=language, style=style)) as frames:
                    async for frame in frames:
                        sounded = True
                        yield frame
            except VonadError as error:
                if sounded:
                    raise
                last = error
            else:
                return
        raise last or VonadError("backend_unavailable", f"none of the backends {', '.join(backends)} can speak")
