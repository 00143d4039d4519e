"""The mouth over several turns: no turn speaks through what another has left behind, nor is held up by it."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.conversation import Conversation, conversation
from vonad.backend import ReplyDone, ReplyText, Transcript
from vonad.frame import Frame
from vonad.plan import Plan
from vonad.session.means import CueName
from vonad.session.utterance import QUEUE, Utterance
from vonad.testing import ManualClock, ScriptedLine, quiet, settle, speech


def sound(turn: int, seconds: float = 0.1) -> Frame:
    return Frame(speech(seconds).samples, 16_000, turn=turn)


class Stuck(ScriptedLine):
    """Takes three pieces of sound and then no more, and clears no sooner than it may."""

    def __init__(self) -> None:
        super().__init__()
        self.takes, self.may_clear = asyncio.Event(), asyncio.Event()
        self.clearing = False

    async def play(self, frame: Frame) -> None:
        await super().play(frame)
        if len(self.sound) > 3:
            await self.takes.wait()

    async def clear(self) -> None:
        self.clearing = True
        await self.may_clear.wait()
        await super().clear()

    def repaired(self) -> None:
        self.takes.set()
        self.may_clear.set()
        self.release()


async def test_what_a_backend_says_while_a_stuck_reply_is_cleared_does_not_speak_for_the_next_turn() -> None:
    line = Stuck()
    async with conversation(line=line) as story:
        await story.say_command()
        turn = story.turn
        story.dialogue.on_say = lambda _: story.dialogue.emit(ReplyText(turn, "A long reply."), *[sound(turn)] * 20)
        await story.understood("go on")
        line.hold()
        while not line.clearing:
            await story.clock.advance(0.1)
        story.dialogue.emit(*[sound(turn)] * 3)
        await settle()
        line.repaired()
        await settle()
        before = len(line.sound)
        await answered(story, before)


async def answered(story: Conversation, before: int) -> None:
    """The next turn is heard, nothing but it, and over in time."""
    story.answer_with("Noon.")
    asked = story.session.ask("what time is it")
    await settle()
    await story.clock.advance(1.0)
    assert story.session.state == "idle"
    assert {frame.turn for frame in story.line.sound[before:]} == {asked.number}
    assert (asked.outcome, asked.heard) == ("completed", "Noon.")


class Heard:
    """The cue of an endpoint, and no other."""

    def cue(self, name: CueName) -> Sequence[Frame]:
        return [speech(0.1)] if name == "heard" else []

    def spoken(self, key: str, language: str) -> Sequence[Frame]:
        return []


async def test_a_reply_that_is_over_before_the_backend_was_told_has_no_cue_behind_it() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), follow_up="always")
    async with conversation(cues=Heard(), plan=plan) as story:
        contact, told = story.session._floor.dialogue, asyncio.Event()
        assert contact is not None
        commit = contact.commit

        async def late() -> None:
            await commit()
            turn = story.turn
            story.dialogue.emit(ReplyText(turn, "Noon?"), sound(turn), ReplyDone(turn))
            await told.wait()

        contact.commit = late  # type: ignore[method-assign]
        await story.hear(*[speech(0.02)] * 50)
        hearing = []
        while story.session.state == "listening":
            hearing.append(asyncio.create_task(story.session.hear(Frame(quiet(0.02).samples, 16_000, story._at))))
            story._at += 0.02
            await story.clock.advance(0.02)
            await settle()
        story.dialogue.emit(Transcript(story.turn, "what time is it", final=True))
        await settle()
        await story.clock.advance(0.1)
        before = len(story.line.sound)
        told.set()
        await story.clock.advance(0.5)
        await asyncio.gather(*hearing)
        assert story.session.state == "listening"
        assert len(story.line.sound) == before


async def test_a_long_reply_that_is_stopped_leaves_its_dialogue_free_to_answer() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        takes = asyncio.Event()
        play = line.play

        async def slow(frame: Frame) -> None:
            await takes.wait()
            await play(frame)

        line.play = slow  # type: ignore[method-assign]
        await story.say_command()
        turn = story.turn
        long = [sound(turn, 0.02)] * (QUEUE + 300)
        story.dialogue.on_say = lambda _: story.dialogue.emit(ReplyText(turn, "Long ago"), *long, ReplyDone(turn))
        await story.understood("tell me a story")
        assert story.session.stop()
        takes.set()
        await story.clock.advance(1.5)
        assert story.session.state == "idle"
        await answered(story, len(line.sound))


async def test_whoever_waits_for_room_in_an_abandoned_utterance_goes_on() -> None:
    subject = Utterance(ScriptedLine(), 1, ManualClock(), lambda: None)
    waiting = [asyncio.create_task(fill(subject)) for _ in range(2)]
    await settle()
    assert not any(task.done() for task in waiting)
    subject.abandon()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    await asyncio.wait_for(subject.run(), 5)
    assert subject.pushed_s == pytest.approx(0.0)


async def fill(utterance: Utterance) -> None:
    for _ in range(QUEUE):
        await utterance.put(quiet(0.02))
    await utterance.sentence("and so on")
    utterance.end()
