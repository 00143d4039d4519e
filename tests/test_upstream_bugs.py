"""Bugs of the systems that vonad descends from, one test each: here they cannot come back.

Elsewhere: chunking (test_frame_properties), resurrection (test_resume), a lost interrupt and a state callback under a
lock (test_admission), a session that nobody ever joined (test_reaper).
"""

import asyncio
from contextlib import suppress

import pytest

from tests.conversation import FAILURE, conversation
from vonad.backend import ReplyDone, ReplyText
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.part import Part
from vonad.parts import Parts
from vonad.plan import Plan
from vonad.plugins.offer import Group
from vonad.resilience import FAILURES_TO_OPEN, OPEN_S, Breaker, Pool
from vonad.roster import Roster
from vonad.settings.tables import ComponentTable
from vonad.testing import ManualClock, ScriptedBackend, ScriptedLine, settle, speech


async def test_regression_late_output_saved_as_heard_late_words_of_a_stopped_reply_are_not() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        line.hold()
        await story.say_command()
        await story.understood("tell me a story")
        turn, sound = story.turn, speech(2.0).samples
        story.dialogue.emit(ReplyText(turn, "Once there lived a king."), Frame(sound, 16_000, turn=turn))
        await settle()
        line.heard(0.8)
        story.session.stop()
        played = len(line.sound)
        story.dialogue.emit(ReplyText(turn, "He had a horse."), Frame(sound, 16_000, turn=turn), ReplyDone(turn))
        line.release()
        await settle()
        [ended] = story.told("turn.ended")
        assert ended.data["heard_text"] == "Once there"
        assert ended.data["generated_text"] == "Once there lived a king."
        assert len(line.sound) == played
        story.session.listen(None)
        await story.say_command()
        await story.understood("go on")
        assert [exchange.assistant for exchange in story.dialogue.history] == ["Once there"]


async def test_regression_late_output_saved_as_heard_that_of_a_backend_that_was_left_is_not() -> None:
    plan = Plan(satellite="desk", backends=("scripted", "second"))
    async with conversation(plan=plan, others={"second": ScriptedBackend()}) as story:
        await story.say_command()
        await story.understood("what time is it")
        first, turn = story.dialogue, story.turn
        first.emit(FAILURE)
        await settle()
        first.emit(ReplyText(turn, "Midnight."), Frame(speech(1.0).samples, 16_000, turn=turn), ReplyDone(turn))
        story.dialogue.emit(ReplyText(turn, "Noon."), Frame(speech(1.0).samples, 16_000, turn=turn), ReplyDone(turn))
        await settle()
        [ended] = story.told("turn.ended")
        assert (ended.data["generated_text"], ended.data["heard_text"]) == ("Noon.", "Noon.")


def opened(clock: ManualClock) -> Breaker:
    """A breaker that is open, and may be probed."""
    breaker = Breaker("agent", clock)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    assert breaker.state == "open"
    return breaker


async def test_regression_half_open_breaker_lets_one_probe_through_at_a_time() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    await clock.advance(OPEN_S)
    breaker.admit()
    with pytest.raises(VonadError, match="left alone"):
        breaker.admit()
    breaker.succeeded()
    breaker.admit()
    breaker.succeeded()
    assert breaker.state == "closed"


@pytest.mark.parametrize("ends", ["cancelled", "out of budget", "no free stream"])
async def test_regression_half_open_breaker_is_not_locked_by_a_probe_that_never_answers(ends: str) -> None:
    clock = ManualClock()
    breaker = opened(clock)
    pool = Pool("agent", breaker, streams=1, clock=clock)
    await clock.advance(OPEN_S)

    async def probe() -> None:
        async with pool:
            if ends == "out of budget":
                raise VonadError("budget_exceeded", "no more")
            await asyncio.Event().wait()

    if ends == "no free stream":
        pool._free = 0  # somebody has had it since before it opened
    probing = asyncio.create_task(probe(), name="probe")
    await clock.advance(1.5)
    if ends == "no free stream":
        pool._pass_on()
    probing.cancel()
    with suppress(asyncio.CancelledError, VonadError):
        await probing
    assert breaker.state == "half_open"
    for _ in range(2):
        async with pool:
            pass
    assert breaker.state == "closed"


class OnePart(Parts):
    """A house with one backend."""

    def __init__(self) -> None:
        self._only = Part("backends", "agent", ComponentTable(), component=ScriptedBackend())

    def get(self, group: Group, name: str) -> Part:
        return self._only


async def test_regression_half_open_breaker_of_a_backend_is_not_locked_by_a_session_that_never_reports() -> None:
    clock = ManualClock()
    states: list[str] = []
    roster = Roster(OnePart(), clock, lambda _, state: states.append(state))
    for _ in range(FAILURES_TO_OPEN):
        roster.get("agent")
        roster.failed("agent")
    with pytest.raises(VonadError, match="left alone"):
        roster.get("agent")
    await clock.advance(OPEN_S)
    roster.get("agent")  # by a session in which nobody ever says anything
    for _ in range(2):
        roster.get("agent")
        roster.succeeded("agent")
    assert states == ["open", "half_open", "closed"]


async def test_regression_late_output_saved_as_heard_what_was_heard_before_a_fallback_is_once() -> None:
    plan = Plan(satellite="desk", backends=("scripted", "second"))
    line = ScriptedLine()
    async with conversation(plan=plan, others={"second": ScriptedBackend()}, line=line) as story:
        await story.say_command()
        await story.understood("tell me a story")
        turn = story.turn
        line.hold()
        story.dialogue.emit(ReplyText(turn, "Once there lived."), Frame(speech(1.5).samples, 16_000, turn=turn))
        await settle()
        line.heard(0.6)
        story.dialogue.emit(FAILURE)
        await settle()
        story.dialogue.emit(ReplyDone(turn))
        line.release()
        await settle()
        [ended] = story.told("turn.ended")
        assert (ended.data["generated_text"], ended.data["heard_text"]) == ("Once", "Once")
