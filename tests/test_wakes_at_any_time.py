"""Wakes at any time: whatever a session is doing, a wake is answered, or refused before it is told as accepted."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conversation import FAILURE, Conversation, conversation
from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.backend import Brief, Dialogue
from vonad.errors import VonadError
from vonad.plan import Plan, Wake
from vonad.session.announcement import new_announcement
from vonad.session.session import Session
from vonad.testing import ScriptedBackend, ScriptedLine, quiet, settle, speech
from vonad.why import Step, why

NABU = "okay_nabu"
IDLE = Plan(satellite="desk", backends=("scripted",), purpose="idle")
TWO = Plan(satellite="desk", backends=("scripted", "second"))
WITH_SECOND = '[satellites.desk]\nbackends = ["scripted", "second"]\n[backends.second]\n'


class Slow(ScriptedBackend):
    """Opens when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    @asynccontextmanager
    async def open(self, brief: Brief) -> AsyncIterator[Dialogue]:
        await self.may.wait()
        async with super().open(brief) as dialogue:
            yield dialogue


def wake(at: float = 0.0, **more: object) -> Wake:
    return Wake(**{"satellite": "desk", "source": "mqtt", "at": at, **more})  # type: ignore[arg-type]


def asked(story: Conversation) -> list[str]:
    return [said for said in story.dialogue.told if said.startswith("say")]


@asynccontextmanager
async def falling_back(tmp_path: Path) -> AsyncIterator[tuple[RuntimeHouse, ScriptedLine, Slow, Session]]:
    """A house in which a backend was lost in the middle of an answer, and the next takes its time."""
    slow = Slow()
    async with runtime_house(tmp_path, WITH_SECOND, parts={("backends", "second"): slow}) as home:
        line = await home.connect()
        assert await home.asked(text="what time is it") == "accepted"
        [session] = home.runtime.sessions.open
        home.backend.dialogue.emit(FAILURE)
        await settle()
        assert session.state == "falling_back"
        yield home, line, slow, session
        slow.may.set()
        await settle()


# While there is no backend


@pytest.mark.parametrize("more", [{}, {"phrase": NABU}], ids=["explicit", "detector"])
async def test_a_wake_while_falling_back_is_accepted_and_the_microphone_opens_with_the_next_backend(
    tmp_path: Path, more: dict[str, object]
) -> None:
    async with falling_back(tmp_path) as (home, _, slow, session):
        assert await home.asked(**more) == "accepted"
        assert session.state == "falling_back"
        slow.may.set()
        await settle()
        assert session.state == "listening"
        await home.until("turn.ended")
        assert [event.data["outcome"] for event in home.told("turn.ended")] == ["superseded"]
        assert len(home.told("wake.accepted")) == 2
        assert not home.told("wake.refused")


async def test_a_wake_with_text_while_falling_back_is_what_the_next_backend_answers(tmp_path: Path) -> None:
    async with falling_back(tmp_path) as (home, _, slow, session):
        assert await home.asked(text="turn on the lamp") == "accepted"
        slow.may.set()
        await settle()
        assert [said for said in slow.dialogue.told if said.startswith("say")] == ["say turn on the lamp"]
        assert session.state == "processing"


async def test_a_wake_of_the_device_while_falling_back_costs_neither_it_nor_the_next_one(tmp_path: Path) -> None:
    async with falling_back(tmp_path) as (home, line, slow, session):
        line.wake.put(home.wake(source="device"))
        await settle()
        slow.may.set()
        await settle()
        assert session.state == "listening"
        home.house.stop("desk")
        await settle()
        line.wake.put(home.wake(source="device"))
        await settle()
        assert session.state == "listening"
        assert len(home.told("wake.accepted")) == 3
        assert not home.told("satellite.offline")


async def test_what_is_said_after_a_wake_while_falling_back_is_heard_from_its_first_word(tmp_path: Path) -> None:
    async with falling_back(tmp_path) as (home, line, slow, _):
        for _ in range(50):
            line.captured.put(quiet(0.1))
        await settle()
        assert await home.asked() == "accepted"
        for _ in range(20):
            line.captured.put(speech(0.1))
        await settle()
        slow.may.set()
        await settle()
        heard = slow.dialogue.heard
        assert sum(frame.seconds for frame in heard if frame.samples.any()) == pytest.approx(2.0)
        assert sum(frame.seconds for frame in heard) < 2.6


async def test_a_detector_that_hears_the_word_again_while_the_microphone_is_about_to_open_is_busy(
    tmp_path: Path,
) -> None:
    async with falling_back(tmp_path) as (home, _, slow, _session):
        assert await home.asked(phrase=NABU) == "accepted"
        assert await home.asked(phrase=NABU) == "busy"
        slow.may.set()


async def test_stop_takes_a_wake_back_that_waits_for_a_backend(tmp_path: Path) -> None:
    async with falling_back(tmp_path) as (home, _, slow, session):
        await home.asked()
        assert home.house.stop("desk")
        slow.may.set()
        await settle()
        assert session.state == "idle"


