"""Sessions: those that are open, each in its seat, and those that closed not long ago."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from vonad.admission import Admission
from vonad.brought import Brought
from vonad.bus import Bus
from vonad.clock import Clock
from vonad.engine import Exchange
from vonad.equipment import Equipment
from vonad.errors import VonadError
from vonad.events import Event
from vonad.history import Journal
from vonad.lines import Satellite
from vonad.opened import Opened
from vonad.plan import Plan, SessionView
from vonad.reaper import ACTIVITY
from vonad.seats import Seat, Seats
from vonad.session.session import Session
from vonad.session.structured import unsupported
from vonad.session.watch import RESTING
from vonad.settings import Settings
from vonad.skill import Risk

SEEN = 1_000
"""Sessions that can still be read after they closed."""


@dataclass(frozen=True, slots=True)
class Past:
    """A conversation that goes on: its id, and what was said in it, oldest first."""

    conversation_id: str
    history: tuple[Exchange, ...] = ()


class Sessions:
    """Opens sessions within the limits, supervises them, and remembers what became of them."""

    def __init__(self, equipment: Equipment, *, bus: Bus, journal: Journal, clock: Clock) -> None:
        self._equipment = equipment
        self._bus = bus
        self._journal = journal
        self._clock = clock
        self._seats = Seats()
        self._open: dict[str, Opened] = {}
        self._closed: dict[str, SessionView] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def open(self) -> list[Session]:
        """Those that are open."""
        return [opened.session for opened in self._open.values()]

    @property
    def opened(self) -> list[Opened]:
        """Those that are open, with what belongs to them."""
        return list(self._open.values())

    def get(self, session_id: str) -> Opened:
        """An open one. Raises session_expired for one that closed not long ago, else session_not_found."""
        opened = self._open.get(session_id)
        if opened is not None and not opened.session.over:
            return opened
        if opened is not None or session_id in self._closed:
            why = f"session {session_id} is closed; resume it to go on"
            raise VonadError("session_expired", why, op="session")
        raise VonadError("session_not_found", f"no open session {session_id!r:.100}", op="session")

    def is_open(self, session_id: str) -> bool:
        """Whether it still has something to say, be it only that it closes."""
        return session_id in self._open

    def risk(self, session_id: str, name: str) -> Risk | None:
        """Of the skill of this name in an open session; None: there is none."""
        opened = self._open.get(session_id)
        return opened.desk.risk(name) if opened is not None else None

    def description(self, session_id: str, name: str) -> str:
        """Of the skill of this name in an open session; empty: there is none."""
        opened = self._open.get(session_id)
        return opened.desk.description(name) if opened is not None else ""

    def view(self, session_id: str) -> SessionView | None:
        """An open one, or one that closed not long ago."""
        opened = self._open.get(session_id)
        return opened.view() if opened is not None else self._closed.get(session_id)

    def views(self) -> Iterator[SessionView]:
        """The open ones, then those that closed not long ago; newest first. Each is made when it is asked for."""
        yield from (opened.view() for opened in reversed(self._open.values()))
        yield from reversed(self._closed.values())

    def known(self) -> list[str]:
        """The ids of the same."""
        return [*self._open, *self._closed]

    def forget(self) -> None:
        """What was said so far, in any of them, is no longer to be known here."""
        self._closed.clear()
        for opened in self._open.values():
            opened.session.forget()

    # Reserve, build, commit

    def reserve(self, satellite: str | None, settings: Settings, *, instead: Session | None = None) -> Seat:
        """Room for a session, where there is one that it supersedes in its seat. Raises session_limit.

        Who is in the room comes first: in a full house a satellite's session takes the seat of the one without a
        satellite that has not been used for longest.
        """
        most, each = settings.session.maximum, settings.policy.sessions_per_satellite
        before = self._open.get(instead.id) if instead is not None else None
        if before is None and satellite is not None and len(self._seats) >= most:
            before = self._unused()
        return self._seats.reserve(satellite, most=most, each=each, instead=before.seat if before is not None else None)

    def _unused(self) -> Opened | None:
        """Of the sessions of text alone that rest, the one that nobody has used for longest."""
        resting = [
            opened
            for opened in self._open.values()
            if opened.satellite is None and opened.state in RESTING and not self._seats.promised(opened.seat)
        ]
        return min(resting, key=lambda opened: opened.active_at, default=None)

    def build(
        self,
        plan: Plan,
        satellite: Satellite | None,
        settings: Settings,
        group: asyncio.TaskGroup,
        *,
        seat: Seat,
        past: Past | None = None,
        style_wanted: bool = False,
        output_wanted: bool = False,
        skills_wanted: bool = False,
        brought: Brought = Brought(),  # noqa: B008  (frozen)
    ) -> Opened:
        """A session that does not run yet.

        Raises backend_unavailable; capability_unsupported for a style, for JSON; and what Brought raises.
        """
        name, backend = self._equipment.backend(plan)
        if style_wanted:
            self._equipment.check_style(plan)
        if output_wanted and not backend.capabilities.structured_output:
            raise unsupported(name)
        past = past or Past(secrets.token_hex(8))
        session_id = secrets.token_hex(8)
        means = self._equipment.means(
            plan,
            settings,
            group,
            past.history,
            session_id=session_id,
            brought=brought,
            skills_wanted=skills_wanted,
        )
        session = Session(
            session_id,
            past.conversation_id,
            plan,
            satellite.line if satellite is not None else None,
            means,
            past=satellite.ear.past if satellite is not None else tuple,
        )
        admission = Admission(session, self._bus.publish)
        return Opened(session, satellite, seat, admission, self._clock.monotonic(), self._gone, means.desk)

    def check_voice_style(self, plan: Plan) -> None:
        """Raises capability_unsupported where whoever speaks the house's own words lets no style be heard."""
        self._equipment.check_voice_style(plan)

    def commit(self, opened: Opened) -> Session:
        """It is one of ours from now on: it counts, and can be found. The one in its place makes way, with its seat."""
        before = opened.satellite.session if opened.satellite is not None else None
        for other in tuple(self._open.values()):
            if other.session is before or other.seat is opened.seat.instead:
                other.close("superseded")
                other.seat.release()
        opened.seat.keep()
        self._open[opened.id] = opened
        if opened.satellite is not None:
            opened.satellite.take(opened.session)
        return opened.session

    def create(self, plan: Plan, satellite: Satellite | None, settings: Settings, group: asyncio.TaskGroup) -> Session:
        """All three at once. Raises session_limit, backend_unavailable; one on this satellite goes on then."""
        before = satellite.session if satellite is not None else None
        with self.reserve(plan.satellite, settings, instead=before) as seat:
            return self.commit(self.build(plan, satellite, settings, group, seat=seat))

    def start(self, session: Session, group: asyncio.TaskGroup) -> None:
        """Let it run."""
        opened, view = self._open[session.id], session.view()
        self._journal.session_opened(
            view.session_id, view.conversation_id, view.satellite, view.backend, session.plan.purpose
        )
        data = {"backend": view.backend, "purpose": session.plan.purpose}
        self._bus.publish(Event("session.created", data, view.satellite, view.session_id, view.conversation_id))
        opened.task = group.create_task(self._supervise(opened), name=f"session {session.id}")

    async def _supervise(self, opened: Opened) -> None:
        """Its turns are in the history before it is gone: the session waits for that."""
        try:
            await opened.session.run()
        finally:
            self._gone(opened)

    def _gone(self, opened: Opened) -> None:
        opened.seat.release()
        if self._open.pop(opened.id, None) is None:
            return
        self._closed[opened.id] = opened.view()
        while len(self._closed) > SEEN:
            del self._closed[next(iter(self._closed))]
        if opened.satellite is not None and opened.satellite.session is opened.session:
            opened.satellite.take(None)

    def heard(self, event: Event) -> None:
        """Something happened in one of them."""
        opened = self._open.get(event.session_id or "")
        if opened is None:
            return
        if event.type.startswith(ACTIVITY) and not opened.session.announces(event.turn):
            opened.active_at = self._clock.monotonic()  # nobody uses a session by being told something
        elif event.type == "session.state":
            opened.admission.moved()
        elif event.type == "error":
            opened.error = VonadError(str(event.data["code"]), str(event.data["message"]), op=str(event.data["op"]))
        elif event.type == "session.closed":
            opened.reason = str(event.data["reason"])
