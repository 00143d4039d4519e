"""Whatever a session asks of the bridge in whatever order: nothing comes out that is not wanted, and in order."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.bridge_house import Brain, Ear, Talk, Throat, talk
from vonad import ContextEvent, Frame, Outcome, ReplyDone, ReplyFailed, ReplyText, Request, SkillDesk, SkillRequest
from vonad.testing import speech

Step = tuple[str, int]

VERBS = ["begin", "hear", "commit", "prepare", "confirm", "say"]
VERBS += ["interrupt", "overhear", "fill", "inject", "take", "run"]

STEPS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 3)), max_size=40)


class Counter(Brain):
    """Counts to five behind each text, with a skill in the middle."""

    async def answer(self, request: Request, desk: SkillDesk) -> AsyncIterator[str]:
        for number in range(5):
            await asyncio.sleep(0)
            yield f"{request.text} {number}. "
            if number == 2:
                await desk.call("look", {"text": request.text})


class Story:
    """Does the steps, and knows what may come out."""

    def __init__(self, side: Talk) -> None:
        self.side = side
        self.turn = 0
        self.drafted: str | None = None
        self.wanted: str | None = None
        self.taken = 0
        self.texts: list[str] = []

    async def do(self, verb: str, number: int) -> None:  # noqa: PLR0912  (a table)
        dialogue, text = self.side.dialogue, f"text {number}"
        match verb:
            case "begin":
                self._over()
                self.turn += 1
                await self.side.begin(self.turn)
            case "interrupt":
                self._over()
                await dialogue.interrupt()
            case "hear":
                await dialogue.hear(speech(0.02))
            case "commit":
                await dialogue.commit()
            case "prepare":
                if self.wanted is None:
                    self.drafted = text
                await dialogue.prepare(text)
            case "confirm" if self.drafted is not None:
                self._want(self.drafted)
                await dialogue.confirm()
            case "say":
                self._want(text)
                await dialogue.say(text)
            case "overhear":
                await dialogue.overhear(speech(0.02))
            case "fill":
                await dialogue.fill()
            case "inject":
                await dialogue.inject(ContextEvent(source="bell"))
            case "take":
                self.side.take.clear() if number else self.side.take.set()
            case "run":
                for _ in range(3**number):
                    await asyncio.sleep(0)
        await self.check()

    async def check(self) -> None:
        """Look at what has come out since."""
        for reply in self.side.said[self.taken :]:
            self.taken += 1
            assert reply.turn == self.turn, f"{reply} is late"
            if isinstance(reply, SkillRequest):
                assert reply.call.arguments["text"] == (self.wanted or self.drafted)
                assert reply.early or self.wanted is not None
                await self.side.dialogue.answer(reply.call.id, Outcome("seen"))
            elif isinstance(reply, ReplyText | ReplyDone) or (isinstance(reply, Frame) and not reply.filler):
                assert self.wanted is not None, f"{reply} was held back by nobody"
            assert not isinstance(reply, ReplyFailed)
            if isinstance(reply, ReplyText):
                self.texts.append(reply.text)
                assert reply.text == f"{self.wanted} {len(self.texts) - 1}."

    def _over(self) -> None:
        self.drafted = self.wanted = None
        self.texts = []

    def _want(self, text: str) -> None:
        self.wanted, self.drafted = text, None
        self.texts = []


async def told(steps: list[Step]) -> None:
    before = asyncio.all_tasks()
    async with talk(
        Path("nowhere"), stt={"ear": Ear("hello")}, agent={"counter": Counter()}, tts={"throat": Throat()}
    ) as side:
        story = Story(side)
        await story.do("begin", 0)
        for verb, number in steps:
            await story.do(verb, number)
        side.take.set()
        for _ in range(10):
            await story.do("run", 3)
        if story.wanted is not None:
            assert len(story.texts) == 5
            assert any(isinstance(reply, ReplyDone) and reply.turn == story.turn for reply in side.said)
    assert asyncio.all_tasks() == before


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_only_what_is_wanted_comes_out_in_order_and_whole(steps: list[Step]) -> None:
    asyncio.run(told(steps))
