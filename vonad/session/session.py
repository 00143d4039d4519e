"""A session: one conversation between a borrowed line and a dialogue, turn by turn.

Its verbs change state at once, on the event loop; what takes time follows in a task of the session's group and looks
again whether its turn still has the floor. The session knows neither MQTT nor SQLite.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial

from vonad.backend import BackendCapabilities, Brief
from vonad.errors import VonadError, first_error
from vonad.frame import Frame
from vonad.plan import Budget, ContextEvent, InjectMode, Plan, SessionView, Wake
from vonad.session.announcement import Announcement
from vonad.session.compaction import Compaction
from vonad.session.course import Course
from vonad.session.farewell import Farewell
from vonad.session.floor import Floor
from vonad.session.injection import Injection
from vonad.session.interruption import ANSWERING
from vonad.session.lamp import Lamp
from vonad.session.machine import Change, State, Trigger
from vonad.session.means import Means
from vonad.session.opening import Opening
from vonad.session.turn import Turn
from vonad.session.wakes import OPENING, Wakes, asked_at
from vonad.session.watch import RESTING
from vonad.transport import Line

log = logging.getLogger(__name__)

UNFINISHED = ("opening", "fallback", "home", "ping", "compaction")
"""What a session that ends does not wait for."""


class Session:
    """One conversation, on one satellite's line or (line None) in text alone.

    run:    its whole life; returns when it is closed, and raises nothing but cancellation.
    opened: set once the first state after connecting is reached, or the session is over.
    listen, ask, say, inject, compact, stop, close: the verbs; each acts at once, or raises.
    state:  where it stands; listening: whether the microphone is open.
    hear:   wants every captured frame, 16 kHz, while `attentive`.
    past:   gives away what was captured just before now.
    """

    def __init__(
        self,
        session_id: str,
        conversation_id: str,
        plan: Plan,
        line: Line | None,
        means: Means,
        *,
        past: Callable[[], Iterable[Frame]] = tuple,
    ) -> None:
        self.id = session_id
        self.plan = plan
        self.opened = asyncio.Event()
        self.state = State.CREATED
        self.listening = False
        self._line = line
        self._means = means
        self._floor = Floor(session_id, conversation_id, plan, line, means, changed=self._changed, failed=self._failed)
        self._leases = AsyncExitStack()
        self._course = Course(self._floor, brief=self._brief, leases=self._leases, past=past, close=self._close)
        self.hear = self._course.hear
        self._wakes = Wakes(self._floor, self._course)
        self._opening = Opening(self._floor, self._course.handover, begin=self._course.begin, close=self._close)
        self._farewell = Farewell(self._floor, self._course, give_up=self._wakes.forget)
        self._injection = Injection(self._floor, say=self.say)
        self._compaction = Compaction(self._floor)
        self._lamp = Lamp(line)

    @property
    def capabilities(self) -> BackendCapabilities:
        """Of the backend that answers now; of none while it opens."""
        return self._floor.capabilities

    @property
    def awake(self) -> bool:
        """Whether the microphone is open, or about to be: what is said now is meant for us."""
        return self._wakes.open

    @property
    def attentive(self) -> bool:
        """Whether it wants frames."""
        return self._course.attentive

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

    def announces(self, turn: int | None) -> bool:
        """Whether the turn of this number, the open one or the one before, is an announcement."""
        floor = self._floor
        known = floor.turn
        if known is None or known.number != turn:
            known = floor.last
        return known is not None and known.number == turn and known.source == "say"

    @property
    def speaking_text(self) -> str:
        """What it is saying just now, or has just said."""
        return self._course.mouth.spoken if self.state in ANSWERING else ""

    def view(self) -> SessionView:
        """A snapshot."""
        return self._floor.view()

    # Life

    async def run(self) -> None:
        """Open, serve until closed, close; exactly one `closed`, whatever happens."""
        try:
            async with self._leases, self._floor.group:
                try:
                    await self._serve()
                finally:
                    self.close("shutdown")
                    await self._farewell.drain()
        except* VonadError as errors:
            self._failed(first_error(errors))
        except* Exception as errors:  # the session's boundary: a defect ends this session and no other
            log.exception("session %s failed", self.id)
            self._failed(VonadError("internal_error", f"session {self.id} failed: {errors.exceptions[0]!r}"))
        finally:
            self.close("shutdown")
            self._farewell.over()
            self.opened.set()

    async def _serve(self) -> None:
        self._floor.machine.fire(Trigger.OPEN, State.CONNECTING)
        self._course.watch.begun()
        self._floor.spawn(self._opening.run(), "opening", outlives_turn=True)
        await self._farewell.begun.wait()
        for name in UNFINISHED:
            self._floor.cancel(name)

    def _brief(self) -> Brief:
        return Brief(
            session_id=self.id,
            satellite=self.plan.satellite,
            language=self.plan.language,
            aloud=self._line is not None,
            style=self.plan.style,
            rewrite=partial(self._means.policy.reply, session=self.view),
            spend=self._floor.spend,
            interjections=self.plan.barge_in.stop_words + self.plan.barge_in.back_channels,
        )

    def _failed(self, error: VonadError) -> None:
        self._farewell.failed(error)

    def _close(self, reason: str, words: str) -> None:
        self._farewell.begin(reason, words=words)

    # Verbs

    def opened_by(self, wake: Wake | None) -> None:
        """What the first turn is due to; to be told before `run`."""
        self._lamp.opened_by = wake
        self._wakes.opened_by = wake
        self._course.woken_at = asked_at(wake)

    def opens_with(self, waited: Callable[[Trigger], bool]) -> None:
        """Who begins the turn that waits for the session to open, moving it by this trigger; whether there was one."""
        self._course.waited = waited

    def admits(self, wake: Wake) -> bool:
        """Whether `listen`, or for a wake with text `preempt`, can lead to something."""
        return self._wakes.admits(wake)

    def listen(self, wake: Wake | None) -> None:
        """Open the microphone, as soon as that is possible; cuts a reply short. One that is open stays open.

        Raises invalid_state when the session is over.
        """
        if not self.awake:
            self._lamp.opened_by = wake
        self._wakes.listen(wake)

    def release(self) -> None:
        """Whoever held the microphone open has let go: what was said is all. Nothing happens when it is not open."""
        self._course.microphone.release()

    def preempt(self, text: str, wake: Wake | None = None) -> None:
        """Take a turn from text, as soon as that is possible; cuts a reply short, and closes the microphone.

        Raises invalid_state when the session is over.
        """
        self._lamp.opened_by = None
        self._wakes.preempt(text, wake)

    def ask(
        self,
        text: str,
        *,
        request_id: str | None = None,
        turn_id: str | None = None,
        budget: Budget | None = None,
        trigger: Trigger = Trigger.TEXT,
    ) -> Turn:
        """Take a turn from text. Raises session_busy while another runs.

        turn_id: the one it was given before. budget: its own; None: the plan's. trigger: what `opens_with` is told.
        """
        if trigger is Trigger.TEXT and self.state not in RESTING:
            raise VonadError(
                "session_busy",
                f"session {self.id} is {self.state}: try again when it is idle, or interrupt it first",
                op="text",
                retryable=True,
            )
        return self._course.take_text(trigger, text, request_id=request_id, turn_id=turn_id, budget=budget)

    def say(self, announcement: Announcement) -> None:
        """Announce: now when nobody is speaking, else when this turn is over. Raises overload."""
        self._course.announcer.expect(announcement)
        if announcement.interrupt and self.state in ANSWERING:
            self._course.own_turns.cut_short(self.turn)
            self._course.interruption.interrupt("say")
        elif self.state in RESTING or (self.listening and not self._course.microphone.spoke):
            self._course.own_turns.announce(Trigger.SAY)

    def stop(self, source: str = "stop") -> bool:
        """Be quiet: ends playback, turn, follow-up and what waits to be said. False when there was nothing to stop."""
        forgotten = self._course.announcer.forget("stopped")
        self._course.answer.skills.confirmation.drop()  # who wants quiet has not said yes
        turn = self._floor.turn
        if self.listening and turn is not None:
            self._course.nothing_said(turn, "cancelled")
        elif self.state in ANSWERING:
            self._course.interruption.interrupt(source)
        elif self.state is State.INTERRUPTED:
            self._course.interruption.nothing_follows()
        else:
            return self._wakes.forget() or forgotten > 0
        return True

    async def inject(self, event: ContextEvent, mode: InjectMode) -> str:
        """Make something from outside known; what happened: queued, said, steered or interrupted.

        Raises malformed, capability_unsupported, overload, backend_inject_failed.
        """
        return await self._injection.inject(event, mode)

    async def compact(self) -> tuple[int, int]:
        """Sum up what was said, but for the last exchanges; about how many tokens it was, and is.

        Raises compaction_disabled, session_busy, and what the backend raises.
        """
        return await self._compaction.now()

    def forget(self) -> None:
        """What was said before the open turn is no longer known here, nor told to a backend."""
        self._floor.exchanges, self._floor.last = [], None

    def unload(self, backend: str) -> None:
        """A reload takes this backend out of the house: the next of the plan answers, else it ends plugin_unloaded."""
        if not self.over:
            self._course.fallback.unloaded(backend)

    def close(self, reason: str) -> None:
        """End it; the first reason stays."""
        self._farewell.begin(reason)

    def _changed(self, change: Change) -> None:
        self.state = change.state
        self.listening = change.state is State.LISTENING
        self._floor.tell_state(change.previous, change.reason, turn=change.epoch or None)
        self._course.entered(change)
        if change.previous in OPENING and change.state not in OPENING and not self.opened.is_set():
            self.opened.set()
            self._course.watch.opened()
        captures = change.state is State.FALLING_BACK and self._course.resumption.wanted
        self._lamp.show(change.state, captures=captures)
