"""What was captured before an explicit wake: often somebody else's talk, sometimes the user's first word."""

from pathlib import Path

import pytest

from tests.conversation import Conversation, conversation
from tests.runtime_house import runtime_house
from vonad.backend import ReplyText, Transcript
from vonad.frame import Frame
from vonad.plan import Plan, Wake
from vonad.session.session import Session
from vonad.testing import ScriptedLine, quiet, settle, speech


def woken(*before: Frame, source: str = "mqtt", phrase: str | None = None):
    """These were captured just before a wake that opens the session."""

    def prepare(session: Session) -> None:
        now = session._floor.clock.monotonic()
        at = now - sum(frame.seconds for frame in before)
        captured = []
        for frame in before:
            captured.append(Frame(frame.samples, frame.rate, at))
            at += frame.seconds
        session._course._past = lambda: tuple(captured)
        session.opened_by(Wake(satellite="desk", source=source, at=now, phrase=phrase))

    return prepare


async def wait(story: Conversation, seconds: float) -> None:
    await story.hear(*[quiet(0.02)] * round(seconds * 50))


async def test_talk_that_was_over_before_the_wake_does_not_end_the_turn_of_who_hesitates() -> None:
    async with conversation(before=woken(speech(0.3), quiet(0.2))) as story:
        await wait(story, 3.0)
        assert story.session.state == "listening"
        await story.say_command()
        assert story.session.turn is not None
        assert story.session.turn.endpoint == "silence"
        assert sum(frame.seconds for frame in story.dialogue.heard) >= 4.5


async def test_nobody_who_speaks_after_the_wake_is_no_speech_8_s_after_it() -> None:
    async with conversation(before=woken(speech(0.3), quiet(0.2))) as story:
        await wait(story, 7.9)
        assert story.session.state == "listening"
        await wait(story, 0.2)
        assert [e.data["endpoint"] for e in story.told("turn.ended")] == ["no_speech"]


async def test_a_word_that_was_over_before_the_wake_is_taken_once_it_is_understood() -> None:
    async with conversation(before=woken(speech(0.3), quiet(0.2))) as story:
        story.dialogue.emit(Transcript(story.turn, "stop"))
        await settle()
        await wait(story, 1.0)
        assert story.session.turn is not None
        assert story.session.turn.endpoint == "silence"


async def test_who_speaks_while_they_wake_is_heard_from_the_first_word() -> None:
    async with conversation(before=woken(speech(0.3))) as story:
        await story.hear(*[speech(0.02)] * 5)
        await wait(story, 1.0)
        assert story.session.turn is not None
        assert story.session.turn.endpoint == "silence"


@pytest.mark.parametrize("source", ["detector"])
async def test_what_follows_a_wake_word_is_meant_though_it_was_over_before_the_session_opened(source: str) -> None:
    async with conversation(before=woken(speech(0.4), quiet(0.3), source=source, phrase="computer")) as story:
        await wait(story, 0.5)
        assert story.session.turn is not None
        assert story.session.turn.endpoint == "silence"


async def test_it_is_the_same_for_a_wake_of_a_session_that_is_open_already() -> None:
    async with conversation(plan=Plan(satellite="desk", backends=("scripted",), purpose="idle")) as story:
        await story.clock.advance(5)
        woken(speech(0.3), quiet(0.2))(story.session)
        story.session.listen(Wake(satellite="desk", source="mqtt", at=story.clock.monotonic()))
        await settle()
        await wait(story, 3.0)
        assert story.session.state == "listening"


async def test_words_over_before_the_wake_are_asked_for_at_the_pause_of_who_needs_all_of_them_first() -> None:
    async with conversation(before=woken(speech(0.8), quiet(0.2))) as story:
        while not story.dialogue.pauses and story.session.state == "listening":
            await wait(story, 0.02)
        assert story.dialogue.pauses == [True]
        story.dialogue.emit(Transcript(story.turn, "what time is it"))
        await settle()
        await wait(story, 1.0)
        assert story.session.turn is not None
        assert story.session.turn.endpoint == "silence"


@pytest.mark.parametrize("full_duplex", [False, True])
async def test_what_was_captured_of_the_reply_that_a_wake_cuts_short_is_nobody_s_first_word(
    tmp_path: Path, full_duplex: bool
) -> None:
    async with runtime_house(tmp_path) as home:
        line = ScriptedLine(full_duplex=full_duplex)
        home.transport.waiting.put_nowait(line)
        await settle()
        line.hold()
        assert await home.asked(text="tell me a story") == "accepted"
        dialogue = home.backend.dialogue
        dialogue.emit(ReplyText(dialogue.turn, "Once."), Frame(speech(5.0).samples, 16_000, turn=dialogue.turn))
        await settle()
        [session] = home.runtime.sessions.open
        assert session.state == "speaking"
        for _ in range(3):
            line.captured.put(speech(0.1, at=home.clock.monotonic()))
        await settle()
        assert await home.asked() == "accepted"
        assert session.state == "listening"
        heard = sum(frame.seconds for frame in dialogue.heard if frame.samples.any())
        assert heard == pytest.approx(0.3 if full_duplex else 0.0)
