"""Recognisers that know words only when the sound is over: they are asked as soon as the user pauses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.plugins.bridge_house import DOWN, PASSING, Batch, Ear, Talk, talk
from vonad import Brief, Frame, Heard, ReplyFailed, Sentences, Transcript, VonadError
from vonad.testing import settle, speech


async def speak(story: Talk, seconds: float) -> None:
    """They speak, or go on."""
    await story.dialogue.pause(on=False)
    await story.dialogue.hear(speech(seconds))
    await settle()


async def pause(story: Talk) -> None:
    """They are quiet for a while."""
    await story.dialogue.hear(speech(0.1))
    await story.dialogue.pause(on=True)
    await settle()


async def commit(story: Talk) -> None:
    await story.dialogue.commit()
    await settle()


async def test_the_words_are_there_at_the_pause_and_final_at_the_end_without_asking_twice(tmp_path: Path) -> None:
    engine = Batch()
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        assert (engine.sounds, story.said) == ([], [])
        await pause(story)
        assert story.said == [Transcript(1, "1.0 s")]
        await story.dialogue.hear(speech(0.5))  # the quiet that follows
        await commit(story)
        assert story.said == [Transcript(1, "1.0 s"), Transcript(1, "1.0 s", final=True)]
    assert engine.sounds == [1.0]


async def test_who_goes_on_is_heard_again_from_the_first_word(tmp_path: Path) -> None:
    engine = Batch()
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        await speak(story, 0.4)
        await pause(story)
        await commit(story)
        assert story.finals() == ["1.5 s"]
    assert engine.sounds == [1.0, 1.5]


async def test_what_is_asked_at_the_last_pause_may_take_longer_than_the_turn(tmp_path: Path) -> None:
    engine = Batch()
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        await commit(story)
        assert story.said == []
        engine.more.release()
        await settle()
        assert story.said == [Transcript(1, "1.0 s", final=True)]
    assert engine.sounds == [1.0]


@pytest.mark.parametrize("paused", [False, True])
async def test_who_is_cut_off_in_the_middle_of_a_word_is_heard_whole(tmp_path: Path, *, paused: bool) -> None:
    engine = Batch()
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        if paused:
            await pause(story)
            await speak(story, 0.4)
        await commit(story)
        assert story.finals() == ["1.4 s" if paused else "0.9 s"]


async def test_an_engine_that_is_busy_at_a_pause_is_asked_when_they_have_finished(tmp_path: Path) -> None:
    engine = Batch()
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        async with story.host.engine("stt", "batch"):
            await pause(story)
            await story.clock.advance(1.5)
            assert story.said == []
        await commit(story)
        assert story.said == [Transcript(1, "1.0 s", final=True)]


async def test_a_turn_that_ends_while_it_is_still_busy_waits_a_whole_second_for_it(tmp_path: Path) -> None:
    async with talk(tmp_path, stt={"batch": Batch()}) as story:
        await story.begin()
        await speak(story, 0.9)
        async with story.host.engine("stt", "batch"):
            await pause(story)
            await story.clock.advance(0.6)
            await commit(story)
            await story.clock.advance(0.8)
        await settle()
        assert story.said == [Transcript(1, "1.0 s", final=True)]


async def test_it_may_be_busy_while_the_first_user_of_all_speaks(tmp_path: Path) -> None:
    async with talk(tmp_path, stt={"batch": Batch()}) as story:
        await story.begin()
        async with story.host.engine("stt", "batch"):
            await speak(story, 0.9)
            await story.clock.advance(1.5)
            assert story.said == []
        await pause(story)
        await commit(story)
        assert story.finals() == ["1.0 s"]


async def test_an_engine_that_is_still_busy_then_gives_way_to_the_next(tmp_path: Path) -> None:
    async with talk(tmp_path, stt={"batch": Batch(), "ear": Ear("hello")}) as story:
        await story.begin()
        async with story.host.engine("stt", "batch"):
            await speak(story, 0.9)
            await commit(story)
            await story.clock.advance(1.5)
            assert story.finals() == ["hello"]


async def test_nobody_holds_it_while_users_speak(tmp_path: Path) -> None:
    engine, brief = Batch(), Brief(session_id="other", satellite="hall", language="en", aloud=True)
    async with talk(tmp_path, stt={"batch": engine}) as story, story.bridge.open(brief) as other:
        await story.begin()
        await other.begin(1, sentences=Sentences(), history=())
        await other.hear(speech(0.5))
        await speak(story, 0.9)
        await settle()
        assert story.host.breakers["batch"].state == "closed"
        await pause(story)
        await commit(story)
        assert story.finals() == ["1.0 s"]


@pytest.mark.parametrize("after_s", [0.0, 11.0])
@pytest.mark.parametrize("failure", [DOWN, PASSING])
async def test_one_that_fails_at_a_pause_is_asked_again_at_the_next(
    tmp_path: Path, failure: VonadError, after_s: float
) -> None:
    engine = Batch()
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await story.clock.advance(after_s)
        engine.failures = [failure]
        await pause(story)
        await story.clock.advance(0.3)
        assert story.said == []  # they may still go on: nothing has failed that they would notice
        await speak(story, 0.4)
        await pause(story)
        await commit(story)
        assert story.finals() == ["1.5 s"]


async def test_one_that_fails_again_at_the_end_leaves_it_to_the_next(tmp_path: Path) -> None:
    first, second = Batch(), Batch("hello")
    first.failures = [DOWN, DOWN]
    async with talk(tmp_path, stt={"first": first, "second": second}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        await commit(story)
        assert story.finals() == ["hello"]
        assert not [reply for reply in story.said if isinstance(reply, ReplyFailed)]


async def test_who_stumbles_at_the_end_of_a_long_turn_is_asked_again(tmp_path: Path) -> None:
    engine = Batch()
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await story.clock.advance(11.0)
        engine.failures = [PASSING]
        await commit(story)
        await story.clock.advance(1.0)
        assert story.finals() == ["0.9 s"]


class Complaining(Batch):
    """Says so when it is called off."""

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        try:
            async for heard in super().listen(frames, language=language, sentences=sentences):
                yield heard
        except asyncio.CancelledError:
            raise VonadError("backend_step_failed", "the request was called off") from None


@pytest.mark.parametrize("kind", [Batch, Complaining])
async def test_what_was_asked_at_a_pause_is_given_up_when_they_go_on_and_is_no_failure_of_the_engine(
    tmp_path: Path, kind: type[Batch]
) -> None:
    engine = kind()
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        await speak(story, 0.4)
        assert (engine.left, story.said) == (1, [])
        engine.more.release()
        await pause(story)
        await commit(story)
        assert story.finals() == ["1.5 s"]


class Stubborn(Batch):
    """Finishes what it has begun, called off or not."""

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        seconds = round(sum([frame.seconds async for frame in frames]), 2)
        with contextlib.suppress(asyncio.CancelledError):
            await self.more.acquire()
        yield Heard(f"{seconds} s", final=True)


class Silent(Batch):
    """Ends without a word when it is called off."""

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        with contextlib.suppress(asyncio.CancelledError):
            async for heard in super().listen(frames, language=language, sentences=sentences):
                yield heard


@pytest.mark.parametrize("kind", [Stubborn, Complaining, Silent])
async def test_a_dialogue_ends_whatever_its_engine_makes_of_being_called_off(tmp_path: Path, kind: type[Batch]) -> None:
    engine = kind()
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        await story.begin(2)
        await settle()
        assert not [task for task in asyncio.all_tasks() if "listens" in task.get_name()]
        assert story.said == []


async def test_one_that_is_lost_when_they_have_finished_is_not_asked_twice_before_the_next(tmp_path: Path) -> None:
    first, second = Batch(), Batch("hello")
    first.more = asyncio.Semaphore(0)
    first.failures = [DOWN]
    async with talk(tmp_path, stt={"first": first, "second": second}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        await commit(story)
        first.more.release()
        await settle()
        assert story.finals() == ["hello"]
        assert first.sounds == [1.0]


async def test_one_that_fails_again_and_again_at_pauses_is_asked_at_the_end_only(tmp_path: Path) -> None:
    engine = Batch()
    engine.failures = [PASSING] * 2
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        for _ in range(5):
            await speak(story, 0.4)
            await pause(story)
        assert len(engine.sounds) == 2
        await commit(story)
        assert story.finals() == ["2.5 s"]
        assert story.host.breakers["batch"].state == "closed"


async def test_what_it_makes_of_a_pause_that_is_over_is_not_believed(tmp_path: Path) -> None:
    engine = Stubborn()
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        await speak(story, 0.4)
        assert story.said == []
        engine.more.release()
        await pause(story)
        await commit(story)
        assert story.finals() == ["1.5 s"]


async def test_one_that_understands_nothing_leaves_all_of_it_to_the_next(tmp_path: Path) -> None:
    engine, ear = Batch(""), Ear("hello")
    async with talk(tmp_path, stt={"batch": engine, "ear": ear}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        assert story.said == []
        await commit(story)
        assert story.finals() == ["hello"]
    assert (engine.sounds, round(ear.seconds, 1)) == ([1.0], 1.0)


async def test_who_pauses_and_goes_on_in_a_breath_confuses_nobody(tmp_path: Path) -> None:
    engine = Batch()
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        for on in (False, True, False, True, False):
            await story.dialogue.pause(on=on)
        await settle()
        engine.more.release()
        await pause(story)
        await commit(story)
        assert story.finals() == ["1.1 s"]


async def test_a_turn_that_is_over_leaves_nothing_that_is_still_asked(tmp_path: Path) -> None:
    engine = Batch()
    engine.more = asyncio.Semaphore(0)
    async with talk(tmp_path, stt={"batch": engine}) as story:
        await story.begin()
        await speak(story, 0.9)
        await pause(story)
        await story.begin(2)
        await settle()
        assert engine.left == 1
        engine.more.release()
        await speak(story, 0.2)
        await pause(story)
        await commit(story)
        assert story.finals() == ["0.3 s"]


async def test_one_that_a_reload_puts_in_its_place_is_heard_while_they_speak(tmp_path: Path) -> None:
    ear = Ear("hello")
    ear.interim = False
    async with talk(tmp_path, stt={"ear": ear}) as story:
        ear.interim = True
        for turn in (1, 2):
            await story.begin(turn)
            await speak(story, 0.5)
            assert bool(story.said) == (turn == 2)
            await pause(story)
            await commit(story)
            assert story.finals() == ["hello"]
            story.said.clear()


async def test_one_that_tells_words_while_they_are_spoken_does_not_care_for_pauses(tmp_path: Path) -> None:
    ear = Ear("hello")
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        await speak(story, 0.5)
        await pause(story)
        await commit(story)
        assert (story.finals(), ear.began) == (["hello"], 1)
