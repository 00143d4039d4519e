"""Barge-in and the room: talk, televisions and coughs that nobody meant for us cancel nothing and open nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conversation import Conversation, conversation
from tests.plugins.fake_host import FakeHost
from tests.test_bargein_before_sound import Act, ask, full_duplex
from tests.test_bargein_session import OVERHEARS, REPLY, replying
from vonad.backend import BackendCapabilities, SpeechStarted
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.plan import Plan, Style
from vonad.session.announcement import Announcement, new_announcement
from vonad.testing import quiet, settle, speech

EITHER = pytest.mark.parametrize("capabilities", [OVERHEARS, BackendCapabilities()])
RESTS = Plan(satellite="desk", backends=("scripted",), purpose="idle")


async def never(text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
    """A voice that has no sound yet."""
    await asyncio.Event().wait()
    yield quiet(0.02)


async def announce(story: Conversation) -> Announcement:
    announcement = new_announcement("The washing machine is done now.")
    story.session.say(announcement)
    await settle()
    return announcement


@EITHER
async def test_a_television_holds_an_answer_up_by_one_continuation_only(capabilities: BackendCapabilities) -> None:
    """0.6 s of talk and 1.1 s of quiet, over and over, and a recogniser that takes 1.2 s."""
    async with conversation(capabilities=capabilities, line=full_duplex()) as story:
        await ask(story)
        now, since = (story.session.state, story.turn), 0.0
        for frame in ([speech(0.02)] * 30 + [quiet(0.02)] * 55) * 12:
            await story.hear(frame)
            before, now = now, (story.session.state, story.turn)
            since = since + 0.02 if before == now else 0.0
            if now[0] == "processing" and since >= 1.2:
                story.line.hold()
                await story.understood("what time is it", "It is noon.")
                break
        assert (story.session.state, story.turn) == ("speaking", 2)


async def test_an_announcement_is_not_cancelled_by_talk_in_the_room_before_it_sounds() -> None:
    for capabilities in (OVERHEARS, BackendCapabilities()):
        async with conversation(plan=RESTS, capabilities=capabilities, line=full_duplex()) as story:
            story.backend.speak = never  # type: ignore[method-assign]
            announcement = await announce(story)
            await story.hear(*[speech(0.02)] * 40)
            assert story.session.state == "speaking"
            assert announcement.state == "playing"


@EITHER
async def test_a_text_turn_is_not_interrupted_by_talk_in_the_room_before_it_sounds(
    capabilities: BackendCapabilities,
) -> None:
    async with conversation(plan=RESTS, capabilities=capabilities, line=full_duplex()) as story:
        story.session.ask("what time is it")
        await settle()
        await story.hear(*[speech(0.02)] * 40)
        assert story.session.state == "processing"


async def test_a_television_that_the_reply_was_not_quieter_for_any_more_opens_no_microphone() -> None:
    async with replying() as story:
        await story.hear(*[speech(0.02)] * 200)
        story.line.release()
        await settle()
        assert story.session.state == "idle"


async def test_a_cough_as_a_short_reply_ends_opens_no_microphone() -> None:
    async with conversation(capabilities=OVERHEARS, line=full_duplex()) as story:
        await ask(story)
        await story.hear(*[speech(0.02)] * 10, *[quiet(0.02)] * 5)
        story.answer_with("Done.", seconds=0.4)
        await story.understood("turn on the lamp")
        await story.hear(*[quiet(0.02)] * 20)
        story.line.release()
        await settle()
        assert story.session.state == "idle"


async def test_talk_in_the_room_as_an_announcement_ends_opens_no_microphone() -> None:
    line = full_duplex()
    async with conversation(plan=RESTS, capabilities=OVERHEARS, line=line) as story:
        await announce(story)
        line.heard(0.3)
        await story.hear(*[speech(0.02)] * 30)
        line.release()
        await settle()
        assert story.session.state == "idle"
        assert story.dialogue.heard == []


@EITHER
async def test_wordless_speech_that_began_before_an_action_does_not_cancel_it_half_way(
    tmp_path: Path, capabilities: BackendCapabilities
) -> None:
    dig = Act(NoSettings(), FakeHost(tmp_path))
    async with conversation(capabilities=capabilities, line=full_duplex(), skills=((dig, "test"),)) as story:
        await ask(story)
        await story.hear(*[speech(0.02)] * 10)
        await story.understood("turn on the lamp")
        story.call_skill("dig")
        await settle()
        await story.hear(*[speech(0.02)] * 30)
        assert story.session.state == "executing_skill"


async def test_a_backend_that_hears_an_interruption_is_not_given_the_words_of_the_turn_before_again() -> None:
    """They went on once; this time somebody interrupts."""
    async with conversation(capabilities=BackendCapabilities(), line=full_duplex()) as story:
        await ask(story)
        await story.hear(*[speech(0.02)] * 40)
        await story.hear(*[quiet(0.02)] * 60)
        story.line.hold()
        await story.understood("turn on the lamp in the kitchen", REPLY)
        story.line.heard(0.5)
        story.dialogue.emit(SpeechStarted(story.turn))
        await settle()
        assert story.session.state == "listening"
        assert story.session.last is not None
        assert not story.session.last.resaid
