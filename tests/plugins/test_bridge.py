"""The bridge: streaming at every joint, each joint with somebody to fall back on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from vonad_bridge import Bridge, Settings
from vonad_bridge.sentences import LONGEST, SentenceSplitter

from tests.plugins.bridge_house import DOWN, Brain, Ear, Throat, talk
from tests.plugins.fake_host import FakeHost
from vonad import (
    Brief,
    Frame,
    Outcome,
    ReplyDone,
    ReplyFailed,
    ReplyText,
    Sentences,
    SkillRequest,
    Style,
    Transcript,
    VonadError,
    silence,
)
from vonad.testing import settle, speech

TEXT_ONLY = Brief(session_id="s", satellite=None, language="en", aloud=False)


async def test_recognition_hears_while_the_user_still_speaks(tmp_path: Path) -> None:
    ear = Ear("hello")
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.5))
        await settle()
        assert ear.seconds == 0.5
        assert story.said == [Transcript(1, "0.5")]
        await story.dialogue.commit()
        await settle()
        assert story.finals() == ["hello"]


async def test_cyberverse_two_pipelines_standard_asr_agent_tts_a_turn_from_sound_to_sound(tmp_path: Path) -> None:
    ear, brain, throat = Ear("what time is it"), Brain("It is noon."), Throat()
    async with talk(tmp_path, stt={"ear": ear}, agent={"brain": brain}, tts={"throat": throat}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.5))
        await story.dialogue.commit()
        await settle()
        await story.dialogue.say(*story.finals())
        await settle()
        assert [request.text for request in brain.requests] == ["what time is it"]
        assert throat.spoken == story.texts() == ["It is noon."]
        assert story.said[-1] == ReplyDone(1)


async def test_beluga_streaming_agent_the_first_sentence_sounds_while_the_second_is_not_known_yet(
    tmp_path: Path,
) -> None:
    brain = Brain("It is noon. And ", "it rains.")
    brain.more = asyncio.Semaphore(1)
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("what time is it")
        await settle()
        assert [type(reply).__name__ for reply in story.said] == ["ReplyText", "Frame"]
        assert story.texts() == ["It is noon."]
        brain.more.release()
        await settle()
        assert story.texts() == ["It is noon.", "And it rains."]
        assert story.said[-1] == ReplyDone(1)


class Hasty(Throat):
    """Makes all the sound of a sentence at one go. making: told before each frame."""

    def __init__(self, making: Callable[[], None]) -> None:
        super().__init__()
        self.making = making

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        for _ in range(50):
            self.making()
            yield Frame(silence(0.02), 16_000)


async def test_the_first_sound_is_on_its_way_before_the_second_is_made(tmp_path: Path) -> None:
    taken: list[int] = []
    async with talk(tmp_path, tts={"throat": Hasty(lambda: taken.append(len(story.sound())))}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert taken[:2] == [0, 1]
        assert len(story.sound()) == 50


async def test_a_text_session_gets_text_alone(tmp_path: Path) -> None:
    throat = Throat()
    async with talk(tmp_path, tts={"throat": throat}, brief=TEXT_ONLY) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert story.said == [ReplyText(1, "Hi."), ReplyDone(1)]
        assert throat.spoken == []


async def test_a_skill_is_asked_for_and_its_outcome_is_the_reply(tmp_path: Path) -> None:
    brain = Brain(skill="clock")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("what time is it")
        await settle()
        [request] = story.said
        assert isinstance(request, SkillRequest)
        assert (request.call.name, request.call.arguments) == ("clock", {"n": 1})
        await story.dialogue.answer("somebody-elses", Outcome("no"))
        await story.dialogue.answer(request.call.id, Outcome("It is noon."))
        await settle()
        assert story.texts() == ["It is noon."]


async def test_the_next_recogniser_hears_the_whole_utterance_again(tmp_path: Path) -> None:
    first, second = Ear(""), Ear("play jazz")
    async with talk(tmp_path, stt={"first": first, "second": second}) as story:
        await story.begin()
        for _ in range(5):
            await story.dialogue.hear(speech(0.1))
        await story.dialogue.commit()
        await settle()
        assert (first.seconds, second.seconds) == (pytest.approx(0.5), pytest.approx(0.5))
        assert story.finals() == ["play jazz"]


async def test_a_recogniser_that_fails_is_followed_by_the_next(tmp_path: Path) -> None:
    async with talk(tmp_path, stt={"first": Ear("x", failure=DOWN), "second": Ear("hello")}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.1))
        await story.dialogue.commit()
        await settle()
        assert story.finals() == ["hello"]


async def test_speech_that_all_reject_is_told_as_such(tmp_path: Path) -> None:
    async with talk(tmp_path, stt={"first": Ear(""), "second": Ear("")}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.1))
        await story.dialogue.commit()
        await settle()
        assert story.finals() == [""]


async def test_blanks_are_no_words_and_blanks_around_words_are_none_of_them(tmp_path: Path) -> None:
    async with talk(tmp_path, stt={"first": Ear(" "), "second": Ear(" hello ")}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.1))
        await story.dialogue.commit()
        await settle()
        assert story.finals() == ["hello"]


async def test_the_turn_fails_when_every_recogniser_does(tmp_path: Path) -> None:
    async with talk(tmp_path, stt={"first": Ear("x", failure=DOWN)}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.1))
        await settle()
        assert story.said[-1] == ReplyFailed(1, DOWN)


async def test_agents_are_asked_in_order_until_one_understands(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"first": Brain(knows=False), "second": Brain("Hi.")}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert story.texts() == ["Hi."]
        assert story.said[-1] == ReplyDone(1, understood=True)


async def test_nobody_understands(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"first": Brain(knows=False)}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert story.said == [ReplyDone(1, understood=False)]


async def test_another_voice_takes_over_before_the_first_sound(tmp_path: Path) -> None:
    second = Throat()
    async with talk(tmp_path, tts={"first": Throat(DOWN), "second": second}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert second.spoken == ["Hi."]
        assert story.said[-1] == ReplyDone(1)


async def test_without_any_voice_the_turn_fails_and_the_dialogue_goes_on(tmp_path: Path) -> None:
    async with talk(tmp_path, tts={"first": Throat(DOWN)}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert story.said[-1] == ReplyFailed(1, DOWN)
        await story.begin(2)
        await story.dialogue.say("hello")
        await settle()
        assert story.said[-1] == ReplyFailed(2, DOWN)


async def test_an_interrupted_turn_gives_its_recogniser_back_and_says_nothing_more(tmp_path: Path) -> None:
    ear = Ear("hello")
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.1))
        await settle()
        await story.dialogue.interrupt()
        await settle()
        count = len(story.said)
        await story.dialogue.commit()
        await settle()
        assert len(story.said) == count
        assert ear.closed == 1


async def test_every_sentence_passes_the_policy_before_it_is_spoken(tmp_path: Path) -> None:
    throat = Throat()
    host = FakeHost(tmp_path, name="bridge", engines={"agent": {"brain": Brain("Hi.")}, "tts": {"throat": throat}})
    bridge = Bridge(Settings(stt=[], agent=["brain"], tts=["throat"]), host)
    brief = Brief(session_id="s", satellite="desk", language="en", aloud=True, rewrite=str.upper)
    async with bridge.open(brief) as dialogue:
        await dialogue.begin(1, sentences=Sentences(), history=())
        await dialogue.say("hello")
        async for reply in dialogue.replies():
            if isinstance(reply, ReplyDone):
                break
    assert throat.spoken == ["HI."]


async def test_without_a_voice_configured_announcements_say_so(tmp_path: Path) -> None:
    bridge = Bridge(Settings(tts=[]), FakeHost(tmp_path, name="bridge"))
    with pytest.raises(VonadError, match="no tts engine is named"):
        async for _ in bridge.speak("hello", language="en", style=Style()):
            pass


@pytest.mark.parametrize(
    ("pieces", "sentences"),
    [
        (["One. Two! Three? Four"], ["One.", "Two!", "Three?", "Four"]),
        (["It is 9", ".", "30 a.m. now", "."], ["It is 9.30 a.m. now."]),
        (["Dr. Who? Yes."], ["Dr. Who?", "Yes."]),
        (['He said "no." She left.'], ['He said "no."', "She left."]),
        (["a\nb\n\nc"], ["a", "b", "c"]),
        (["  ", "\n"], []),
    ],
)
def test_sentences_are_cut_where_people_pause(pieces: list[str], sentences: list[str]) -> None:
    splitter = SentenceSplitter()
    found = [sentence for piece in pieces for sentence in splitter.push(piece)]
    assert found + splitter.flush() == sentences


def test_a_sentence_that_does_not_end_is_cut_at_a_space_and_nothing_is_lost() -> None:
    splitter = SentenceSplitter()
    text = "word " * 500
    found = splitter.push(text) + splitter.flush()
    assert " ".join(found).split() == text.split()
    assert max(map(len, found)) <= LONGEST
