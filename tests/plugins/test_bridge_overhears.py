"""What somebody says while a reply plays."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.plugins.bridge_house import DOWN, PASSING, Batch, Brain, Ear, Talk, talk
from vonad import Brief, Dialogue, Reply, ReplyDone, Sentence, Sentences, SkillSentences, Transcript
from vonad.testing import settle, speech


async def test_words_are_overheard_while_the_answer_goes_on(tmp_path: Path) -> None:
    brain = Brain("One. ", "Two.")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        brain.more = type(brain.more)(1)
        await story.begin()
        await story.dialogue.say("count")
        await settle()
        await story.dialogue.overhear(speech(0.2))
        await settle()
        assert story.overheard() == ["0.2"]
        brain.more.release()
        await settle()
        assert story.texts() == ["One.", "Two."]
        assert story.said[-1] == ReplyDone(1)


async def test_words_wait_behind_no_sound(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"brain": Brain("One. ", "Two. ", "Three.")}) as story:
        await story.begin()
        story.take.clear()
        await story.dialogue.say("count")
        await settle()
        for _ in range(3):
            await story.dialogue.overhear(speech(0.1))
            await settle()
        assert len(story.said) == 1
        story.take.set()
        await settle()
        assert story.overheard() == ["0.3"]
        assert story.said[1] not in story.sound()


async def test_begin_and_interrupt_forget_what_is_overheard_and_give_the_recogniser_back(tmp_path: Path) -> None:
    ear = Ear("stop")
    ear.streams = 1
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        await story.dialogue.overhear(speech(0.1))
        await settle()
        await story.dialogue.interrupt()
        await story.begin(2)
        await story.dialogue.hear(speech(0.1))
        await story.dialogue.commit()
        await settle()
        assert (ear.began, ear.closed) == (2, 2)
        assert story.finals() == ["stop"]


async def test_in_a_pause_the_recogniser_is_given_back_and_what_follows_is_heard_anew(tmp_path: Path) -> None:
    ear = Ear("okay")
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        await story.dialogue.overhear(speech(0.1))
        await story.clock.advance(0.9)
        assert ear.closed == 0
        await story.clock.advance(0.2)
        assert ear.closed == 1
        assert story.overheard() == ["0.1", "okay"]
        await story.dialogue.overhear(speech(0.1))
        await settle()
        assert ear.began == 2


async def test_the_first_recogniser_that_can_be_had_overhears(tmp_path: Path) -> None:
    busy, free = Ear("no"), Ear("yes")
    busy.streams = 1
    async with talk(tmp_path, stt={"busy": busy, "free": free}) as story, story.host.engine("stt", "busy"):
        await story.begin()
        await story.dialogue.overhear(speech(0.1))
        await story.clock.advance(1.0)
        assert (busy.began, free.began) == (0, 1)
        assert story.overheard()[0] == "0.1"


async def test_a_recogniser_that_fails_while_overhearing_never_ends_the_reply(tmp_path: Path) -> None:
    ear = Ear("hello", failure=DOWN)
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        for _ in range(20):
            await story.dialogue.overhear(speech(0.1))
            await settle()
        assert ear.began == 1  # its breaker is not opened by every frame
        assert story.overheard() == []
        assert story.said[-1] == ReplyDone(1)
        ear.failure = None
        await story.begin(2)
        await story.dialogue.overhear(speech(0.1))
        await settle()
        assert len(story.overheard()) == 1


async def test_a_turn_in_another_room_takes_the_recogniser_from_who_is_only_overheard(tmp_path: Path) -> None:
    ear = Ear("turn on the lamp")
    ear.streams = 1
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        for _ in range(5):
            await story.dialogue.overhear(speech(0.1))
            await settle()
        assert story.overheard()[-1] == "0.5"
        said: list[Reply] = []
        brief = Brief(session_id="s2", satellite="bath", language="en", aloud=True)
        async with story.bridge.open(brief) as bath:
            reader = asyncio.create_task(read(bath, said))
            await bath.begin(1, sentences=Sentences(), history=())
            await bath.hear(speech(0.1))
            await settle()
            for _ in range(30):
                await story.dialogue.overhear(speech(0.1))
                await bath.hear(speech(0.1))
                await story.clock.advance(0.1)
            await bath.commit()
            await settle()
            assert Transcript(1, "turn on the lamp", final=True) in said
            reader.cancel()
        for _ in range(20):
            await story.dialogue.overhear(speech(0.1))
            await story.clock.advance(0.1)
        assert float(story.overheard()[-1]) > 0.5  # once it is free, what came meanwhile is overheard too


async def read(dialogue: Dialogue, said: list[Reply]) -> None:
    async for reply in dialogue.replies():
        said.append(reply)


async def test_who_goes_on_while_the_words_before_are_still_recognised_is_overheard_then(tmp_path: Path) -> None:
    ear = Ear("turn on the lamp")
    ear.streams = 1
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.1))
        await settle()
        for _ in range(15):
            await story.dialogue.overhear(speech(0.1))
            await story.clock.advance(0.1)
        assert story.overheard() == []
        await story.dialogue.commit()
        await settle()
        await story.clock.advance(0.6)
        assert float(story.overheard()[-1]) >= 1.5


async def test_interjections_are_listened_for_while_a_reply_plays_and_not_in_a_turn(tmp_path: Path) -> None:
    ear = Ear("stop")
    async with talk(tmp_path, stt={"ear": ear}) as story:
        brief = Brief(session_id="s2", satellite="bath", language="en", aloud=True, interjections=("shut up", "mm-hmm"))
        async with story.bridge.open(brief) as bath:
            await bath.begin(1, sentences=TIME, history=())
            await bath.hear(speech(0.1))
            await settle()
            await bath.overhear(speech(0.1))
            await settle()
    turn, aside = ear.asked
    assert turn == TIME
    assert [sentence.template for _, sentence in aside] == ["what time is it", "shut up", "mm-hmm"]


TIME = Sentences((SkillSentences("clock", (Sentence("what time is it"),)),))


# By a recogniser that needs the whole sound


async def overhear(story: Talk, *seconds: float) -> None:
    for each in seconds:
        await story.dialogue.overhear(speech(each))
        await settle()


async def test_one_that_needs_the_whole_sound_hears_all_of_it_again_whenever_there_is_a_word_more(
    tmp_path: Path,
) -> None:
    engine = Batch()
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await overhear(story, 0.2, 0.2)
        assert story.overheard() == []
        await overhear(story, 0.2, 0.2, 0.2, 0.2, 0.1)
        assert story.overheard() == ["0.6 s", "1.2 s"]
        await story.clock.advance(1.1)
        assert story.overheard()[-1] == "1.3 s"
        await overhear(story, 0.6)
        assert story.overheard()[-1] == "0.6 s"


async def test_what_is_said_while_it_is_asked_is_heard_the_next_time(tmp_path: Path) -> None:
    engine = Batch()
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await overhear(story, 0.5, 0.5, 0.5)
        assert engine.sounds == [0.5]
        engine.more = asyncio.Semaphore(10_000)
        await story.dialogue.interrupt()
        await story.begin(2)
        await overhear(story, 0.5, 0.4)
        await story.clock.advance(1.1)
        assert story.overheard() == ["0.5 s", "0.9 s"]


async def test_while_it_is_busy_nothing_of_what_is_overheard_is_lost(tmp_path: Path) -> None:
    engine = Batch()
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await overhear(story, 0.5)
        async with story.host.engine("stt", "batch"):
            await overhear(story, 0.5)
            await story.clock.advance(1.0)
        await overhear(story, 0.5)
        assert story.overheard() == ["0.5 s", "1.5 s"]


async def test_a_turn_takes_it_from_whom_it_only_overhears(tmp_path: Path) -> None:
    engine, brief = Batch(), Brief(session_id="other", satellite="hall", language="en", aloud=True)
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story, story.bridge.open(brief) as other:
        await story.begin()
        await overhear(story, 0.5)
        assert engine.sounds == [0.5]
        await other.begin(1, sentences=Sentences(), history=())
        await other.hear(speech(0.3))
        await other.commit()
        await settle()
        await story.clock.advance(0.1)
        assert (engine.left, engine.sounds) == (1, [0.5, 0.3])
        engine.more.release()
        assert await anext(aiter(other.replies())) == Transcript(1, "0.3 s", final=True)


async def test_one_that_is_slower_than_they_speak_hears_all_there_is_at_once(tmp_path: Path) -> None:
    engine = Batch()
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await overhear(story, *[0.5] * 6)
        engine.more.release()
        await settle()
    assert engine.sounds == [0.5, 3.0]


@pytest.mark.parametrize("why", ["busy", "down"])
async def test_another_recogniser_hears_what_one_that_needs_the_whole_sound_could_not(tmp_path: Path, why: str) -> None:
    engine, ear = Batch(), Ear("stop")
    engine.failures = [DOWN] if why == "down" else []
    async with talk(tmp_path, stt={"batch": engine, "ear": ear}) as story, contextlib.AsyncExitStack() as held:
        if why == "busy":
            await held.enter_async_context(story.host.engine("stt", "batch"))
        await story.begin()
        await overhear(story, 0.3, 0.3)
        await story.clock.advance(1.1)
        assert ear.seconds == pytest.approx(0.6)
        assert story.overheard()


async def test_a_stumble_in_passing_does_not_make_it_deaf(tmp_path: Path) -> None:
    engine = Batch()
    engine.failures = [PASSING]
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await overhear(story, 0.5, 0.5)
        assert story.overheard() == ["1.0 s"]


@pytest.mark.parametrize("first", ["overheard", "turn"])
async def test_a_turn_has_it_before_all_who_are_only_overheard(tmp_path: Path, first: str) -> None:
    engine = Batch()
    engine.more = asyncio.Semaphore(0)
    rooms = [Brief(session_id=name, satellite=name, language="en", aloud=True) for name in ("bath", "hall")]
    async with (
        talk(tmp_path, stt={"batch": engine}) as story,
        story.bridge.open(rooms[0]) as other,
        story.bridge.open(rooms[1]) as turn,
    ):
        for dialogue in (story.dialogue, other, turn):
            await dialogue.begin(1, sentences=Sentences(), history=())
        if first == "overheard":
            await overhear(story, 0.5)
        else:
            await story.dialogue.hear(speech(0.5))
            await story.dialogue.commit()
        await settle()
        await other.overhear(speech(0.6))
        await settle()
        assert engine.sounds == [0.5]
        await turn.hear(speech(0.3))
        await turn.commit()
        await settle()
        await story.clock.advance(0.1)
        if first == "turn":
            engine.more.release()
        await settle()
        assert engine.sounds == [0.5, 0.3]
        engine.more.release()
        assert await anext(aiter(turn.replies())) == Transcript(1, "0.3 s", final=True)
