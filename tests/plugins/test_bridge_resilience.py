"""Engines that fail: who is asked next, who is asked again, and who is left alone."""

import asyncio
from pathlib import Path

import pytest

from tests.plugins.bridge_house import DOWN, PASSING, Brain, Ear, Throat, talk
from vonad import ReplyDone, ReplyFailed, Style, VonadError
from vonad.resilience import FAILURES_TO_OPEN, OPEN_S
from vonad.testing import settle, speech


async def test_beluga_error_recovery_typed_retryable_errors_3_retries_exponential_back_off(tmp_path: Path) -> None:
    brain = Brain("Hi.", failures=[PASSING] * 3)
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        for asked, pause in ((1, 0.5), (2, 1.0), (3, 2.0)):
            waited = 0.0
            while len(brain.requests) == asked:
                await story.clock.advance(0.01)
                waited += 0.01
            assert waited == pytest.approx(pause, abs=pause * 0.1 + 0.02)
        assert story.texts() == ["Hi."]
        assert story.said[-1] == ReplyDone(1)
        assert len(story.told()) == 3
        assert story.told()[0].startswith("retrying agent engine brain in 0.")
        assert story.told()[2].endswith("(3 of 3): it stumbled")


async def test_beluga_error_recovery_retries_are_counted_per_call(tmp_path: Path) -> None:
    brain = Brain("Hi.")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        for turn in (1, 2):
            brain.failures = [PASSING] * 2
            await story.begin(turn)
            await story.dialogue.say("hello")
            await story.clock.advance(0.5 * 1.1 + 1.0 * 1.1 + 0.1)
            assert story.said[-1] == ReplyDone(turn)
        assert [told.partition("(")[2][:6] for told in story.told()] == ["1 of 3", "2 of 3"] * 2


async def test_beluga_error_recovery_the_fourth_failure_is_the_turn_s(tmp_path: Path) -> None:
    brain = Brain("Hi.", failures=[PASSING] * 9)
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await story.clock.advance(30)
        assert len(brain.requests) == 4
        assert story.said[-1] == ReplyFailed(1, PASSING)


async def test_beluga_error_recovery_what_is_not_retryable_is_not_tried_again(tmp_path: Path) -> None:
    brain = Brain("Hi.", failures=[DOWN])
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert story.said == [ReplyFailed(1, DOWN)]


async def test_nothing_is_tried_again_once_something_has_come_out(tmp_path: Path) -> None:
    brain = Brain("It is noon. ", "And ", failure=PASSING)
    async with talk(tmp_path, agent={"brain": brain, "other": Brain("Hi.")}) as story:
        brain.more = type(brain.more)(1)
        await story.begin()
        await story.dialogue.say("what time is it")
        await settle()
        brain.more.release()
        await story.clock.advance(30)
        assert len(brain.requests) == 1
        assert story.said[-1] == ReplyFailed(1, PASSING)


async def test_a_skill_that_was_asked_for_is_not_asked_for_again(tmp_path: Path) -> None:
    brain = Brain(skill="lamp", failure=PASSING)
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("lamp on")
        await settle()
        await story.settle_wish("")
        await story.clock.advance(30)
        assert len(story.wishes()) == 1
        assert story.said[-1] == ReplyFailed(1, PASSING)


