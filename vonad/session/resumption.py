"""The resumption: what a turn was about when its backend was lost, given to the next one from the beginning."""

from collections import deque

from vonad.frame import Frame
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger
from vonad.session.microphone import EARLY, Microphone
from vonad.session.skills import Skills
from vonad.session.structured import Structured
from vonad.session.turn import Turn

SPOKEN = frozenset({"voice", "follow_up"})
"""Sources of turns that come in as sound."""


class Resumption:
    """Keeps what is said while there is no backend.

    keeping: what is captured belongs here, and not yet to the microphone.
    """

    def __init__(self, floor: Floor, microphone: Microphone, skills: Skills, structured: Structured) -> None:
        self._floor = floor
        self._microphone = microphone
        self._skills = skills
        self._structured = structured
        self._missed: deque[Frame] | None = None

    @property
    def keeping(self) -> bool:
        """Whether frames are to be kept rather than heard."""
        return self._missed is not None or self._floor.machine.state is State.FALLING_BACK

    @property
    def wanted(self) -> bool:
        """Whether the user was still speaking when the backend was lost."""
        turn = self._floor.turn
        falling = self._floor.machine.state is State.FALLING_BACK
        return falling and turn is not None and turn.endpoint is None and turn.source in SPOKEN

    def keep(self, frame: Frame) -> None:
        """Captured while nobody could hear it."""
        if self._missed is None:
            self._missed = deque(maxlen=EARLY)
        self._missed.append(frame)

    def forget(self) -> None:
        """It is of no use any more."""
        self._missed = None

    def begin(self, turn: Turn, came_from: State) -> None:
        """Another backend is there: go on with this turn, from where it was."""
        floor = self._floor
        if came_from is State.LISTENING:
            floor.spawn(self._hear_again(turn), "microphone")
        else:
            self.forget()
            floor.machine.fire(Trigger.BOUND, State.PROCESSING)
            floor.spawn(self._answer_again(turn), "text")

    async def _hear_again(self, turn: Turn) -> None:
        """The user had not finished: the microphone stays as it was."""
        floor = self._floor
        try:
            await floor.begin(turn)
            await self._replay()
            if floor.turn is not turn or floor.state is not State.FALLING_BACK:
                return
            floor.machine.fire(Trigger.BOUND, State.LISTENING)
            while self._missed and floor.turn is turn:
                await self._microphone.hear(self._missed.popleft())
        finally:
            self.forget()

    async def _answer_again(self, turn: Turn) -> None:
        """What the user wants is known, or was at least said."""
        floor = self._floor
        if turn.orphaned:
            if turn.running_skills == 0:
                self._skills.say_unsaid(turn)
            return
        await floor.begin(turn)
        if turn.asked and turn.structure is not None:
            await self._structured.ask(turn, turn.structure, turn.said)
        elif turn.asked and floor.dialogue is not None:
            await floor.dialogue.say(turn.prompt or turn.said)
        elif floor.dialogue is not None:
            await self._replay()
            await floor.dialogue.commit()

    async def _replay(self) -> None:
        for frame in self._microphone.captured:
            if self._floor.dialogue is not None:
                await self._floor.dialogue.hear(frame)
