"""Silence in the middle of a reply: a skill that takes its time, a backend that thinks on, one that says no more."""

import asyncio

import pytest

from tests.conversation import Conversation, conversation
from vonad.backend import ReplyDone, ReplyText
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.skill import AnySkill, Call, NoArgs, skill
from vonad.testing import ScriptedHost, ScriptedLine, settle, speech


class Search:
    """A skill that ends when a test says so."""

    def __init__(self) -> None:
        self.found = asyncio.Event()

    def made(self) -> tuple[AnySkill, str]:
        async def run(args: NoArgs, call: Call) -> str:
            await self.found.wait()
            return "It is noon."

        run.__name__, run.__doc__ = "search", "Searches."
        return skill(risk="read", timeout_s=60.0)(run)(NoSettings(), ScriptedHost()), "a test's"


async def says(story: Conversation, text: str, seconds: float, *, done: bool = False) -> None:
    turn = story.turn
    story.dialogue.emit(ReplyText(turn, text), Frame(speech(seconds).samples, 16_000, turn=turn))
    if done:
        story.dialogue.emit(ReplyDone(turn))
    await settle()


async def asked(story: Conversation) -> None:
    await story.say_command()
    await story.understood("what time is it")


@pytest.mark.parametrize("took_s", [9.9, 14.9, 31.0])
async def test_a_reply_that_has_fallen_silent_over_a_skill_waits_for_its_backend_as_any_other(took_s: float) -> None:
    search = Search()
    async with conversation(skills=(search.made(),)) as story:
        await asked(story)
        await says(story, "Let me see.", 1.0)
        story.call_skill("search")
        await story.clock.advance(took_s)
        assert story.states[-1] == "executing_skill"
        search.found.set()
        await settle()
        assert story.states[-1] == "processing"
        await story.clock.advance(20.0)
        await says(story, "It is noon.", 1.0, done=True)
        states = ["listening", "processing", "speaking", "executing_skill", "processing", "speaking", "idle"]
        assert (story.states, story.outcomes) == (states, ["completed"])
        [ended] = story.told("turn.ended")
        assert ended.data["heard_text"] == "Let me see. It is noon."
        assert float(str(ended.data["first_audio_ms"])) < 1000


async def test_a_reply_that_sounds_on_when_its_skill_is_done_is_still_spoken() -> None:
    search, line = Search(), ScriptedLine()
    async with conversation(skills=(search.made(),), line=line) as story:
        await asked(story)
        line.hold()
        await says(story, "Let me see.", 3.0)
        story.call_skill("search")
        await story.clock.advance(1.0)
        search.found.set()
        await settle()
        assert story.states[-2:] == ["executing_skill", "speaking"]
        await says(story, "It is noon.", 1.0, done=True)
        line.release()
        await settle()
        assert (story.states[-1], story.outcomes) == ("idle", ["completed"])


async def test_a_backend_that_says_no_more_behind_a_skill_is_given_up_like_any_other() -> None:
    search = Search()
    async with conversation(skills=(search.made(),)) as story:
        await asked(story)
        await says(story, "Let me see.", 1.0)
        story.call_skill("search")
        search.found.set()
        await story.clock.advance(29.0)
        assert story.states[-1] == "processing"
        await story.clock.advance(2.0)
        assert (story.states[-1], story.outcomes) == ("idle", ["failed"])


async def test_a_backend_has_5_s_between_two_sentences_however_long_the_first_was() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        await asked(story)
        line.hold()
        await says(story, "A long sentence.", 9.9)
        for _ in range(99):
            line.heard(0.1)
            await story.clock.advance(0.1)
        await story.clock.advance(4.5)
        await says(story, "And another.", 1.0, done=True)
        line.release()
        await settle()
        assert (story.states[-1], story.outcomes) == ("idle", ["completed"])
        assert story.told("turn.ended")[0].data["heard_text"] == "A long sentence. And another."


async def test_a_backend_that_says_no_more_behind_a_sentence_is_given_up_5_s_after_its_sound() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        await asked(story)
        line.hold()
        await says(story, "A sentence.", 2.0)
        line.release()
        await story.clock.advance(11.0)
        assert (story.states[-1], story.outcomes) == ("idle", ["failed"])
