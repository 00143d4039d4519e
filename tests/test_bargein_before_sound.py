"""Barge-in before the first sound: somebody goes on speaking where the words only seemed to have ended."""

import asyncio
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from tests.conversation import Conversation, conversation
from tests.plugins.fake_host import FakeHost
from tests.test_bargein_session import OVERHEARS, REPLY, captured_s, say
from tests.test_filler import Dig
from vonad.backend import BackendCapabilities, EndOfSpeech, Overheard, SpeechStarted
from vonad.ear import Ear
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.plan import PATIENCE, Plan
from vonad.session.session import Session
from vonad.testing import ScriptedLine, quiet, settle, speech


class Act(Dig):
    """It changes something, and takes its time."""

    risk: ClassVar[Literal["read", "reversible", "sensitive"]] = "reversible"


def full_duplex() -> ScriptedLine:
    line = ScriptedLine(full_duplex=True)
    line.hold()
    return line


async def ask(story: Conversation) -> None:
    """A second of speech, and its end."""
    await story.hear(*[speech(0.02)] * 50)
    while story.session.state == "listening":
        await story.hear(quiet(0.02))


def loud_s(frames: list[Frame]) -> float:
    return captured_s([frame for frame in frames if frame.samples.any() and abs(int(frame.samples.max())) > 100])


@pytest.mark.parametrize("capabilities", [OVERHEARS, BackendCapabilities()])
@pytest.mark.parametrize("patience", ["default", "aggressive"])
async def test_who_goes_on_right_after_the_endpoint_is_heard_whole(
    capabilities: BackendCapabilities, patience: str
) -> None:
    """ "Turn on the lamp" ... "in the kitchen": one turn hears both parts, and the first alone is not answered."""
    plan = Plan(satellite="desk", backends=("scripted",), endpointing=PATIENCE[patience])
    async with conversation(capabilities=capabilities, line=full_duplex(), plan=plan) as story:
        await ask(story)
        assert story.session.state == "processing"
        await story.hear(*[speech(0.02)] * 40)
        assert story.session.state == "listening"
        assert loud_s(story.dialogue.heard) == pytest.approx(1.8, abs=0.01)
        times = [frame.at for frame in story.dialogue.heard]
        assert times == sorted(set(times))
        await story.hear(*[quiet(0.02)] * 60)
        assert story.session.state == "processing"
        await story.understood("turn on the lamp in the kitchen", "It is on.")
        assert [text for text in story.dialogue.told if text.startswith("say")] == [
            "say turn on the lamp in the kitchen"
        ]
        story.line.release()
        await settle()
        assert story.outcomes == ["superseded", "completed"]


