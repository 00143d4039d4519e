"""The course of a session: from what it opened for to listening, to answering, and on."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack

from vonad.backend import Brief
from vonad.control import FallbackReason
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Budget
from vonad.session.announcer import Announcer
from vonad.session.answer import Answer, Told
from vonad.session.draft import Draft
from vonad.session.floor import Floor, interrupt_dialogue
from vonad.session.handover import Handover
from vonad.session.interruption import ANSWERING, Interruption
from vonad.session.machine import Change, State, Trigger
from vonad.session.microphone import Microphone, unheard
from vonad.session.mouth import Mouth
from vonad.session.overlap import Overlap
from vonad.session.own_turns import OwnTurns
from vonad.session.sequel import Sequel
from vonad.session.turn import Source, Turn
from vonad.session.watch import Watch


class Course:
    """Each step moves the machine at once; what takes time follows in a task of the turn's.

    brief:  what a dialogue is told.
    leases: what is borrowed is given back there.
    past:   gives away what was captured just before now.
    close:  ends the session, with the reason and, if it has to be said, one of PHRASES.

    begun:    told when the turn has begun that the session opened for.
    waited:   begins the turn that waits for the session to open, moving it by this trigger; whether there was one.
    woken_at: monotonic time of the explicit wake that the next opening of the microphone is due to.
    """

    def __init__(
        self,
        floor: Floor,
        *,
        brief: Callable[[], Brief],
        leases: AsyncExitStack,
        past: Callable[[], Iterable[Frame]],
        close: Callable[[str, str], None],
    ) -> None:
        self.draft = Draft(floor)
        self.announcer = Announcer(floor)
        self.mouth = Mouth(floor, self.announcer)
        self.microphone = Microphone(floor, self.endpoint, self._committed, self.draft)
        self.overlap = Overlap(
            floor,
            self.mouth,
            self.announcer,
            self.microphone,
            listen=lambda trigger, past: self.listen(trigger, "voice", past=past),
        )
        self.barge_in = self.overlap.barge_in
        told = Told(
            ended=self.microphone.end,
            partial=self.microphone.partial,
            began=self.overlap.began,
            overheard=self.barge_in.overheard,
            quiet=self.overlap.wants_quiet,
            fall_back=self._fall_back,
        )
        self.answer = Answer(floor, self.mouth, self.draft, told)
        self.draft.replaced = self.answer.skills.forget
        self.own_turns = OwnTurns(floor, self.mouth, self.announcer, self.microphone)
        self.handover = Handover(
            floor,
            self.mouth,
            self.microphone,
            self.answer,
            brief=brief,
            leases=leases,
            begin=self.begin,
            close=close,
        )
        self.fallback, self.resumption = self.handover.fallback, self.handover.resumption
        self.sequel = Sequel(
            floor,
            self.mouth,
            self.announcer,
            self.own_turns,
            self.barge_in,
            chain=self.handover.chain,
            fallback=self.fallback,
            apologise=self.answer.apologise,
            listen=lambda trigger, past: self.listen(trigger, "follow_up", past=past),
            close=close,
        )
        self.mouth.over = self.sequel.heard
        self.handover.go_on = self.sequel.go_on
        self.interruption = Interruption(
            floor,
            self.mouth,
            past=past,
            rest=self.sequel.go_on,
            stuck=self.fallback.begin,
            review=self.answer.interrupted,
        )
        self.overlap.interrupt = self.interruption.before
        floor.exhausted = self._exhausted
        self.announcer.cut = self.interruption.interrupt
        self.watch = Watch(
            floor,
            self.mouth,
            self.answer,
            self.handover.chain,
            self.fallback,
            close=lambda reason: close(reason, ""),
            give_up=self.sequel.begin,
        )
        self.answer.structured.again = self.watch.asked_again
        self.answer.skills.begun = self.watch.skill_begun
        self._floor = floor
        self._past = past
        self._close = close
        self._dropped = 0
        self.begun: Callable[[], None] = lambda: None
        self.waited: Callable[[Trigger], bool] = lambda trigger: False
        self.woken_at: float | None = None

    def begin(self, trigger: Trigger) -> None:
        """What the session was opened for."""
        floor, plan = self._floor, self._floor.plan
        if self.handover.overtaken(None, trigger):
            return
        greets = self.own_turns.greets
        if trigger is Trigger.BOUND and (greets or plan.purpose == "say"):
            floor.machine.fire(trigger, State.IDLE)
            trigger = Trigger.SAY
        if greets:
            self.own_turns.greet(trigger)
        elif plan.purpose == "listen":
            self.listen(trigger, "voice")
            self.begun()
        elif plan.purpose == "text":
            self.take_text(trigger, plan.text or "")
            self.begun()
        elif plan.purpose == "say" and len(self.announcer.waiting):
            self.own_turns.announce(trigger)
        elif not self.waited(trigger) and floor.state is not State.IDLE:
            floor.machine.fire(trigger, State.IDLE)
        self.sequel.go_on()

    # The user's words

    def listen(
        self, trigger: Trigger, source: Source, *, follow_up: bool | None = None, past: Iterable[Frame] | None = None
    ) -> None:
        """Open the microphone for a new turn. Raises invalid_state.

        follow_up: whether it is to open again after the reply; None leaves that to the plan.
        past:      what was captured before and belongs to it, what came since included; None: what was captured just
                   before now.
        """
        floor = self._floor
        floor.machine.check(trigger, State.LISTENING)
        captured = tuple(self._past())
        known_until = 0.0
        if past is not None:
            past = tuple(past)
            known_until = past[-1].at if past else 0.0
            captured = _continued(past, captured)
        turn = floor.take(source)
        turn.follow_up = follow_up
        self.sequel.addressed = True
        self._dropped = floor.line.dropped if floor.line is not None else 0
        floor.machine.fire(trigger, State.LISTENING)
        floor.started(turn)
        woken_at, self.woken_at = self.woken_at, None
        woken_at = woken_at if past is None and source == "voice" else None
        self.mouth.prepare(turn)
        self.microphone.open(turn, captured, known_until=known_until, woken_at=woken_at)
        self.mouth.cue("wake", turn)
        self.fallback.rest()

    def hear(self, frame: Frame) -> Awaitable[None]:
        """A captured frame that is wanted."""
        if self.mouth.chime.overheard:
            return unheard()
        listening = self._floor.machine.state is State.LISTENING
        if listening and self.resumption.missed is None:
            return self.microphone.hear(frame)
        if not self.resumption.keeping:
            return self.barge_in.hear(frame)
        self.resumption.keep(frame)
        return unheard()

    @property
    def attentive(self) -> bool:
        """Whether frames are wanted."""
        listening = self._floor.machine.state is State.LISTENING
        return listening or self.barge_in.turn is not None or self.resumption.wanted

    def entered(self, change: Change) -> None:
        """The session has changed its state."""
        turn = self._floor.turn
        if change.state not in ANSWERING:
            if self.barge_in.turn is not None:
                self.barge_in.closed()
        elif turn is not None and self.barge_in.turn is None:
            self.barge_in.opened(turn, self.microphone.detector)
        elif change.state is State.SPEAKING:
            self.barge_in.sounds()
        self.watch.entered(change)

    def endpoint(self, turn: Turn, reason: str) -> bool:
        """The user's words have ended, for this reason; whether there is something to answer."""
        floor = self._floor
        if floor.turn is not turn or floor.machine.state is not State.LISTENING:
            return False
        unheard = reason == "no_speech" if self.microphone.detector is None else not self.microphone.spoke
        if unheard:
            self.nothing_said(turn, reason)
            return False
        turn.endpoint = reason
        turn.audio_gap = floor.line is not None and floor.line.dropped > self._dropped
        turn.asked_at = self.microphone.close()
        floor.mark(turn, "endpoint")
        floor.machine.fire(Trigger.END_OF_TURN, State.PROCESSING, reason=reason)
        return True

    def _committed(self, turn: Turn, failure: VonadError | None) -> None:
        """The backend has been told that the user's words have ended, or could not be."""
        if self._floor.turn is not turn:
            return
        if failure is not None:
            self.answer.failed(turn, failure)
        else:
            self.mouth.cue("heard", turn)

    def nothing_said(self, turn: Turn, reason: str) -> None:
        """Close the microphone: nobody has said anything, or nobody wants it heard any more."""
        turn.endpoint = reason
        self._floor.mark(turn, "endpoint")
        self.microphone.close()
        self.draft.drop()
        self._floor.finish(turn, "empty")
        self._floor.machine.fire(Trigger.NOTHING_SAID, State.IDLE, reason=reason)
        self._floor.spawn(interrupt_dialogue(self._floor), "interrupt")
        self.sequel.go_on()

    def take_text(
        self,
        trigger: Trigger,
        text: str,
        *,
        request_id: str | None = None,
        turn_id: str | None = None,
        budget: Budget | None = None,
        instead: bool = False,
    ) -> Turn:
        """Answer a text in a new turn, `instead` of words that the backend hears. Raises invalid_state."""
        self._floor.machine.check(trigger, State.PROCESSING)
        turn = self._floor.take("text", budget)
        self.sequel.addressed = True
        turn.id, turn.request_id, turn.transcript = turn_id or turn.id, request_id, text
        self._floor.machine.fire(trigger, State.PROCESSING)
        self._floor.started(turn)
        self._floor.spawn(self._ask(turn, text, instead=instead), "text")
        return turn

    async def _ask(self, turn: Turn, text: str, *, instead: bool) -> None:
        if instead:
            await interrupt_dialogue(self._floor)
        await self._floor.begin(turn)
        await self.answer.ask(turn, text)
        self.fallback.rest()

    # When there is no answer

    def _fall_back(self, reason: FallbackReason, error: VonadError) -> bool:
        return self.fallback.begin(reason, error)

    def _exhausted(self, turn: Turn, error: VonadError) -> None:
        if self._floor.turn is not turn or turn.outcome is not None:
            return
        self._floor.tell_error(error, "budget")
        if self._floor.state is State.FALLING_BACK:
            turn.outcome = "budget_exceeded"  # said when that is over: until then nothing can be heard
        else:
            self.answer.apologise(turn, "budget_exceeded")


def _continued(past: tuple[Frame, ...], captured: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The past, and of what was captured what is later; of no past there is nothing later."""
    return past + tuple(frame for frame in captured if past and frame.at > past[-1].at)
