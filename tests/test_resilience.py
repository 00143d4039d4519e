"""Breakers and streams, on a clock that a test moves."""

import asyncio

import pytest

from vonad.engine import NotUnderstood
from vonad.errors import VonadError
from vonad.resilience import FAILURES_TO_OPEN, Breaker, Pool
from vonad.testing import ManualClock, settle


def pool(clock: ManualClock, streams: int = 1) -> tuple[Pool[str], list[str]]:
    states: list[str] = []
    breaker = Breaker("espeak", clock, lambda _, state: states.append(state))
    return Pool("engine", breaker, streams=streams, clock=clock, harmless=(NotUnderstood,)), states


async def fail(subject: Pool[str]) -> None:
    with pytest.raises(VonadError):
        async with subject:
            raise RuntimeError("no")


async def test_five_failures_in_a_row_open_the_breaker_and_it_says_for_how_long() -> None:
    clock = ManualClock()
    subject, states = pool(clock)
    for _ in range(FAILURES_TO_OPEN):
        await fail(subject)
    assert states == ["open"]
    with pytest.raises(VonadError, match="left alone for another 30 s") as refused:
        async with subject:
            pass
    assert (refused.value.code, refused.value.retry_after_ms) == ("circuit_open", 30_000)


async def test_a_success_in_between_begins_the_count_anew() -> None:
    subject, states = pool(ManualClock())
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            await fail(subject)
        async with subject:
            pass
    assert states == []


async def test_after_its_pause_one_probe_is_let_through_and_two_successes_close_it() -> None:
    clock = ManualClock()
    subject, states = pool(clock, streams=2)
    for _ in range(FAILURES_TO_OPEN):
        await fail(subject)
    await clock.advance(30)
    async with subject:
        with pytest.raises(VonadError, match="left alone"):
            async with subject:
                pass
    async with subject:
        pass
    assert states == ["open", "half_open", "closed"]


async def test_a_probe_that_fails_opens_it_again() -> None:
    clock = ManualClock()
    subject, states = pool(clock)
    for _ in range(FAILURES_TO_OPEN):
        await fail(subject)
    await clock.advance(30)
    await fail(subject)
    assert states == ["open", "half_open", "open"]


async def test_having_nothing_to_say_is_no_failure() -> None:
    subject, states = pool(ManualClock())
    for _ in range(2 * FAILURES_TO_OPEN):
        with pytest.raises(NotUnderstood):
            async with subject:
                raise NotUnderstood
    assert states == []


async def test_a_defect_comes_out_as_a_typed_error_that_names_the_engine() -> None:
    subject, _ = pool(ManualClock())
    with pytest.raises(VonadError, match="engine espeak failed: RuntimeError: no") as failed:
        async with subject:
            raise RuntimeError("no")
    assert failed.value.code == "backend_step_failed"


async def test_an_engine_that_has_something_of_its_own_cancelled_has_failed() -> None:
    subject, states = pool(ManualClock())
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(VonadError, match="engine espeak failed: CancelledError") as failed:
            async with subject:
                raise asyncio.CancelledError
        assert failed.value.code == "backend_step_failed"
    assert states == ["open"]


async def test_one_stream_too_many_waits_a_second_and_is_refused() -> None:
    clock = ManualClock()
    subject, _ = pool(clock)

    async def use() -> None:
        async with subject:
            pass

    async with subject:
        waiting = asyncio.create_task(use())
        await clock.advance(0.9)
        assert not waiting.done()
        await clock.advance(0.2)
        with pytest.raises(VonadError, match="serves 1 at once") as refused:
            await waiting
        assert refused.value.code == "overload"
    await use()


async def test_a_stream_that_becomes_free_in_time_is_taken() -> None:
    clock = ManualClock()
    subject, _ = pool(clock)
    got = asyncio.Event()

    async def use() -> None:
        async with subject:
            got.set()

    async with subject:
        waiting = asyncio.create_task(use())
        await clock.advance(0.5)
    await settle()
    assert got.is_set()
    await waiting


async def test_who_has_waited_longest_has_the_next_stream() -> None:
    subject, _ = pool(ManualClock())
    served: list[str] = []

    async def use(who: str) -> None:
        async with subject:
            served.append(who)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group, subject:
        for who in ("first", "second", "third"):
            group.create_task(use(who))
            await settle()
    assert served == ["first", "second", "third"]


@pytest.mark.parametrize("leaves", ["while it waits", "when its turn has come"])
async def test_a_stream_that_nobody_waits_for_any_more_goes_to_the_next(leaves: str) -> None:
    subject, _ = pool(ManualClock())
    got = asyncio.Event()

    async def use() -> None:
        async with subject:
            got.set()

    async with subject:
        impatient = asyncio.create_task(use())
        await settle()
        patient = asyncio.create_task(use())
        await settle()
        if leaves == "while it waits":
            impatient.cancel()
            await settle()
    if leaves == "when its turn has come":
        impatient.cancel()
    await asyncio.wait({impatient, patient})
    assert impatient.cancelled()
    assert got.is_set()
    await use()


async def test_being_cancelled_says_nothing_about_an_engine() -> None:
    subject, states = pool(ManualClock())

    async def hang() -> None:
        async with subject:
            await asyncio.Event().wait()

    for _ in range(2 * FAILURES_TO_OPEN):
        task = asyncio.create_task(hang())
        await settle()
        task.cancel()
        await asyncio.wait({task})
    assert states == []


async def test_a_turn_that_may_spend_no_more_says_nothing_about_an_engine() -> None:
    subject, states = pool(ManualClock())
    for _ in range(2 * FAILURES_TO_OPEN):
        with pytest.raises(VonadError, match="all spent"):
            async with subject:
                raise VonadError("budget_exceeded", "all spent")
    assert states == []
