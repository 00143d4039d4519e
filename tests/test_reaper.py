"""The reaper: whatever nobody uses is closed, whoever else misbehaves."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.runtime_house import runtime_house
from vonad.backend import ReplyDone, ReplyText
from vonad.frame import Frame
from vonad.plan import Plan
from vonad.reaper import Reaper
from vonad.session.machine import State
from vonad.testing import ManualClock, settle, speech


@dataclass
class Idle:
    """A session that does as it is told."""

    id: str = "s1"
    state: State = State.IDLE
    active_at: float = 0.0
    broken: bool = False
    closed: list[str] = field(default_factory=list)
    abandoned: bool = False

    def close(self, reason: str) -> None:
        if self.broken:
            raise RuntimeError("it will not")
        self.closed.append(reason)
        self.state = State.CLOSING

    def abandon(self) -> None:
        self.abandoned = True


def reaper(clock: ManualClock, *idlers: Idle, ttl_s: float = 90.0) -> Reaper:
    for idler in idlers:
        idler.active_at = clock.monotonic()
    return Reaper(lambda: idlers, lambda: ttl_s, clock)


@pytest.mark.parametrize(("ttl_s", "every_s"), [(90.0, 45.0), (10.0, 15.0)])
async def test_linnet_reaper_sweeps_every_half_of_the_time_but_not_more_often_than_every_15_s(
    ttl_s: float, every_s: float
) -> None:
    clock, swept = ManualClock(), []
    one = reaper(clock, ttl_s=ttl_s)
    one.sweep = lambda: swept.append(clock.monotonic())  # type: ignore[method-assign]
    running = asyncio.create_task(one.run())
    await clock.advance(every_s * 3 + 1)
    assert swept == [1000.0 + every_s * times for times in (1, 2, 3)]
    running.cancel()
    await asyncio.wait([running])


async def test_linnet_reaper_goes_by_the_last_activity() -> None:
    clock, quiet_one, busy_one = ManualClock(), Idle(), Idle("s2")
    one = reaper(clock, quiet_one, busy_one)
    await clock.advance(60)
    busy_one.active_at = clock.monotonic()
    await clock.advance(60)
    one.sweep()
    assert (quiet_one.closed, busy_one.closed) == (["idle_timeout"], [])


@pytest.mark.parametrize("state", [State.SPEAKING, State.EXECUTING_SKILL])
async def test_beluga_timeout_playback_and_running_skills_pause_the_idle_clock(state: State) -> None:
    clock, idle = ManualClock(), Idle(state=state)
    one = reaper(clock, idle)
    await clock.advance(500)
    one.sweep()
    idle.state = State.IDLE
    await clock.advance(80)
    one.sweep()
    assert idle.closed == []
    await clock.advance(11)
    one.sweep()
    assert idle.closed == ["idle_timeout"]


async def test_what_is_being_done_pauses_the_idle_clock_and_does_not_set_it_back() -> None:
    clock, idle = ManualClock(), Idle()
    one = reaper(clock, idle)
    await clock.advance(60)
    one.sweep()
    idle.state = State.PROCESSING
    await clock.advance(500)
    one.sweep()
    idle.state = State.IDLE
    await clock.advance(29)
    one.sweep()
    assert idle.closed == []
    await clock.advance(2)
    one.sweep()
    assert idle.closed == ["idle_timeout"]


async def test_an_announcement_is_no_use_of_a_session(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.house.text("desk", "hello")
        [opened] = home.runtime.sessions._open.values()
        story = home.backend.dialogue
        story.emit(ReplyText(1, "Yes."), Frame(speech(0.1).samples, 16_000, turn=1), ReplyDone(1))
        await home.until("turn.ended")
        used = opened.active_at
        await home.clock.advance(5)
        home.house.say("desk", "dinner is ready")
        await home.until("say.finished")
        assert opened.active_at == used


async def test_linnet_reaper_survives_what_a_session_raises_and_gives_that_one_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, broken, sound = ManualClock(), Idle("broken", broken=True), Idle("sound")
    one = reaper(clock, broken, sound)
    await clock.advance(91)
    with caplog.at_level(logging.ERROR):
        one.sweep()
    assert (broken.abandoned, sound.closed) == (True, ["idle_timeout"])
    assert "session broken could not be closed" in caplog.text


async def test_a_session_that_does_not_end_is_given_up() -> None:
    clock, stuck = ManualClock(), Idle()
    one = reaper(clock, stuck)
    await clock.advance(91)
    one.sweep()
    one.sweep()
    assert not stuck.abandoned
    await clock.advance(31)
    one.sweep()
    assert stuck.abandoned


async def test_regression_unreaped_session_one_that_nobody_ever_joined_is_closed(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="idle_timeout_s = 90\nmaximum = 1") as home:
        view = await home.sessions.create()
        await home.clock.advance(140)
        await home.until("session.closed")
        assert home.told("session.closed")[0].data["reason"] == "idle_timeout"
        assert (await home.sessions.read(view.session_id)).state == "closed"
        await settle()
        await home.sessions.create()


async def test_regression_unreaped_session_one_that_never_even_ran_is_closed(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="idle_timeout_s = 90\nmaximum = 1") as home:
        runtime = home.runtime
        plan = Plan(satellite=None, backends=("scripted",), purpose="idle")
        lost = runtime.sessions.create(plan, None, runtime.settings, runtime._group)
        assert lost.state == "created"
        await home.clock.advance(140)
        assert runtime.sessions.open == []
        await home.sessions.create()


async def test_cyberverse_idle_and_duration_limits_a_sign_of_life_is_no_activity(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="idle_timeout_s = 90\nkeep_alive_s = 5") as home:
        await home.sessions.create()
        await home.clock.advance(140)
        await home.until("session.closed")
        assert home.backend.dialogue.told.count("ping") > 10
        assert home.told("session.closed")[0].data["reason"] == "idle_timeout"


async def test_cyberverse_idle_and_duration_limits_a_turn_is_activity(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="idle_timeout_s = 90") as home:
        view = await home.sessions.create()
        for _ in range(5):
            await home.clock.advance(60)
            await home.sessions.start_turn(view.session_id, "hello")
            await settle()
            turn = home.backend.dialogue.turn
            home.backend.dialogue.emit(ReplyText(turn, "Yes."), ReplyDone(turn))
            await settle()
        assert (await home.sessions.read(view.session_id)).state == "idle"
        await home.clock.advance(140)
        await home.until("session.closed")


async def test_a_long_reply_is_not_cut_short_by_the_idle_limit(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="idle_timeout_s = 16\nprocessing_s = 600") as home:
        line = await home.connect()
        await home.house.text("desk", "tell me everything")
        dialogue = home.backend.dialogue
        dialogue.emit(ReplyText(1, "Once."), Frame(speech(100).samples, 16_000, turn=1), ReplyDone(1))
        line.hold()
        for _ in range(12):
            line.heard(5)
            await home.clock.advance(5)
        assert home.house.satellites()[0].state == "responding"
        assert home.told("session.closed") == []


async def test_cyberverse_idle_and_duration_limits_the_maximum_duration_ends_a_session_that_is_in_use(
    tmp_path: Path,
) -> None:
    async with runtime_house(tmp_path, session="max_duration_s = 100") as home:
        view = await home.sessions.create()
        await home.clock.advance(60)
        await home.sessions.start_turn(view.session_id, "hello")
        await home.clock.advance(50)
        await home.until("session.closed")
        assert home.told("session.closed")[0].data["reason"] == "max_duration"
