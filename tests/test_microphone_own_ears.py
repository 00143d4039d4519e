"""The microphone of backends that hear the end of a turn themselves, and frames that stop coming."""

import asyncio

from tests.conversation import Conversation, conversation
from vonad.backend import BackendCapabilities, EndOfSpeech, SpeechStarted, Transcript
from vonad.session.announcement import Announcement
from vonad.testing import quiet, settle, speech

OWN_EARS = BackendCapabilities(turn_detection=True, hears=True)


async def begin_to_speak(story: Conversation, *, told_by: str) -> None:
    await story.hear(*[speech(0.1)] * 5)
    event = SpeechStarted(story.turn) if told_by == "speech" else Transcript(story.turn, "tell me")
    story.dialogue.emit(event)
    await settle()


async def test_a_long_utterance_to_a_backend_with_ears_of_its_own_is_not_ended_as_no_speech() -> None:
    for told_by in ("speech", "words"):
        async with conversation(capabilities=OWN_EARS) as story:
            await begin_to_speak(story, told_by=told_by)
            await story.hear(*[speech(0.1)] * 200)
            assert story.session.state == "listening"
            story.dialogue.emit(EndOfSpeech(story.turn, "silence"))
            await settle()
            assert story.session.state == "processing"


async def test_an_announcement_waits_for_who_speaks_to_a_backend_with_ears_of_its_own() -> None:
    async with conversation(capabilities=OWN_EARS) as story:
        await begin_to_speak(story, told_by="speech")
        story.session.say(
            Announcement(text="The door is open.", id="a1", done=asyncio.get_running_loop().create_future())
        )
        await settle()
        assert story.session.state == "listening"


async def test_nobody_who_speaks_to_a_backend_with_ears_of_its_own_is_no_speech() -> None:
    async with conversation(capabilities=OWN_EARS) as story:
        await story.hear(*[quiet(0.1)] * 101)
        assert story.session.state == "idle"
        assert [e.data["endpoint"] for e in story.told("turn.ended")] == ["no_speech"]


async def test_a_backend_that_misses_the_end_of_its_turn_is_helped_at_the_longest_a_turn_may_last() -> None:
    async with conversation(capabilities=OWN_EARS) as story:
        await begin_to_speak(story, told_by="speech")
        await story.hear(*[speech(0.1)] * 330)
        assert story.session.state == "processing"
        assert story.session.turn is not None
        assert story.session.turn.endpoint == "max_length"


async def test_frames_that_stop_in_the_middle_of_the_words_end_the_turn_2_s_later() -> None:
    for capabilities in (BackendCapabilities(), OWN_EARS):
        async with conversation(capabilities=capabilities) as story:
            await begin_to_speak(story, told_by="speech")
            await story.clock.advance(1.8)
            assert story.session.state == "listening"
            await story.clock.advance(0.3)
            assert story.session.state == "processing"
            assert story.session.turn is not None
            assert story.session.turn.endpoint == "silence"
