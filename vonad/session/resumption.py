"""The resumption: what a turn was about when its backend was lost, given to the next one from the beginning."""

from collections import deque
from collections.abc import Callable

from vonad.frame import Frame
from vonad.session.answer import Answer
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger
from vonad.session.microphone import EARLY, Microphone
from vonad.session.turn import Turn

SPOKEN = frozenset({"voice", "follow_up"})
"""Sources of turns that come in as sound."""


class Resumption:
    """Keeps what is said while there is no backend.

    again:     told when the turn goes on, though the next backend may have been lost before it did.
    overtaken: asked once the next backend has been told of the turn: whether a wake has taken its place meanwhile.
    missed:    what was captured while nobody could hear it; None: nothing is kept, and what is captured can be heard.
    replayed:  whether it has been told of it, and the microphone is not open again yet.
    """

    def __init__(self, floor: Floor, microphone: Microphone, answer: Answer) -> None:
        self._floor = floor
        self._microphone = microphone
        self._answer = answer
        self.again: Callable[[], object] = lambda: None
        self.overtaken: Callable[[Turn], bool] = lambda turn: False
        self.replayed = False
        self.missed: deque[Frame] | None = None

    @property
    def keeping(self) -> bool:
        """Whether frames are to be kept rather than heard."""
        return self.missed is not None or self._floor.machine.state is State.FALLING_BACK

    @property
    def wanted(self) -> bool:
        """Whether the user was still speaking when the backend was lost."""
        turn = self._floor.turn
        falling = self._floor.machine.state is State.FALLING_BACK
        return falling and turn is not None and turn.endpoint is None and turn.source in SPOKEN

    def keep(self, frame: Frame) -> None:
        """Captured while nobody could hear it."""
        if self.missed is None:
            self.missed = deque(maxlen=EARLY)
        self.missed.append(frame)

    def forget(self) -> None:
        """It is of no use any more."""
        self.missed = None

    def begin(self, turn: Turn, came_from: State) -> None:
        """Another backend is there: go on with this turn, from where it was."""
        floor = self._floor
        if turn.outcome is None and came_from is State.LISTENING:
            floor.spawn(self._hear_again(turn), "microphone")
            return
        self.forget()
        floor.machine.fire(Trigger.BOUND, State.PROCESSING)
        if turn.outcome is not None:  # it ended meanwhile, and only that has to be said
            self._answer.apologise(turn, turn.outcome)
        else:
            floor.spawn(self._answer_again(turn), "text")

    async def _hear_again(self, turn: Turn) -> None:
        """The user had not finished: the microphone stays as it was."""
        floor = self._floor
        try:
            await floor.begin(turn)
            await self._replay()
            self.replayed = True
            if floor.turn is not turn or floor.state is not State.FALLING_BACK or self.overtaken(turn):
                return
            self._microphone.resume()
            floor.machine.fire(Trigger.BOUND, State.LISTENING)
            while self.missed and floor.turn is turn and floor.machine.state is State.LISTENING:
                await self._microphone.hear(self.missed.popleft())
            self.again()
        finally:
            self.replayed = False
            if floor.state is not State.FALLING_BACK:
                self.forget()

    async def _answer_again(self, turn: Turn) -> None:
        """What the user wants is known, or was at least said."""
        floor = self._floor
        if turn.orphaned:
            if turn.running_skills == 0:
                self._answer.skills.say_unsaid(turn)
            return
        await floor.begin(turn)
        if not turn.asked and turn.source == "text":
            await self._answer.ask(turn, turn.transcript or "")
        elif not turn.asked:
            await self._replay(all_said=True)
        elif turn.structure is not None:
            await self._answer.structured.ask(turn, turn.structure, turn.said)
        elif floor.dialogue is not None:
            await floor.dialogue.say(turn.prompt or turn.said)

    async def _replay(self, *, all_said: bool = False) -> None:
        if self._floor.dialogue is not None:
            await self._floor.dialogue.replay(self._microphone.captured, all_said=all_said)