async def test_a_voice_that_stumbles_before_the_first_sound_is_asked_again(tmp_path: Path) -> None:
    throat = Throat(failures=[PASSING])
    async with talk(tmp_path, tts={"throat": throat}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await story.clock.advance(1)
        assert throat.spoken == ["Hi."]
        assert story.said[-1] == ReplyDone(1)


async def test_an_announcement_is_tried_again_too(tmp_path: Path) -> None:
    throat = Throat(failures=[PASSING])
    async with talk(tmp_path, tts={"throat": throat}) as story:

        async def announce() -> int:
            return len([frame async for frame in story.bridge.speak("Dinner!", language="en", style=Style())])

        announcing = asyncio.create_task(announce())
        await story.clock.advance(1)
        assert await announcing == 1


async def test_a_recogniser_that_stumbles_hears_the_whole_utterance_again(tmp_path: Path) -> None:
    ear = Ear("play jazz", failures=[PASSING])
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        for _ in range(3):
            await story.dialogue.hear(speech(0.1))
        await story.dialogue.commit()
        await story.clock.advance(1)
        assert ear.seconds == pytest.approx(0.1 + 0.3)
        assert story.finals() == ["play jazz"]


async def test_an_interrupted_turn_is_not_tried_again(tmp_path: Path) -> None:
    brain = Brain("Hi.", failures=[PASSING])
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        await story.dialogue.interrupt()
        await story.clock.advance(30)
        assert len(brain.requests) == 1


async def test_time_must_allow_another_try(tmp_path: Path) -> None:
    limited = VonadError("rate_limited", "ask again later", retryable=True, retry_after_ms=20_000)
    brain = Brain("Hi.", failures=[limited])
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert story.said == [ReplyFailed(1, limited)]


async def test_an_engine_that_says_when_is_asked_then(tmp_path: Path) -> None:
    brain = Brain("Hi.", failures=[VonadError("rate_limited", "ask again later", retryable=True, retry_after_ms=3_000)])
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await story.clock.advance(2.9)
        assert len(brain.requests) == 1
        await story.clock.advance(0.2)
        assert story.texts() == ["Hi."]


async def test_an_engine_that_is_busy_or_does_not_run_is_not_waited_for_again(tmp_path: Path) -> None:
    busy = Brain("Hi.")
    busy.streams = 1
    async with talk(tmp_path, agent={"busy": busy}) as story:
        story.bridge.settings.agent.append("missing")
        async with story.host.engine("agent", "busy"):
            await story.begin()
            await story.dialogue.say("hello")
            await story.clock.advance(1)
        [failed] = story.said
        assert isinstance(failed, ReplyFailed)
        assert failed.error.code == "backend_unavailable"


async def test_beluga_circuit_breaker_5_failures_leave_an_engine_alone_a_probe_30_s_later_and_2_successes_close_it(
    tmp_path: Path,
) -> None:
    brain = Brain("Hi.", failures=[DOWN] * FAILURES_TO_OPEN)
    async with talk(tmp_path, agent={"brain": brain}) as story:
        breaker = story.host.breakers["brain"]
        for turn in range(FAILURES_TO_OPEN):
            await story.begin(turn)
            await story.dialogue.say("hello")
            await settle()
        assert breaker.state == "open"
        await story.begin(10)
        await story.dialogue.say("hello")
        await settle()
        refused = story.said[-1]
        assert isinstance(refused, ReplyFailed)
        assert refused.error.code == "circuit_open"
        assert len(brain.requests) == FAILURES_TO_OPEN
        await story.clock.advance(OPEN_S)
        for turn, state in ((11, "half_open"), (12, "closed")):
            await story.begin(turn)
            await story.dialogue.say("hello")
            await settle()
            assert story.said[-1] == ReplyDone(turn)
            assert breaker.state == state


async def test_beluga_provider_fall_back_primary_then_fall_back_in_every_role(tmp_path: Path) -> None:
    second = (Ear("hello"), Brain("Hi."), Throat())
    async with talk(
        tmp_path,
        stt={"ear": Ear("", failure=DOWN), "ear2": second[0]},
        agent={"brain": Brain(failures=[DOWN]), "brain2": second[1]},
        tts={"throat": Throat(DOWN), "throat2": second[2]},
    ) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.1))
        await story.dialogue.commit()
        await settle()
        assert story.finals() == ["hello"]
        await story.dialogue.say("hello")
        await settle()
        assert story.texts() == second[2].spoken == ["Hi."]
        assert story.said[-1] == ReplyDone(1)


async def test_beluga_provider_fall_back_is_not_delayed_by_retries(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"first": Brain(failures=[PASSING]), "second": Brain("Hi.")}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert story.texts() == ["Hi."]
        assert story.told() == []


async def test_who_failed_might_have_known_a_turn_that_others_do_not_understand_has_failed(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"first": Brain(failures=[DOWN]), "second": Brain(knows=False)}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert story.said == [ReplyFailed(1, DOWN)]
