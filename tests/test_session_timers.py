"""A session's timers: many by name, on one of the clock's."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vonad.session.timers import Timers
from vonad.testing import ManualClock


def timers() -> tuple[Timers, ManualClock, list[tuple[str, float]]]:
    clock, rung = ManualClock(), []
    return Timers(clock), clock, rung


async def test_each_rings_once_at_its_own_time_whatever_the_order_of_setting() -> None:
    subject, clock, rung = timers()
    begun = clock.monotonic()
    for name, seconds in (("late", 3.0), ("first", 1.0), ("second", 2.0)):
        subject.after(name, seconds, lambda name=name: rung.append((name, clock.monotonic() - begun)))  # type: ignore[misc]
    await clock.advance(10)
    assert rung == [("first", 1.0), ("second", 2.0), ("late", 3.0)]
    assert clock.waiting == 0


async def test_one_of_the_clock_s_serves_them_all() -> None:
    subject, clock, _ = timers()
    for number in range(10):
        subject.after(str(number), 1.0 + number, lambda: None)
    assert clock.waiting == 1


async def test_one_that_is_put_off_rings_at_its_new_time_only() -> None:
    subject, clock, rung = timers()
    begun = clock.monotonic()
    for seconds in (1.0, 5.0, 2.0):
        subject.after("state", seconds, lambda: rung.append(("state", clock.monotonic() - begun)))
    await clock.advance(10)
    assert rung == [("state", 2.0)]


async def test_one_that_is_dropped_rings_no_more_and_the_others_do() -> None:
    subject, clock, rung = timers()
    for name, seconds in (("dropped", 1.0), ("stays", 2.0)):
        subject.after(name, seconds, lambda name=name: rung.append(name))  # type: ignore[misc]
    subject.drop("dropped", "never set")
    await clock.advance(10)
    assert rung == ["stays"]


async def test_all_are_dropped_and_nothing_is_left_on_the_clock() -> None:
    subject, clock, rung = timers()
    subject.after("one", 1.0, lambda: rung.append(("one", 0.0)))
    subject.drop()
    assert clock.waiting == 0
    subject.after("two", 1.0, lambda: rung.append(("two", 0.0)))
    await clock.advance(2)
    assert rung == [("two", 0.0)]


async def test_what_one_does_may_drop_and_set_others_that_are_due_with_it() -> None:
    subject, clock, rung = timers()

    def act() -> None:
        rung.append(("first", 0.0))
        subject.drop("same time")
        subject.after("next", 1.0, lambda: rung.append(("next", 0.0)))

    subject.after("first", 1.0, act)
    subject.after("same time", 1.0, lambda: rung.append(("same time", 0.0)))
    await clock.advance(1)
    assert rung == [("first", 0.0)]
    await clock.advance(1)
    assert rung == [("first", 0.0), ("next", 0.0)]


async def test_a_defect_in_one_keeps_no_other_from_ringing() -> None:
    subject, clock, rung = timers()
    subject.after("defect", 1.0, lambda: rung[1])
    subject.after("other", 1.0, lambda: rung.append(("other", 0.0)))
    with pytest.raises(IndexError):
        await clock.advance(1)
    await clock.advance(1)
    assert rung == [("other", 0.0)]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("after"), st.sampled_from("abc"), st.integers(0, 8)),
            st.tuples(st.just("drop"), st.sampled_from("abc"), st.just(0)),
            st.tuples(st.just("pass"), st.just(""), st.integers(1, 4)),
        ),
        max_size=25,
    )
)
def test_they_ring_as_a_timer_of_its_own_for_each_would(story: list[tuple[str, str, int]]) -> None:
    async def told(*, own: bool) -> list[tuple[str, float]]:
        subject, clock, rung = timers()
        single: dict[str, object] = {}
        begun = clock.monotonic()
        for verb, name, seconds in (*story, ("pass", "", 20)):
            ring = lambda name=name: rung.append((name, clock.monotonic() - begun))  # noqa: E731
            if verb == "pass":
                await clock.advance(seconds)
            elif not own:
                subject.after(name, seconds, ring) if verb == "after" else subject.drop(name)
            else:
                if (before := single.pop(name, None)) is not None:
                    before.cancel()  # type: ignore[attr-defined]
                if verb == "after":
                    single[name] = clock.call_later(max(0.001, seconds), ring)
        return sorted((name, round(at, 2)) for name, at in rung)

    assert asyncio.run(told(own=False)) == asyncio.run(told(own=True))
