"""A microphone in a bottle: a real floor with a turn that listens, and scripted ends, for tests of who ends it when."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from tests.conversation import Bench, Hooks, means
from vonad.backend import BackendCapabilities, Brief
from vonad.bus import Bus
from vonad.engine import TurnDetector
from vonad.frame import Frame
from vonad.history import open_journal
from vonad.plan import Plan
from vonad.sentences import Sentences
from vonad.session.draft import Draft
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger
from vonad.session.microphone import Microphone
from vonad.session.turn import Turn
from vonad.testing import LoudnessDetector, ManualClock, ScriptedBackend, ScriptedDialogue, quiet, settle, speech


class Scholar(TurnDetector):
    """Knows a lamp and a kitchen; `asked` is everything it was asked about, in `languages`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.languages: list[str] = []

    def judge(
        self, words: str, *, sentences: Sentences, language: str
    ) -> Literal["complete", "open", "partial", "unknown"]:
        self.asked.append(words)
        self.languages.append(language)
        known = ["turn", "on", "the", "lamp", "in", "the", "kitchen"]
        said = words.split()
        if said == known or words == "what's the date today":
            return "complete"
        if said == known[:4]:
            return "open"
        return "partial" if said == known[: len(said)] else "unknown"


class Listening:
    """One turn that listens. `ended`: the endpoint reasons so far, with the seconds of sound behind which they came."""

    def __init__(
        self, floor: Floor, clock: ManualClock, dialogue: ScriptedDialogue, *, pre_roll: Sequence[Frame]
    ) -> None:
        self.floor = floor
        self.clock = clock
        self.dialogue = dialogue
        self.draft = Draft(floor)
        self.judge = Scholar()
        self.ended: list[tuple[str, float]] = []
        self.heard_s = 0.0
        self.microphone = Microphone(floor, self._over, lambda turn, failure: None, self.draft)
        self.microphone.detector = LoudnessDetector()
        self.microphone.judge = self.judge
        floor.machine.fire(Trigger.OPEN, State.CONNECTING)
        self.turn = floor.take("voice")
        floor.machine.fire(Trigger.READY, State.LISTENING)
        self._pre_roll = pre_roll

    def open(self) -> None:
        """From now on it is heard."""
        self.microphone.open(self.turn, self._pre_roll)

    @property
    def reason(self) -> str:
        """Why it ended; empty: it has not."""
        return self.ended[0][0] if self.ended else ""

    async def say(self, seconds: float) -> None:
        """Somebody speaks."""
        await self._hear([speech(0.02)] * round(seconds * 50))

    async def pause(self, seconds: float) -> None:
        """Nobody does."""
        await self._hear([quiet(0.02)] * round(seconds * 50))

    async def _hear(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if self.ended:
                return
            await self.microphone.hear(Frame(frame.samples, frame.rate, self.clock.monotonic()))
            await self.clock.advance(frame.seconds)
            self.heard_s += frame.seconds

    def _over(self, turn: Turn, reason: str) -> bool:
        assert turn is self.turn
        self.ended.append((reason, round(self.heard_s, 2)))
        self.microphone.close()
        self.floor.machine.fire(Trigger.END_OF_TURN, State.PROCESSING, reason=reason)
        return False


@asynccontextmanager
async def listening(
    plan: Plan | None = None,
    *,
    pre_roll: Sequence[Frame] = (),
    prepares: bool = True,
    hooks: Hooks | None = None,
    opened: bool = True,
) -> AsyncIterator[Listening]:
    """The microphone has just opened, or is to be opened by the test."""
    clock = ManualClock()
    bus = Bus("test", clock)
    plan = plan or Plan(satellite="desk", backends=("scripted", "other"))
    async with open_journal(None, clock=clock, retention_days=0) as journal, asyncio.TaskGroup() as group:
        given = means(clock, bus, journal, Bench({"scripted": ScriptedBackend()}), (), hooks, group)
        floor = Floor("s1", "c1", plan, None, given, changed=lambda change: None, failed=_fail)
        floor.capabilities = BackendCapabilities(prepares=prepares)
        brief = Brief(session_id="s1", satellite="desk", language="en", aloud=True)
        floor.dialogue = dialogue = ScriptedDialogue(brief, floor.capabilities)
        async with floor.group:
            story = Listening(floor, clock, dialogue, pre_roll=pre_roll)
            if opened:
                story.open()
                await settle()
            yield story
            floor.cancel_turn_tasks()
            floor.drop_timer()


def _fail(error: Exception) -> None:
    raise AssertionError(f"the session failed: {error}")
