"""The microphone: who ends a turn, when, and why; and what is prepared meanwhile."""

import asyncio
from typing import Literal

import pytest

from tests.listening import listening
from vonad.engine import TurnDetector
from vonad.plan import PATIENCE, Endpointing, Plan
from vonad.sentences import Sentences
from vonad.testing import settle, speech

DEFAULT = Plan(satellite="desk", backends=("scripted", "other"))


def patient(**limits: float) -> Plan:
    return Plan(satellite="desk", backends=("scripted", "other"), endpointing=Endpointing(**limits))


# The reasons


async def test_endpoint_silence_after_words_that_mean_nothing_yet() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("hello there")
        await story.pause(2.0)
        [(reason, at)] = story.ended
    assert reason == "silence"
    assert at == pytest.approx(1.7, abs=0.04)


async def test_endpoint_semantic_behind_a_whole_sentence_after_a_short_pause() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("what's the date today")
        await story.pause(2.0)
        [(reason, at)] = story.ended
    assert reason == "semantic"
    assert at == pytest.approx(1.2, abs=0.04)


async def test_a_sentence_that_could_go_on_is_waited_for_and_heard_to_its_end() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("turn on the lamp")
        await story.pause(0.5)
        assert not story.ended
        await story.say(0.5)
        story.microphone.partial("turn on the lamp in the kitchen")
        await story.pause(2.0)
        [(reason, at)] = story.ended
    assert reason == "semantic"
    assert at == pytest.approx(2.2, abs=0.04)


async def test_a_sentence_that_could_go_on_and_does_not_ends_with_silence() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("turn on the lamp")
        await story.pause(2.0)
        [(reason, at)] = story.ended
    assert reason == "silence"
    assert at == pytest.approx(1.7, abs=0.04)


async def test_in_the_middle_of_a_sentence_a_longer_silence_is_no_end() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("turn on the")
        await story.pause(1.0)
        assert not story.ended
        await story.pause(1.0)
        [(reason, at)] = story.ended
    assert reason == "silence"
    assert at == pytest.approx(2.2, abs=0.04)


async def test_endpoint_no_speech_when_nobody_speaks_for_8_s() -> None:
    async with listening() as story:
        await story.pause(10.0)
        [(reason, at)] = story.ended
    assert reason == "no_speech"
    assert at == pytest.approx(8.0, abs=0.04)


async def test_endpoint_max_length_when_speech_does_not_stop() -> None:
    async with listening(patient(maximum_s=3.0)) as story:
        await story.say(5.0)
        [(reason, at)] = story.ended
    assert reason == "max_length"
    assert at == pytest.approx(3.0, abs=0.04)


async def test_endpoint_released_when_the_button_is_let_go() -> None:
    async with listening() as story:
        await story.say(0.5)
        story.microphone.release()
        story.microphone.release()
        assert [reason for reason, _ in story.ended] == ["released"]


@pytest.mark.parametrize(("preset", "at"), [("relaxed", 1.4), ("default", 1.2), ("aggressive", 1.1)])
async def test_presets_of_patience_behind_a_whole_sentence(preset: str, at: float) -> None:
    async with listening(Plan(satellite="desk", backends=("scripted",), endpointing=PATIENCE[preset])) as story:
        await story.say(1.0)
        story.microphone.partial("what's the date today")
        await story.pause(3.0)
        assert story.ended == [("semantic", pytest.approx(at, abs=0.04))]


# Words that are late, or old


async def test_words_older_than_the_speech_behind_them_end_nothing_early() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("what's the date today")
        await story.say(0.5)
        await story.pause(0.6)
        assert not story.ended, "something was said that these words are not about"
        await story.pause(0.2)
        assert story.reason == "silence"


async def test_words_told_again_still_stand_and_end_the_turn_at_once() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("what's the date today")
        await story.say(0.5)
        await story.pause(0.4)
        assert not story.ended
        story.microphone.partial("what's the date today")
        assert story.reason == "semantic"
        assert story.judge.asked == ["what's the date today"], "the same words are judged once"


async def test_a_recogniser_that_lags_ends_the_turn_when_its_words_come() -> None:
    async with listening() as story:
        await story.say(1.0)
        await story.pause(0.44)
        story.microphone.partial("what's the date today")
        assert story.ended == [("semantic", pytest.approx(1.44, abs=0.03))]


async def test_words_that_are_taken_back_end_nothing_early() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("what's the date today")
        story.microphone.partial("")
        await story.pause(0.6)
        assert not story.ended


async def test_without_a_turn_detector_silence_alone_ends_a_turn() -> None:
    async with listening() as story:
        story.microphone.judge = None
        await story.say(1.0)
        story.microphone.partial("what's the date today")
        await story.pause(2.0)
        assert story.ended == [("silence", pytest.approx(1.7, abs=0.04))]


class Broken(TurnDetector):
    def judge(self, words: str, *, sentences: Sentences, language: str) -> Literal["unknown"]:
        raise ZeroDivisionError(words)


