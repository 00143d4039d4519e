"""A session: one conversation between a borrowed line and a dialogue, turn by turn.

Its verbs change state at once, on the event loop; what takes time follows in a task of the session's group and looks
again whether its turn still has the floor. The session knows neither MQTT nor SQLite.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from vonad.backend import Backend, Brief
from vonad.errors import VonadError, first_error
from vonad.events import coarse
from vonad.frame import Frame
from vonad.plan import Plan, SessionView, Wake
from vonad.session.announcement import Announcement
from vonad.session.course import Course
from vonad.session.floor import Floor
from vonad.session.interruption import ANSWERING
from vonad.session.machine import Change, State, Trigger
from vonad.session.means import Means
from vonad.session.turn import Turn
from vonad.transport import Line

log = logging.getLogger(__name__)


class Session:
    """One conversation, on one satellite's line or (line None) in text alone.

    run:    its whole life; returns when it is closed, and raises nothing but cancellation.
    opened: set once the first state after connecting is reached, or the session is over.
    listen, ask, say, stop, close: the verbs; each acts at once, or raises.
    hear:   wants every captured frame while `listening`.
    past:   gives away what was captured just before now.
    """

    def __init__(  # noqa: PLR0917
        self,
        session_id: str,
        conversation_id: str,
        plan: Plan,
        line: Line | None,
        backend: Backend,
        means: Means,
        *,
        past: Callable[[], Iterable[Frame]] = tuple,
    ) -> None:
        self.id = session_id
        self.plan = plan
        self.opened = asyncio.Event()
        self._backend = backend
        self._line = line
        self._means = means
        self._floor = Floor(session_id, conversation_id, plan, line, means, changed=self._changed, failed=self._failed)
        self._course = Course(self._floor, past=past, close=self.close)
        self._opened_by: Wake | None = None
        self._closing = asyncio.Event()
        self._close_reason = ""

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._floor.state

    @property
    def listening(self) -> bool:
        """Whether it wants frames."""
        return self._floor.state is State.LISTENING

    @property
    def over(self) -> bool:
        """Whether it takes no more turns."""
        return self._floor.over

    @property
    def turn(self) -> Turn | None:
        """The open turn."""
        return self._floor.turn

    @property
    def last(self) -> Turn | None:
        """The turn before."""
        return self._floor.last

    @property
    def speaking_text(self) -> str:
        """What it is saying just now."""
        turn = self._floor.turn
        return turn.reply if turn is not None and self.state is State.SPEAKING else ""

    def view(self) -> SessionView:
        """A snapshot."""
        return self._floor.view()

    # Life

    async def run(self) -> None:
        """Open, serve until closed, close; exactly one `closed`, whatever happens."""
        try:
            async with AsyncExitStack() as stack:
                self._floor.machine.fire(Trigger.OPEN, State.CONNECTING)
                async with self._floor.clock.deadline(self._means.limits.connecting_s):
                    await self._connect(stack)
                async with self._floor.group:
                    try:
                        await self._serve()
                    finally:
                        self.close("shutdown")
        except* TimeoutError:
            limit = self._means.limits.connecting_s
            message = f"backend {self.plan.backends[0]} did not open a dialogue within {limit:g} s"
            self._failed(VonadError("backend_start_failed", message, retryable=True))
        except* VonadError as errors:
            self._failed(first_error(errors))
        except* Exception as errors:  # the session's boundary: a defect ends this session and no other
            log.exception("session %s failed", self.id)
            self._failed(VonadError("internal_error", f"session {self.id} failed: {errors.exceptions[0]!r}"))
        finally:
            self.close("shutdown")
            self._over()

    async def _connect(self, stack: AsyncExitStack) -> None:
        brief = Brief(
            session_id=self.id,
            satellite=self.plan.satellite,
            language=self.plan.language,
            aloud=self._line is not None,
            style=self.plan.style,
            rewrite=lambda text: self._means.policy.reply(text, self.view()),
        )
        capabilities = self._backend.capabilities
        if self._line is not None and not capabilities.turn_detection:
            self._course.microphone.detector = await stack.enter_async_context(self._means.detector())
        self._course.answer.native = capabilities.hears
        self._floor.dialogue = await stack.enter_async_context(self._backend.open(brief))

    async def _serve(self) -> None:
        floor, limits = self._floor, self._means.limits
        floor.spawn(self._pump(), "replies", outlives_turn=True)
        if not self.over:
            self._course.watch.opened()
            self._begin()
        self.opened.set()
        await self._closing.wait()
        floor.cancel("replies")
        if self._line is not None:
            try:
                async with floor.clock.deadline(limits.closing_s):
                    await self._line.clear()
            except (TimeoutError, VonadError) as error:
                log.warning("session %s: the line did not clear: %s", self.id, error)

    async def _pump(self) -> None:
        await self._course.answer.pump()
        self.close("backend_finished")

    def _begin(self) -> None:
        purpose = self.plan.purpose
        if purpose == "listen":
            self._course.listen(Trigger.READY, "voice")
        elif purpose == "text":
            self._course.take_text(Trigger.READY, self.plan.text or "")
        elif purpose == "say" and len(self._course.mouth.announcements):
            self._course.announce(Trigger.READY)
        else:
            self._floor.machine.fire(Trigger.READY, State.IDLE)

    def _failed(self, error: VonadError) -> None:
        if not self.over:
            self._floor.tell_error(error, "session")
        self.close(f"error({error.code})")

    def _over(self) -> None:
        floor = self._floor
        floor.drop_timer()
        self._course.mouth.forget("the session closed")
        floor.machine.fire(Trigger.DRAINED, State.CLOSED, reason=self._close_reason)
        self._means.journal.session_closed(self.id, self._close_reason)
        metrics = {"turns": floor.machine.epoch}
        floor.tell("session.closed", {"reason": self._close_reason, "metrics": metrics})
        self.opened.set()

    # Verbs

    def opened_by(self, wake: Wake | None) -> None:
        """What the first turn is due to; to be told before `run`."""
        self._opened_by = wake

    def listen(self, wake: Wake | None) -> None:
        """Open the microphone; cuts a reply short. Raises invalid_state while it is open, or opening."""
        self._opened_by = wake
        follow_up = wake.follow_up if wake is not None else None
        self._course.interruption.before(
            "wake", lambda trigger: self._course.listen(trigger, "voice", follow_up=follow_up), idle=Trigger.LISTEN
        )

    def preempt(self, text: str) -> None:
        """Take a turn from text now; cuts a reply short. Raises invalid_state while the microphone is open."""
        self._course.interruption.before(
            "wake", lambda trigger: self._course.take_text(trigger, text), idle=Trigger.TEXT
        )

    def ask(self, text: str, *, request_id: str | None = None) -> Turn:
        """Take a turn from text. Raises session_busy while another runs."""
        if self.state is not State.IDLE:
            raise VonadError(
                "session_busy",
                f"session {self.id} is {self.state}: try again when it is idle, or interrupt it first",
                op="text",
                retryable=True,
            )
        return self._course.take_text(Trigger.TEXT, text, request_id=request_id)

    def say(self, announcement: Announcement) -> None:
        """Announce: now when nobody is speaking, else when this turn is over. Raises overload."""
        waiting = self._course.mouth.announcements
        if waiting.full:
            raise VonadError("overload", f"{len(waiting)} announcements wait already", op="say", retryable=True)
        waiting.put(announcement)
        if announcement.interrupt and self.state in ANSWERING:
            self._course.interruption.interrupt("say")
        elif self.state is State.IDLE or (self.listening and not self._course.microphone.spoke):
            self._course.announce(Trigger.SAY)

    def stop(self, source: str = "stop") -> bool:
        """Be quiet: ends playback, turn, follow-up and what waits to be said. False when there was nothing to stop."""
        forgotten = self._course.mouth.forget("stopped")
        turn = self._floor.turn
        if self.listening and turn is not None:
            self._course.nothing_said(turn, "cancelled")
        elif self.state in ANSWERING:
            self._course.interruption.interrupt(source)
        elif self.state is State.INTERRUPTED:
            self._course.interruption.nothing_follows()
        else:
            return forgotten > 0
        return True

    def close(self, reason: str) -> None:
        """End it; the first reason stays."""
        if self.over:
            return
        self._close_reason = reason
        turn = self._floor.turn
        heard = self._course.mouth.silence()
        self._course.microphone.close()
        self._floor.machine.fire(Trigger.CLOSE, State.CLOSING, reason=reason)
        if turn is not None:
            turn.heard = heard
            self._floor.finish(turn, "interrupted")
        self._closing.set()

    async def hear(self, frame: Frame) -> None:
        """A captured frame, 16 kHz."""
        await self._course.microphone.hear(frame)

    def _changed(self, change: Change) -> None:
        floor = self._floor
        state = {
            "state": str(change.state),
            "previous": str(change.previous),
            "reason": change.reason,
            "degraded": False,
        }
        floor.tell("session.state", state, turn=change.epoch)
        self._course.watch.entered(change.state)
        before, now = coarse(change.previous), coarse(change.state)
        if self._line is not None and before != now:
            opened_by = None
            if now == "listening":
                opened_by, self._opened_by = self._opened_by, None
            try:
                self._line.show(now, opened_by=opened_by)
            except Exception:  # a transport's lamp must not stop a conversation
                log.exception("satellite %s cannot show that it is %s", self._line.satellite, now)
