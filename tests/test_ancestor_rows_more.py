"""Rows of CyberVerse's and Beluga's tables, word by word: what the tests of each feature leave out."""

import asyncio
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from tests.conversation import conversation
from tests.runtime_house import runtime_house
from tests.timers import timer
from vonad.backend import (
    BackendCapabilities,
    ReplyDone,
    ReplyText,
    SkillRequest,
    Transcript,
)
from vonad.errors import VonadError
from vonad.plan import Plan
from vonad.session.announcement import new_announcement
from vonad.session.turn import Source
from vonad.settings import SessionDefaults
from vonad.skill import Risk, SkillCall
from vonad.testing import ScriptedLine, quiet, settle, speech

TWO = Plan(satellite="desk", backends=("scripted", "second"))


# CyberVerse


async def test_cyberverse_turn_seq_is_one_more_with_each_turn_whatever_it_came_from() -> None:
    line = ScriptedLine()
    plan = Plan(satellite="desk", backends=("scripted",), greeting="Hello.", follow_up="never")
    async with conversation(plan=plan, line=line) as story:
        story.answer_with("Yes.")
        await story.clock.advance(1)
        story.session.stop()
        story.session.ask("and a text")
        await story.clock.advance(1)
        story.session.say(new_announcement("dinner is ready"))
        await story.clock.advance(1)
        story.session.listen(None)
        await story.say_command()
        await story.understood("and a voice")
        await story.clock.advance(1)
        started = story.told("turn.started")
        assert [event.turn for event in started] == list(range(1, len(started) + 1))
        assert (
            {"greeting", "text", "say", "voice"}
            <= {str(event.data["source"]) for event in started}
            <= set(get_args(Source))
        )
        assert {frame.turn for frame in line.sound} <= {event.turn for event in started}
        turns = [event for event in story.events if event.type.startswith(("turn.", "reply.", "playback.", "latency."))]
        assert all(event.turn for event in turns)


async def test_cyberverse_preemption_a_text_that_comes_with_a_wake_takes_the_place_of_the_reply() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        line.hold()
        story.answer_with("It is noon and the sun is shining.", seconds=10.0)
        await story.say_command()
        await story.understood("what time is it")
        line.heard(3.0)
        story.dialogue.on_say = lambda text: None
        story.session.preempt("never mind, open the door")
        await settle()
        assert story.states[2:5] == ["speaking", "interrupted", "processing"]
        assert story.dialogue.told[-3:] == ["interrupt", "begin 2", "say never mind, open the door"]
        [ended] = story.told("turn.ended")
        assert ended.data["generated_text"] == "It is noon and the sun is shining."
        assert ended.data["heard_text"] == "It is"
        line.release()


async def test_cyberverse_startup_greeting_is_opt_in() -> None:
    assert (SessionDefaults().greeting, SessionDefaults().greeting_prompt) == (None, None)
    async with conversation() as story:
        assert (story.states, story.backend.spoken) == (["listening"], [])


class Mute(ScriptedLine):
    """Confirms nothing."""

    async def drained(self) -> None:
        await asyncio.Event().wait()

    async def clear(self) -> None:
        await asyncio.Event().wait()


async def test_cyberverse_pipeline_done_teardown_waits_for_3_s_at_most_and_the_turn_is_saved() -> None:
    async with conversation(line=Mute()) as story:
        story.answer_with("It is noon.")
        await story.say_command()
        await story.understood("what time is it")
        story.session.close("user_ended")
        await story.clock.advance(2.5)
        assert story.states[-1] == "closing"
        await story.clock.advance(1.0)
        assert story.states[-1] == "closed"
        order = [event.type for event in story.events if event.type in {"turn.ended", "session.closed"}]
        assert order == ["turn.ended", "session.closed"]


# Beluga


async def test_beluga_circuit_breaker_of_a_backend_publishes_its_state_and_is_a_code_of_its_own(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        home.backend.failure = VonadError("backend_start_failed", "no power")
        codes = []
        for _ in range(6):
            with pytest.raises(VonadError) as refused:
                await home.sessions.create()
            codes.append(refused.value.code)
        assert codes == ["backend_start_failed"] * 5 + ["circuit_open"]
        home.backend.failure = None
        await home.clock.advance(30)
        for _ in range(2):
            view = await home.sessions.create(initial_turn="run_immediately", text="hello")
            home.backend.dialogue.emit(ReplyText(1, "Yes."), ReplyDone(1))
            await settle()
            await home.sessions.archive(view.session_id)
        await settle()
        assert [dict(event.data) for event in home.told("breaker.state")] == [
            {"name": "backends.scripted", "state": state} for state in ("open", "half_open", "closed")
        ]


def takes(key: str, allowed: tuple[float, ...], refused: tuple[float, ...]) -> None:
    for seconds in allowed:
        assert getattr(SessionDefaults.model_validate({key: seconds}), key) == seconds
    for seconds in refused:
        with pytest.raises(ValidationError):
            SessionDefaults.model_validate({key: seconds})


def test_beluga_timeout_is_configurable_from_1_min_to_24_h() -> None:
    takes("idle_timeout_s", allowed=(60.0, 1_800.0, 86_400.0), refused=(86_401.0, 0.0))


def test_beluga_keep_alive_is_30_s_and_configurable_from_5_s_to_5_min() -> None:
    assert SessionDefaults().keep_alive_s == 30
    takes("keep_alive_s", allowed=(5.0, 30.0, 300.0), refused=(4.9, 301.0))


@pytest.mark.parametrize(("risk", "early"), [("read", [5]), ("reversible", []), ("sensitive", [])])
async def test_beluga_preemptive_generation_no_skill_with_side_effects_runs_before_the_final_words(
    risk: Risk, early: list[int]
) -> None:
    ran: list[int] = []
    capabilities = BackendCapabilities(prepares=True)
    async with conversation(capabilities=capabilities, skills=(timer(ran, risk),)) as story:
        await story.hear(*[speech(0.1)] * 10)
        story.dialogue.emit(Transcript(story.turn, "set a timer"))
        await story.hear(*[quiet(0.1)] * 3)
        assert story.dialogue.prepared == "set a timer"
        story.dialogue.emit(SkillRequest(story.turn, SkillCall("c1", "timer", {"minutes": 5}), early=True))
        await settle()
        assert ran == early
        await story.hear(*[quiet(0.1)] * 6)
        story.dialogue.emit(Transcript(story.turn, "set a timer", final=True))
        await settle()
        assert "confirm" in story.dialogue.told
        assert ran == ([] if risk == "sensitive" else [5])


async def test_beluga_away_is_no_activity_the_session_still_times_out() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), purpose="idle")
    async with conversation(plan=plan) as story:
        await story.clock.advance(61)
        assert story.session.state == "away"
        await story.clock.advance(245)
        assert [event.data["reason"] for event in story.told("session.closed")] == ["idle_timeout"]
