"""Time, real and by hand."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest

from vonad import Clock, SystemClock
from vonad.testing import ManualClock
from vonad.testing.clock import settle


def test_the_system_s_clock_is_monotonic_and_utc() -> None:
    clock = SystemClock()

    assert abs(clock.monotonic() - time.monotonic()) < 1.0
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)


async def test_the_system_s_clock_waits_and_can_be_called_off() -> None:
    clock, fired = SystemClock(), []
    clock.call_later(0.0, lambda: fired.append("due"))
    clock.call_later(0.0, lambda: fired.append("called off")).cancel()

    await clock.sleep(0.001)

    assert fired == ["due"]


@pytest.mark.parametrize("late", [True, False])
async def test_the_system_s_clock_has_deadlines(late: bool) -> None:
    with pytest.raises(TimeoutError) if late else contextlib.nullcontext():
        async with SystemClock().deadline(0.0 if late else 60.0):
            await (asyncio.Event().wait() if late else asyncio.sleep(0))


async def test_all_that_is_wanted_soon_is_done_in_order_whatever_one_of_it_does() -> None:
    clock, done, defects = SystemClock(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: defects.append(context["exception"]))
    for what in (1, 0, 2):
        clock.soon(lambda what=what: done.append(1 / what))  # type: ignore[misc]
    assert done == []

    await clock.lull()

    assert done == [1.0, 0.5]
    assert [type(defect) for defect in defects] == [ZeroDivisionError]


def test_a_loop_that_has_closed_keeps_nobody_from_being_served_soon() -> None:
    clock, done = SystemClock(), []

    async def ask() -> None:
        clock.soon(lambda: None)

    async def wait() -> None:
        await clock.lull()
        done.append("served")

    asyncio.run(ask())
    asyncio.run(wait())
    assert done == ["served"]


async def test_time_by_hand_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    start, noon = clock.monotonic(), clock.now()
    sleeper = asyncio.create_task(clock.sleep(10))

    await clock.advance(9.9)
    assert not sleeper.done()
    await clock.advance(0.2)
    assert sleeper.done()
    assert round(clock.monotonic() - start, 6) == 10.1
    assert clock.now() - noon == timedelta(seconds=10.1)


async def test_timers_fire_in_order_each_at_its_own_moment() -> None:
    clock, fired = ManualClock(), []
    start = clock.monotonic()
    for name, delay in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("b again", 2.0), ("later", 6.0)):
        clock.call_later(delay, lambda name=name: fired.append((name, clock.monotonic() - start)))  # type: ignore[misc]

    await clock.advance(5)

    assert fired == [("a", 1.0), ("b", 2.0), ("b again", 2.0), ("c", 3.0)]
    assert clock.waiting == 1


async def test_what_a_timer_sets_off_is_over_before_the_next_one() -> None:
    clock, seen = ManualClock(), []

    async def ticking() -> None:
        for _ in range(3):
            await clock.sleep(1)
            await asyncio.sleep(0)
            seen.append(clock.monotonic())

    start = clock.monotonic()
    ticker = asyncio.create_task(ticking())
    await clock.advance(10)

    assert ticker.done()
    assert [moment - start for moment in seen] == [1, 2, 3]


async def test_a_cancelled_sleeper_leaves_no_timer() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(10))
    await settle()
    assert clock.waiting == 1

    sleeper.cancel()
    await settle()

    assert clock.waiting == 0
    await clock.advance(20)


async def test_a_delay_in_the_past_is_due_at_once() -> None:
    clock, fired = ManualClock(), []
    clock.call_later(-5, lambda: fired.append(True))
    await clock.advance(0)

    assert fired == [True]


async def test_the_calendar_may_jump_while_durations_do_not() -> None:
    clock = ManualClock()
    start = clock.monotonic()
    clock.set_now(datetime(2030, 5, 1, tzinfo=UTC))

    await clock.advance(60)

    assert clock.now() == datetime(2030, 5, 1, 0, 1, tzinfo=UTC)
    assert clock.monotonic() - start == 60


def test_both_are_clocks() -> None:
    assert isinstance(SystemClock(), Clock)
    assert isinstance(ManualClock(), Clock)