async def test_a_turn_detector_that_fails_is_not_asked_again_and_silence_ends_the_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening() as story:
        story.microphone.judge = Broken()
        await story.say(1.0)
        story.microphone.partial("turn")
        story.microphone.partial("turn on")
        await story.pause(2.0)
        assert story.reason == "silence"
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_new_words_behind_a_pause_may_be_the_first_of_more() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("turn on the")
        await story.pause(0.9)
        story.microphone.partial("turn on the lump")
        assert not story.ended, "the recogniser hears the voice come back before the detector does"
        await story.say(0.5)
        story.microphone.partial("turn on the lamp")
        await story.pause(2.0)
        assert story.ended == [("silence", pytest.approx(3.1, abs=0.04))]


async def test_words_before_anybody_spoke_end_nothing() -> None:
    async with listening() as story:
        story.microphone.partial("what's the date today")
        await story.pause(1.0)
        assert not story.ended


async def test_words_that_come_after_the_end_change_nothing() -> None:
    async with listening() as story:
        await story.say(1.0)
        await story.pause(1.0)
        story.microphone.partial("what's the date today")
        assert [reason for reason, _ in story.ended] == ["silence"]


# The sound


async def test_the_first_word_said_with_the_wake_is_heard_first() -> None:
    past = [speech(0.02, at=990.0 + index) for index in range(5)]
    async with listening(pre_roll=past) as story:
        await story.say(0.1)
        assert [frame.at for frame in story.dialogue.heard[:5]] == [frame.at for frame in past]
        assert len(story.dialogue.heard) == 10


async def test_what_was_captured_is_kept_for_the_next_backend_until_the_turn_is_over() -> None:
    past = (speech(0.02, at=990.0),)
    async with listening(pre_roll=past) as story:
        await story.say(0.3)
        await story.pause(1.0)
        assert story.ended
        kept = story.microphone.captured
        assert kept[0] is past[0]
        assert kept == tuple(story.dialogue.heard)
        story.turn.ended.set_result("completed")
        await settle()
        assert story.microphone.captured == ()


async def test_what_is_kept_has_a_bound() -> None:
    async with listening(patient(maximum_s=1.0), opened=False) as story:
        story.microphone.detector = None
        story.open()
        await settle()
        await story.say(3.0)
        assert sum(frame.seconds for frame in story.microphone.captured) == pytest.approx(1.0, abs=0.02)


async def test_frames_that_stop_coming_are_noticed_by_the_clock() -> None:
    async with listening() as story:
        await story.say(1.0)
        await story.clock.advance(2.1)
        assert [reason for reason, _ in story.ended] == ["silence"]


async def test_sound_while_the_dialogue_takes_the_turn_up_is_not_lost() -> None:
    async with listening(opened=False) as story:
        gate = asyncio.Event()
        begin = story.dialogue.begin

        async def slow(*arguments: object, **named: object) -> None:
            await gate.wait()
            await begin(*arguments, **named)  # type: ignore[arg-type]

        story.dialogue.begin = slow  # type: ignore[method-assign]
        story.open()
        await story.say(0.1)
        assert not story.dialogue.heard
        gate.set()
        await settle()
        assert len(story.dialogue.heard) == 5


# What is prepared


async def test_beluga_preemptive_generation_starts_on_the_interim_transcript_at_a_pause() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("turn on the lamp")
        await story.say(0.06)
        assert prepared(story.dialogue.told) == []
        await story.pause(0.2)
        assert prepared(story.dialogue.told) == ["prepare turn on the lamp"]
        assert not story.ended


async def test_behind_a_whole_sentence_nothing_waits_for_the_pause() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("what's the date today")
        await settle()
        assert prepared(story.dialogue.told) == ["prepare what's the date today"]


async def test_in_the_middle_of_a_sentence_nothing_is_prepared() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("turn on the")
        await story.pause(0.5)
        assert prepared(story.dialogue.told) == []


async def test_the_same_words_are_prepared_once_and_other_words_anew() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("turn on the lamp")
        await story.pause(0.2)
        story.microphone.partial("turn on the lamp")
        await story.say(0.5)
        story.microphone.partial("turn on the lamp in the kitchen")
        await settle()
    assert prepared(story.dialogue.told) == ["prepare turn on the lamp", "prepare turn on the lamp in the kitchen"]


async def test_a_click_is_no_pause() -> None:
    async with listening() as story:
        await story.say(1.0)
        story.microphone.partial("turn on the lamp")
        await story.pause(0.02)
        await story.say(0.2)
        assert prepared(story.dialogue.told) == []


def prepared(told: list[str]) -> list[str]:
    return [entry for entry in told if entry.startswith("prepare")]


async def test_the_turn_detector_is_told_the_language_of_the_satellite() -> None:
    async with listening(Plan(satellite="desk", backends=("scripted", "other"), language="de")) as story:
        await story.say(1.0)
        story.microphone.partial("turn on")
        assert story.judge.languages == ["de"]