async def test_stop_takes_a_wake_back_also_where_no_turn_was_open_when_the_backend_was_lost() -> None:
    slow = Slow()
    plan = replace(TWO, purpose="idle")
    async with conversation(plan=plan, others={"second": slow}) as story:
        story.dialogue.emit(FAILURE)
        await settle()
        story.session.listen(wake())
        assert story.session.stop()
        slow.may.set()
        await settle()
        assert story.states == ["idle", "falling_back", "idle"]
        assert story.told("turn.started") == []


async def test_a_wake_after_stop_is_what_counts_when_the_next_backend_is_there(tmp_path: Path) -> None:
    async with falling_back(tmp_path) as (home, _, slow, session):
        home.house.stop("desk")
        await home.asked()
        slow.may.set()
        await settle()
        assert session.state == "listening"


async def test_the_microphone_that_was_open_when_the_backend_was_lost_stays_so_for_a_wake() -> None:
    slow = Slow()
    async with conversation(plan=TWO, others={"second": slow}) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.awake
        story.session.listen(wake(follow_up=True))
        slow.may.set()
        await settle()
        assert story.states == ["listening", "falling_back", "listening"]
        assert (story.turn, len(story.dialogue.heard)) == (1, 5)
        assert story.session.turn is not None
        assert story.session.turn.follow_up


async def test_a_text_while_the_backend_of_an_open_microphone_is_lost_takes_the_place_of_what_was_said() -> None:
    slow = Slow()
    async with conversation(plan=TWO, others={"second": slow}) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(FAILURE)
        await settle()
        story.session.preempt("turn on the lamp", wake())
        assert not story.session.awake
        slow.may.set()
        await settle()
        assert story.states == ["listening", "falling_back", "processing"]
        assert (story.outcomes, asked(story)) == (["superseded"], ["say turn on the lamp"])


async def test_a_wake_while_a_session_connects_for_an_announcement_opens_the_microphone_first(tmp_path: Path) -> None:
    slow = Slow()
    async with runtime_house(
        tmp_path, '[satellites.desk]\nbackends = ["second"]\n[backends.second]\n', parts={("backends", "second"): slow}
    ) as home:
        await home.connect()
        home.house.say("desk", "Dinner is ready.")
        await settle()
        [session] = home.runtime.sessions.open
        assert session.state == "connecting"
        assert await home.asked() == "accepted"
        slow.may.set()
        await settle()
        assert session.state == "listening"
        home.house.stop("desk")


async def test_what_waits_to_be_said_is_said_after_the_turn_of_a_wake_that_came_while_it_connected() -> None:
    slow = Slow()
    plan = Plan(satellite="desk", backends=("scripted",), purpose="say")
    async with conversation(
        plan=plan, backend=slow, before=lambda session: session.say(new_announcement("Dinner is ready."))
    ) as story:
        story.session.listen(wake())
        slow.may.set()
        await settle()
        assert story.session.state == "listening"
        await story.clock.advance(11)
        assert story.states[:3] == ["listening", "idle", "speaking"]
        assert [event.data["ok"] for event in story.told("say.finished")] == [True]


async def test_a_text_that_a_session_opens_for_is_superseded_by_a_wake_that_comes_before_it_is_asked() -> None:
    slow = Slow()
    plan = Plan(satellite="desk", backends=("scripted",), purpose="text", text="what time is it")
    async with conversation(plan=plan, backend=slow) as story:
        story.session.listen(wake())
        slow.may.set()
        await settle()
        assert (story.outcomes, story.session.state, asked(story)) == (["superseded"], "listening", [])


