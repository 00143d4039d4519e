"""The microphone tells the dialogue that the user has paused and may have finished, and that they go on after all."""

import pytest

from tests.listening import listening
from vonad.errors import VonadError
from vonad.plan import Endpointing, Plan
from vonad.testing import settle


async def test_a_pause_is_told_once_before_it_ends_the_turn() -> None:
    async with listening() as story:
        await story.say(1.0)
        await story.pause(0.1)
        assert story.dialogue.pauses == []
        await story.pause(0.08)
        assert story.dialogue.pauses == [True]
        await story.pause(2.0)
        assert (story.reason, story.dialogue.pauses) == ("silence", [True])


async def test_who_goes_on_is_told_too_and_pauses_anew() -> None:
    async with listening() as story:
        for _ in range(2):
            await story.say(0.5)
            await story.pause(0.3)
        await story.say(0.1)
        assert story.dialogue.pauses == [True, False, True, False]


async def test_a_gap_between_two_sounds_is_no_pause() -> None:
    async with listening() as story:
        for _ in range(3):
            await story.say(0.3)
            await story.pause(0.1)
        assert story.dialogue.pauses == []


async def test_nobody_who_has_not_spoken_pauses() -> None:
    async with listening() as story:
        await story.pause(3.0)
        assert story.dialogue.pauses == []


async def test_where_a_shorter_silence_ends_a_turn_half_of_it_is_a_pause() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), endpointing=Endpointing(silence_s=0.2))
    async with listening(plan) as story:
        await story.say(1.0)
        await story.pause(0.14)
        assert (story.reason, story.dialogue.pauses) == ("", [True])


async def test_words_that_are_known_at_the_pause_end_the_turn_with_it() -> None:
    async with listening() as story:
        await story.say(1.0)
        await story.pause(0.18)
        assert story.dialogue.pauses == [True]
        story.microphone.partial("what's the date today")
        await settle()
        assert story.dialogue.told[-1] == "prepare what's the date today"
        await story.pause(2.0)
        [(reason, at)] = story.ended
    assert reason == "semantic"
    assert at == pytest.approx(1.22, abs=0.04)


async def test_a_backend_that_raises_when_it_is_told_is_lost_and_nothing_else() -> None:
    async with listening() as story:
        lost: list[BaseException] = []
        dialogue = story.floor.dialogue
        assert dialogue is not None
        dialogue.lost = lambda failure, reason="": lost.append(failure)  # type: ignore[method-assign]
        story.dialogue.failures["pause"] = failure = VonadError("internal_error", "no pauses here")
        await story.say(1.0)
        await story.pause(2.0)
        assert (lost, story.reason) == ([failure], "silence")
