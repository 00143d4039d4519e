"""Cues in a conversation, and what is heard when no voice is left."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chimes import DeadVoice, ToyCues, played
from tests.conversation import Conversation, conversation
from vonad.backend import ReplyFailed
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Plan, Style
from vonad.session.machine import State
from vonad.testing import ScriptedBackend, ScriptedLine, quiet, settle, speech


async def misunderstood(story: Conversation) -> None:
    await story.say_command()
    await story.understood("")
    await story.clock.advance(10)


async def test_an_apology_is_spoken_by_the_live_voice_while_there_is_one() -> None:
    async with conversation(cues=ToyCues("error", spoken=("not_understood",))) as story:
        await misunderstood(story)
        assert played(story.line) == ["voice"]


async def test_an_apology_that_no_voice_can_speak_was_spoken_before() -> None:
    async with conversation(backend=DeadVoice(), cues=ToyCues("error", spoken=("not_understood",))) as story:
        await misunderstood(story)
        assert played(story.line) == ["spoken"]
        [ended] = story.told("turn.ended")
        assert ended.data["heard_text"] == "Sorry, I did not get that."
        assert ended.data["outcome"] == "not_understood"


async def test_a_turn_in_which_somebody_spoke_never_ends_in_silence() -> None:
    async with conversation(backend=DeadVoice(), cues=ToyCues("error")) as story:
        await misunderstood(story)
        assert played(story.line) == ["error"]
        [ended] = story.told("turn.ended")
        assert ended.data["heard_text"] == ""
        assert ended.data["generated_text"] == "Sorry, I did not get that."
        assert story.session.state is State.IDLE


async def test_a_backend_that_falls_over_with_its_voice_is_apologised_for_too() -> None:
    async with conversation(backend=DeadVoice(), cues=ToyCues("error", spoken=("failed",))) as story:
        await story.say_command()
        story.dialogue.emit(ReplyFailed(story.turn, VonadError("backend_step_failed", "it fell over")))
        await story.clock.advance(1)
        assert played(story.line) == ["spoken"]
        assert story.outcomes == ["failed"]


async def test_a_voice_that_breaks_off_is_not_started_again() -> None:
    async with conversation(backend=DeadVoice(words_first=2), cues=ToyCues("error", spoken=("not_understood",))) as s:
        await misunderstood(s)
        assert played(s.line) == ["voice"]


async def test_a_voice_that_hangs_is_waited_for_with_a_limit() -> None:
    class Hanging(ScriptedBackend):
        async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
            await asyncio.Event().wait()
            yield speech(1)

    async with conversation(backend=Hanging(), cues=ToyCues("error", spoken=("not_understood",))) as story:
        await misunderstood(story)
        assert played(story.line) == ["spoken"]
        assert any("no voice had its next sound within 8 s" in str(e.data["message"]) for e in story.told("error"))


async def test_a_voice_without_a_sound_is_no_voice() -> None:
    class Mute(ScriptedBackend):
        async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
            for nothing in ():
                yield nothing

    async with conversation(backend=Mute(), cues=ToyCues("error")) as story:
        await misunderstood(story)
        assert played(story.line) == ["error"]


async def test_the_heard_cue_comes_before_the_reply_and_is_not_its_first_audio() -> None:
    async with conversation(cues=ToyCues("heard")) as story:
        await story.say_command()
        await story.clock.advance(2)
        assert played(story.line) == ["heard"]
        assert not story.told("playback.started")
        assert story.session.state is State.PROCESSING
        await story.understood("what time is it", "It is noon.")
        assert played(story.line) == ["heard", "voice"]
        await story.clock.advance(5)
        [ended] = story.told("turn.ended")
        assert ended.data["heard_text"] == "It is noon."
        assert float(str(ended.data["first_audio_ms"])) > 2000


async def test_no_cue_is_heard_where_nobody_spoke() -> None:
    async with conversation(cues=ToyCues("heard", "error")) as story:
        await story.hear(*[quiet(0.1)] * 90)
        assert story.outcomes == ["empty"]
        assert story.line.sound == []


async def test_the_wake_cue_is_not_taken_for_speech_and_the_pre_roll_comes_first() -> None:
    """On a line that hears itself, what is captured while the chime sounds is left out."""
    line = ScriptedLine()
    async with conversation(line=line, cues=ToyCues("wake")) as story:
        assert played(line) == ["wake"]
        assert story.session.state is State.LISTENING
        line.hold()
    line = ScriptedLine()
    line.hold()
    async with conversation(line=line, cues=ToyCues("wake")) as story:
        await story.hear(speech(0.3))  # our own chime
        assert story.dialogue.heard == []
        line.release()
        await settle()
        await story.hear(speech(0.05))  # its echo
        assert story.dialogue.heard == []
        await story.clock.advance(0.1)
        await story.say_command()
        assert story.dialogue.heard
        assert story.session.state is State.PROCESSING


async def test_on_a_full_duplex_line_the_user_may_speak_into_the_wake_cue() -> None:
    line = ScriptedLine(full_duplex=True)
    line.hold()
    async with conversation(line=line, cues=ToyCues("wake")) as story:
        await story.hear(speech(0.3))
        assert story.dialogue.heard


async def test_a_cue_that_the_satellite_does_not_take_ends_nothing() -> None:
    line = ScriptedLine()
    line.broken = True
    async with conversation(line=line, cues=ToyCues("wake")) as story:
        assert story.session.state is State.LISTENING
        assert story.told("error")[0].data["code"] == "transport_send_failed"
        await story.say_command()
        assert story.session.state is State.PROCESSING


async def test_a_session_of_text_has_no_sounds() -> None:
    async with conversation(text_only=True, cues=ToyCues("heard", "error", "wake")) as story:
        assert story.line.sound == []


@pytest.mark.parametrize("spoken", [("unavailable",), ()])
async def test_the_end_of_the_chain_is_heard(spoken: tuple[str, ...]) -> None:
    backend = ScriptedBackend()
    backend.failure = VonadError("backend_start_failed", "it does not start")
    plan = Plan(satellite="desk", backends=("scripted",))
    async with conversation(plan=plan, backend=backend, cues=ToyCues("error", spoken=spoken)) as story:
        await story.clock.advance(10)
        assert played(story.line) == ["spoken" if spoken else "error"]
        assert story.session.state is State.CLOSED