async def test_a_second_wake_while_the_session_opens_for_the_first_opens_one_microphone(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert [await home.asked(), await home.asked()] == ["accepted", "accepted"]
        assert len(home.told("turn.started")) == 1


# While the microphone is open


async def test_a_text_wake_closes_the_microphone_and_is_answered(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert await home.asked() == "accepted"
        assert await home.asked(text="what time is it") == "accepted"
        await home.until("turn.ended")
        [ended] = home.told("turn.ended")
        assert (ended.data["outcome"], ended.data["endpoint"]) == ("superseded", "cancelled")
        assert home.backend.dialogue.told == ["begin 1", "interrupt", "begin 2", "say what time is it"]
        assert home.house.satellites()[0].state == "processing"


async def test_another_wake_leaves_an_open_microphone_and_what_was_said_into_it() -> None:
    async with conversation() as story:
        await story.hear(*[speech(0.1)] * 5)
        before = list(story.line.shown)
        story.session.listen(wake())
        await settle()
        assert (story.states, story.turn, len(story.dialogue.heard)) == (["listening"], 1, 5)
        assert story.line.shown == before


# A wake that is refused changes nothing


async def talking(home: RuntimeHouse) -> Session:
    await home.connect()
    assert await home.asked(text="what time is it") == "accepted"
    [session] = home.runtime.sessions.open
    return session


async def test_a_wake_for_a_backend_that_does_not_run_is_no_overload_and_leaves_the_conversation(
    tmp_path: Path,
) -> None:
    async with runtime_house(tmp_path) as home:
        session = await talking(home)
        assert await home.asked(backend="nosuch") == "backend_unavailable"
        assert (session.state, home.told("session.closed")) == ("processing", [])
        [refused] = home.told("wake.refused")
        assert "[backends.nosuch] is not configured" in str(refused.data["detail"])


async def test_who_supersedes_a_session_sits_down_in_its_seat(tmp_path: Path) -> None:
    other = ScriptedBackend()
    config = "[policy]\nsessions_per_satellite = 1\n[backends.other]\n"
    async with runtime_house(tmp_path, config, session="maximum = 1", parts={("backends", "other"): other}) as home:
        session = await talking(home)
        assert await home.asked(backend="other") == "accepted"
        await home.until("session.closed")
        assert session.state == "closed"
        assert [event.data["reason"] for event in home.told("session.closed")] == ["superseded"]
        [second] = home.runtime.sessions.open
        assert (second.view().backend, second.state) == ("other", "listening")
        with pytest.raises(VonadError, match=r"session\.maximum is 1"):
            await home.sessions.create()
        second.close("user_ended")
        await home.clock.advance(4)
        assert await home.asked() == "accepted"


async def test_a_wake_in_a_full_house_refuses_only_itself(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        session = await talking(home)
        await home.connect("attic")
        assert await home.asked("attic") == "overload"
        assert session.state == "processing"


async def test_a_session_that_admits_no_turn_refuses_the_wake_before_it_is_told_as_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runtime_house(tmp_path) as home:
        await talking(home)
        monkeypatch.setattr(Session, "admits", lambda self, wake: False)
        assert await home.asked() == "busy"
        assert len(home.told("wake.accepted")) == 1


async def test_a_session_that_breaks_on_a_wake_ends_and_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(self: Session, wake: Wake | None) -> None:
        raise VonadError("invalid_state", "a defect")

    async with runtime_house(tmp_path) as home:
        await talking(home)
        monkeypatch.setattr(Session, "listen", breaks)
        with caplog.at_level(logging.ERROR):
            assert await home.asked() == "accepted"
        await home.until("session.closed")
        assert [event.data["reason"] for event in home.told("session.closed")] == ["error(invalid_state)"]
        assert not home.told("satellite.offline")


async def test_whatever_a_wake_or_a_stop_word_raises_the_satellite_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        monkeypatch.setattr(home.runtime.lines, "_wake", _raises)
        with caplog.at_level(logging.ERROR):
            for _ in range(2):
                line.wake.put(home.wake(source="device"))
            await settle()
        assert caplog.text.count("a wake of its own came to nothing") == 2
        assert not home.told("satellite.offline")


def _raises(wake: Wake) -> None:
    raise OSError("a defect")


# How long it took


async def test_the_wake_is_a_stage_of_the_turn_it_led_to(tmp_path: Path) -> None:
    slow = Slow()
    config = '[satellites.desk]\nbackends = ["second"]\n[backends.second]\n'
    async with runtime_house(tmp_path, config, parts={("backends", "second"): slow}) as home:
        await home.connect()
        assert await home.asked() == "accepted"
        await home.clock.advance(0.4)
        slow.may.set()
        await settle()
        [mark] = home.told("latency.mark")
        assert (mark.turn, dict(mark.data)) == (1, {"stage": "wake", "ms": -400.0})
        home.house.stop("desk")
        await home.until("turn.ended")
        [ended] = home.told("turn.ended")
        assert ended.data["stages"]["wake"] == -400.0  # type: ignore[index]
        explained = why(await home.house.turn("last"))
        assert explained.steps[0] == Step("wake", 400.0, 400.0, "opening")
        assert explained.slowest == explained.steps[0]


@pytest.mark.parametrize("text", [None, "what time is it"])
async def test_the_wake_is_a_stage_in_a_session_that_is_open(text: str | None) -> None:
    async with conversation(plan=IDLE) as story:
        at = story.clock.monotonic()
        await story.clock.advance(0.25)
        if text is None:
            story.session.listen(wake(at))
        else:
            story.session.preempt(text, wake(at, text=text))
        await settle()
        assert [dict(mark.data) for mark in story.told("latency.mark")] == [{"stage": "wake", "ms": -250.0}]


async def test_a_follow_up_is_due_to_no_wake() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), follow_up="always")
    async with conversation(plan=plan, before=lambda session: session.opened_by(wake())) as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        await story.clock.advance(0.4)
        assert story.turn == 2
        assert [mark.turn for mark in story.told("latency.mark") if mark.data["stage"] == "wake"] == [1]