async def test_who_goes_on_after_more_than_20_s_is_heard_from_the_first_word_on() -> None:
    first = Frame(speech(0.02).samples // 2, 16_000)
    async with conversation(capabilities=BackendCapabilities(), line=full_duplex()) as story:
        await story.hear(first, *[speech(0.02)] * 1_000)
        while story.session.state == "listening":
            await story.hear(quiet(0.02))
        await story.hear(*[speech(0.02)] * 40)
        assert story.session.state == "listening"
        assert story.turn == 2
        assert loud_s(story.dialogue.heard) == pytest.approx(20.82, abs=0.01)
        assert story.dialogue.heard[0].samples.max() == first.samples.max()


async def test_the_first_part_is_no_exchange_of_its_own() -> None:
    async with conversation(capabilities=OVERHEARS, line=full_duplex()) as story:
        await ask(story)
        await story.understood("turn on the lamp")
        await story.hear(*[speech(0.02)] * 40)
        assert story.session.state == "listening"
        assert story.dialogue.history == ()


async def test_who_went_on_before_the_first_sound_is_heard_whole_though_the_reply_begins_meanwhile() -> None:
    async with conversation(capabilities=BackendCapabilities(), line=full_duplex()) as story:
        await ask(story)
        await story.hear(*[speech(0.02)] * 15)
        await story.understood("turn on the lamp", REPLY)
        assert story.session.state == "speaking"
        await story.hear(*[speech(0.02)] * 15)
        assert story.session.state == "listening"
        assert loud_s(story.dialogue.heard) == pytest.approx(1.6, abs=0.01)


async def test_a_cough_behind_the_words_interrupts_nothing() -> None:
    async with conversation(capabilities=OVERHEARS, line=full_duplex()) as story:
        await ask(story)
        await story.hear(*[speech(0.02)] * 15, *[quiet(0.02)] * 50)
        assert story.session.state == "processing"
        await story.understood("turn on the lamp", "It is on.")
        assert story.session.state == "speaking"


async def test_who_only_agrees_behind_the_words_interrupts_nothing() -> None:
    async with conversation(capabilities=OVERHEARS, line=full_duplex()) as story:
        await ask(story)
        await story.hear(*[speech(0.02)] * 15)
        story.dialogue.emit(Overheard(story.turn, "okay"))
        await story.hear(*[speech(0.02)] * 30)
        assert story.session.state == "processing"


async def test_a_stop_word_before_the_first_sound_ends_the_turn_without_its_words() -> None:
    async with conversation(capabilities=OVERHEARS, line=full_duplex()) as story:
        await ask(story)
        await say(story, "stop", seconds=0.3)
        assert story.session.state == "listening"
        assert loud_s(story.dialogue.heard) == pytest.approx(0.3, abs=0.01)
        await story.hear(*[quiet(0.02)] * 50)
        await story.understood("stop")
        assert story.session.state == "idle"
        assert not [text for text in story.dialogue.told if text.startswith("say")]


async def test_words_interrupt_a_skill_that_acts_and_what_it_was_asked_is_not_asked_again(tmp_path: Path) -> None:
    dig = Act(NoSettings(), FakeHost(tmp_path))
    async with conversation(capabilities=OVERHEARS, line=full_duplex(), skills=((dig, "test"),)) as story:
        await ask(story)
        await story.understood("turn on the lamp")
        story.call_skill("dig")
        await settle()
        assert story.session.state == "executing_skill"
        await story.hear(*[speech(0.02)] * 40)
        assert story.session.state == "executing_skill"
        story.dialogue.emit(Overheard(story.turn, "no the other one"))
        await settle()
        assert story.session.state == "listening"
        assert loud_s(story.dialogue.heard) == pytest.approx(0.8, abs=0.01)


async def test_a_backend_that_hears_for_itself_interrupts_while_it_thinks() -> None:
    own = BackendCapabilities(turn_detection=True, hears=True)
    async with conversation(capabilities=own, line=full_duplex()) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(EndOfSpeech(story.turn, "silence"))
        await settle()
        assert story.session.state == "processing"
        story.dialogue.emit(SpeechStarted(story.turn))
        await settle()
        assert story.session.state == "listening"


async def test_on_a_half_duplex_line_nobody_interrupts_what_is_not_heard_yet() -> None:
    async with conversation(capabilities=OVERHEARS) as story:
        await ask(story)
        assert not story.session.attentive


async def test_a_filler_leaves_the_measure_of_the_reply_s_echo_as_it_is() -> None:
    """A line that leaks our voice, and a backend that overhears nothing: neither filler nor reply interrupts itself."""
    leak = Frame(speech(0.02).samples // 4, 16_000)
    async with conversation(capabilities=BackendCapabilities(fills=True), line=full_duplex()) as story:
        await ask(story)
        story.dialogue.emit(Frame(speech(1.0).samples, 16_000, turn=story.turn, filler=True))
        await settle()
        for _ in range(50):
            await story.hear(leak)
            story.line.heard(0.02)
        story.answer_with(REPLY, seconds=10.0)
        await story.understood("what time is it")
        for _ in range(100):
            await story.hear(leak)
            story.line.heard(0.02)
        assert story.session.state == "speaking"
        assert story.told("interruption") == []
        await story.hear(*[speech(0.02)] * 30)
        assert story.session.state == "listening"
        assert story.told("interruption")[0].data["played_ms"] == pytest.approx(2_000, abs=20)


async def test_a_filler_can_be_interrupted_by_voice() -> None:
    async with conversation(capabilities=BackendCapabilities(fills=True), line=full_duplex()) as story:
        await ask(story)
        story.dialogue.emit(Frame(speech(3.0).samples, 16_000, turn=story.turn, filler=True))
        await settle()
        story.line.heard(1.0)
        await story.hear(*[speech(0.02)] * 30)
        assert story.session.state == "listening"
        assert story.told("interruption")[0].data["played_ms"] == 0


async def test_the_ear_hands_on_who_goes_on_and_loses_no_frame() -> None:
    room = full_duplex()
    ear = Ear(room, pre_roll_s=0.5, detected=lambda found: None)

    def take(session: Session) -> None:
        session._course._past = ear.past
        ear.session = session

    async with conversation(capabilities=OVERHEARS, line=room, before=take) as story:
        running = asyncio.create_task(ear.run())
        for frame in [*[speech(0.02)] * 50, *[quiet(0.02)] * 48, *[speech(0.02)] * 40]:
            room.captured.put(Frame(frame.samples, 16_000, story.clock.monotonic()))
            await settle()
            await story.clock.advance(frame.seconds)
        await settle()
        assert story.session.state == "listening"
        assert loud_s(story.dialogue.heard) == pytest.approx(1.8, abs=0.01)
        running.cancel()
