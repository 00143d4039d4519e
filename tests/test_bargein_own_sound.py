"""Barge-in and our own sound: neither reply nor filler nor cue, come back by the microphone, interrupts what we say."""

from collections.abc import Sequence

import pytest

from tests.conversation import conversation
from tests.test_bargein_before_sound import ask, full_duplex, loud_s
from tests.test_bargein_session import OVERHEARS, REPLY
from vonad.backend import BackendCapabilities, Overheard
from vonad.frame import Frame
from vonad.plan import Plan
from vonad.session.means import CueName
from vonad.testing import ScriptedLine, quiet, settle, speech

EITHER = pytest.mark.parametrize("capabilities", [OVERHEARS, BackendCapabilities()])
LEAK = Frame(speech(0.02).samples // 2, 16_000)
ALWAYS = Plan(satellite="desk", backends=("scripted",), follow_up="always")


class Cue:
    """One sound, and no other."""

    def __init__(self, name: CueName, seconds: float) -> None:
        self.name, self.sound = name, [Frame(speech(seconds).samples, 16_000)]

    def cue(self, name: CueName) -> Sequence[Frame]:
        return self.sound if name == self.name else []

    def spoken(self, key: str, language: str) -> Sequence[Frame]:
        return []


@EITHER
@pytest.mark.parametrize("knock", [1, 2, 4])
async def test_a_knock_before_the_reply_does_not_have_it_interrupt_itself(
    capabilities: BackendCapabilities, knock: int
) -> None:
    async with conversation(capabilities=capabilities, line=full_duplex()) as story:
        await ask(story)
        await story.hear(*[speech(0.02)] * knock)
        story.answer_with(REPLY, seconds=6.0)
        await story.understood("turn on the lamp")
        for _ in range(20):
            story.line.heard(0.1)
            await story.hear(*[LEAK] * 5)
        assert story.session.state == "speaking"


@EITHER
@pytest.mark.parametrize("late", [0, 3, 6])
async def test_the_heard_cue_s_echo_does_not_have_the_reply_interrupt_itself(
    capabilities: BackendCapabilities, late: int
) -> None:
    line = full_duplex()
    async with conversation(capabilities=capabilities, line=line, cues=Cue("heard", 0.16)) as story:
        await ask(story)
        for _ in range(8):
            line.heard(0.02)
            await story.hear(LEAK)
        await story.hear(*[LEAK] * late)
        story.answer_with(REPLY, seconds=6.0)
        await story.understood("turn on the lamp")
        for _ in range(20):
            line.heard(0.1)
            await story.hear(*[LEAK] * 5)
        assert story.session.state == "speaking"


@EITHER
async def test_a_cue_that_was_heard_whole_before_its_echo_comes_is_remembered(
    capabilities: BackendCapabilities,
) -> None:
    line = full_duplex()
    async with conversation(capabilities=capabilities, line=line, cues=Cue("heard", 0.15)) as story:
        await ask(story)
        line.heard(0.15)
        await story.hear(*[LEAK] * 8)
        story.answer_with(REPLY, seconds=6.0)
        await story.understood("turn on the lamp")
        for _ in range(20):
            line.heard(0.1)
            await story.hear(*[LEAK] * 5)
        assert story.session.state == "speaking"


@EITHER
@pytest.mark.parametrize("late", [0, 3, 10])
async def test_a_filler_s_echo_does_not_have_the_reply_interrupt_itself(
    capabilities: BackendCapabilities, late: int
) -> None:
    line = ScriptedLine(full_duplex=True)
    plan = Plan(satellite="desk", backends=("scripted",), filler="static_clip", filler_s=0.5)
    async with conversation(capabilities=capabilities, line=line, cues=Cue("filler", 1.0), plan=plan) as story:
        line._pace = story.clock
        await ask(story)
        while not line.sound:
            await story.hear(quiet(0.02))
        await story.hear(*[LEAK] * (50 + late))
        story.answer_with(REPLY, seconds=6.0)
        await story.understood("turn on the lamp")
        await story.hear(*[LEAK] * 100)
        assert story.session.state == "speaking"


@EITHER
async def test_who_began_before_the_reply_and_fell_silent_is_not_taken_for_its_echo(
    capabilities: BackendCapabilities,
) -> None:
    """The reply begins in the middle of 0.3 s of speech; what leaks of it is quieter than that."""
    async with conversation(capabilities=capabilities, line=full_duplex()) as story:
        await ask(story)
        await story.hear(*[speech(0.02)] * 15)
        story.answer_with(REPLY, seconds=6.0)
        await story.understood("turn on the lamp")
        for _ in range(20):
            story.line.heard(0.1)
            await story.hear(*[LEAK] * 5)
        assert story.session.state == "speaking"


@EITHER
async def test_who_goes_on_right_behind_the_heard_cue_is_heard_whole(capabilities: BackendCapabilities) -> None:
    line = full_duplex()
    async with conversation(capabilities=capabilities, line=line, cues=Cue("heard", 0.16)) as story:
        await ask(story)
        for _ in range(8):
            line.heard(0.02)
            await story.hear(quiet(0.02))
        await story.hear(*[speech(0.02)] * 50)
        assert story.session.state == "listening"
        assert loud_s(story.dialogue.heard) == pytest.approx(2.0, abs=0.03)


async def test_the_last_reply_s_own_words_interrupt_the_next_one_before_it_sounds() -> None:
    """Asked "in the kitchen or in the hall", who goes on with "in the kitchen" is no echo a turn later."""
    line = ScriptedLine(full_duplex=True)
    async with conversation(capabilities=OVERHEARS, line=line, plan=ALWAYS) as story:
        await ask(story)
        await story.understood("turn on a lamp", "Do you want the lamp in the kitchen or in the hall")
        await story.clock.advance(0.35)
        await ask(story)
        await story.hear(*[speech(0.02)] * 15)
        story.dialogue.emit(Overheard(story.turn, "in the kitchen"))
        await story.hear(*[speech(0.02)] * 15)
        assert story.session.state == "listening"
        assert loud_s(story.dialogue.heard) == pytest.approx(1.6, abs=0.03)


async def test_an_echo_s_last_before_the_microphone_opens_again_is_nobody_s_answer() -> None:
    line = full_duplex()
    async with conversation(capabilities=OVERHEARS, line=line, plan=ALWAYS) as story:
        await ask(story)
        story.answer_with("Do you want the lamp in the kitchen", seconds=4.0)
        await story.understood("turn on a lamp")
        for _ in range(2):
            for _ in range(20):
                line.heard(0.1)
                await story.hear(*[LEAK] * 5)
            story.dialogue.emit(Overheard(story.turn, "do you want the lamp"))
            await settle()
        line.release()
        await settle()
        await story.hear(*[LEAK] * 10, *[quiet(0.02)] * 70)
        assert story.session.state == "listening"
        assert story.session.turn is not None
        assert story.session.turn.barged == ""
