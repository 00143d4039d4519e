"""The course of a session: from listening to answering to rest, and on to whatever waits."""

from collections.abc import Callable, Iterable

from vonad.frame import Frame
from vonad.session.answer import Answer, interrupt_dialogue
from vonad.session.floor import Floor
from vonad.session.interruption import Interruption
from vonad.session.machine import State, Trigger
from vonad.session.microphone import Microphone
from vonad.session.mouth import Mouth
from vonad.session.turn import Source, Turn
from vonad.session.watch import Watch


class Course:
    """Each step moves the machine at once; what takes time follows in a task of the turn's.

    past:  gives away what was captured just before now.
    close: ends the session, with the reason.
    """

    def __init__(self, floor: Floor, *, past: Callable[[], Iterable[Frame]], close: Callable[[str], None]) -> None:
        self.mouth = Mouth(floor, self._reply_over)
        self.microphone = Microphone(floor, self._endpoint)
        self.answer = Answer(floor, self.mouth, self._endpoint)
        self.interruption = Interruption(floor, self.mouth, past=past, rest=self.go_on)
        self.watch = Watch(
            floor, self.mouth, self.answer, close=close, give_up=lambda turn: self._rest(turn, follow_up=False)
        )
        self._floor = floor
        self._past = past
        self._close = close
        self._reopen = False

    def listen(self, trigger: Trigger, source: Source, *, follow_up: bool | None = None) -> None:
        """Open the microphone for a new turn. Raises invalid_state.

        follow_up: whether it is to open again after the reply; None leaves that to the plan.
        """
        self._floor.machine.check(trigger, State.LISTENING)
        past = tuple(self._past())
        turn = self._floor.take(source)
        turn.follow_up = follow_up
        self._floor.machine.fire(trigger, State.LISTENING)
        self._floor.started(turn)
        self.microphone.open(turn, () if source == "follow_up" else past)

    def _endpoint(self, turn: Turn, reason: str) -> None:
        if self._floor.turn is not turn or self._floor.state is not State.LISTENING:
            return
        if self.microphone.detector is not None and not self.microphone.spoke:
            self.nothing_said(turn, reason)
            return
        turn.endpoint = reason
        turn.asked_at = self.microphone.speech_end_at
        self.microphone.close()
        self._floor.mark(turn, "endpoint")
        self._floor.machine.fire(Trigger.END_OF_TURN, State.PROCESSING, reason=reason)
        self._floor.spawn(self._commit(), "commit")

    async def _commit(self) -> None:
        if self._floor.dialogue is not None:
            await self._floor.dialogue.commit()

    def nothing_said(self, turn: Turn, reason: str) -> None:
        """Close the microphone: nobody has said anything, or nobody wants it heard any more."""
        turn.endpoint = reason
        self.microphone.close()
        self._floor.finish(turn, "empty")
        self._floor.machine.fire(Trigger.NOTHING_SAID, State.IDLE, reason=reason)
        self._floor.spawn(interrupt_dialogue(self._floor), "interrupt")
        self.go_on()

    def take_text(self, trigger: Trigger, text: str, *, request_id: str | None = None) -> Turn:
        """Answer a text in a new turn. Raises invalid_state."""
        self._floor.machine.check(trigger, State.PROCESSING)
        turn = self._floor.take("text")
        turn.request_id, turn.transcript = request_id, text
        self._floor.machine.fire(trigger, State.PROCESSING)
        self._floor.started(turn)
        self._floor.spawn(self._ask(turn, text), "text")
        return turn

    async def _ask(self, turn: Turn, text: str) -> None:
        floor = self._floor
        assert floor.dialogue is not None
        await floor.dialogue.begin(turn.number, sentences=self._floor.means.sentences(), history=tuple(floor.exchanges))
        await self.answer.ask(turn, text)

    def announce(self, trigger: Trigger) -> None:
        """Say what waits first, in a turn of its own."""
        announcement = self.mouth.announcements.next()
        if announcement is None:
            return
        open_turn = self._floor.turn
        if open_turn is not None:  # a microphone that nobody has spoken into: it opens again afterwards
            self._reopen = True
            self.microphone.close()
            self._floor.finish(open_turn, "superseded")
            self._floor.spawn(interrupt_dialogue(self._floor), "interrupt")
        turn = self._floor.take("say")
        turn.request_id = announcement.id
        self.mouth.announcing = announcement
        self._floor.machine.fire(trigger, State.SPEAKING)
        self._floor.started(turn)
        self.mouth.own_words(turn, announcement.text)

    def _reply_over(self, turn: Turn) -> None:
        if self._floor.turn is not turn or self._floor.over:
            return
        if self._floor.state is State.EXECUTING_SKILL:
            self._floor.machine.fire(Trigger.SKILLS_SETTLED, State.PROCESSING)
        if self._wants_follow_up(turn):
            self._floor.after("reopen", self._floor.means.limits.reopen_s, lambda: self._rest(turn, follow_up=True))
        else:
            self._rest(turn, follow_up=False)

    def _rest(self, turn: Turn, *, follow_up: bool) -> None:
        if self._floor.turn is not turn or self._floor.over:
            return
        trigger = Trigger.PLAYBACK_FINISHED if self._floor.state is State.SPEAKING else Trigger.REPLY_SILENT
        self._floor.finish(turn, turn.outcome or ("failed" if turn.failed else "completed"))
        if follow_up and not len(self.mouth.announcements):
            self.listen(trigger, "follow_up")
        else:
            self._floor.machine.fire(trigger, State.IDLE)
            self.go_on()

    def _wants_follow_up(self, turn: Turn) -> bool:
        if self._floor.line is None:
            return False
        if turn.source == "say":
            wanted, self._reopen = self._reopen, False
            return wanted
        if turn.follow_up is not None:
            return turn.follow_up
        setting = self._floor.plan.follow_up
        return setting == "always" or (setting == "auto" and turn.reply.rstrip().endswith("?"))

    def go_on(self) -> None:
        """Idle: say what waits; a session that opened only to say something closes when all is said."""
        if self._floor.state is not State.IDLE:
            return
        if len(self.mouth.announcements):
            self.announce(Trigger.SAY)
        elif self._floor.plan.purpose == "say":
            self._close("backend_finished")
