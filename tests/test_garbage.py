"""A full collection stops every conversation: it waits until there is none. What is over leaves little to collect."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.garbage import FULL, MIDDLE, REST_S, collect_at_rest
from vonad.testing import ManualClock, settle

TIMES = 20

SESSION = 170
"""Objects of a session that is over which refer to each other in a circle: its parts, and what only they hold; some
to spare."""

TURN = 40
"""More of them when it has answered: its last turn, and the dialogue that knows what it was told from outside."""


@pytest.fixture
def collected() -> Iterator[list[int]]:
    """The generations that were collected."""
    generations: list[int] = []

    def told(phase: str, about: dict[str, int]) -> None:
        if phase == "stop":
            generations.append(about["generation"])

    gc.callbacks.append(told)
    yield generations
    gc.callbacks.remove(told)


async def test_full_collections_wait_until_nobody_is_in_a_conversation(collected: list[int]) -> None:
    clock, busy = ManualClock(), True
    task = asyncio.create_task(collect_at_rest(clock, lambda: busy))
    await clock.advance(0)
    assert collected.count(2) == 1, "what start-up left behind"
    await clock.advance(REST_S)
    assert collected.count(2) == 1
    busy = False
    await clock.advance(REST_S)
    assert collected.count(2) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_start_up_made_is_left_alone_until_the_end() -> None:
    before = gc.get_threshold()
    task = asyncio.create_task(collect_at_rest(ManualClock(), lambda: True))
    await asyncio.sleep(0)
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == (before[0], MIDDLE, FULL)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


async def uncounted(work: Callable[[], Awaitable[None]]) -> float:
    """Objects that reference counting alone does not free, each time."""
    for _ in range(3):
        await work()
    gc.collect()
    gc.disable()
    try:
        for _ in range(TIMES):
            await work()
        await settle()
        return gc.collect() / TIMES
    finally:
        gc.enable()


async def text_turn(home: RuntimeHouse, session_id: str) -> None:
    home.answer_with("Twelve.")
    turn = await home.sessions.start_turn(session_id, "what time is it?")
    await settle()
    assert turn.ended.done()
    home.sessions.forget()


async def test_a_session_that_is_over_leaves_no_more_than_its_own_parts_to_the_collector(tmp_path) -> None:
    async with runtime_house(tmp_path, history=False) as home:

        async def live() -> None:
            view = await home.sessions.create()
            await home.sessions.archive(view.session_id)
            await settle()
            assert not home.runtime.sessions.is_open(view.session_id)
            home.forget()

        assert 0 < await uncounted(live) <= SESSION


async def test_a_session_that_has_answered_leaves_as_much(tmp_path) -> None:
    async with runtime_house(tmp_path, history=False) as home:

        async def live() -> None:
            view = await home.sessions.create()
            await text_turn(home, view.session_id)
            await home.sessions.archive(view.session_id)
            await settle()
            home.forget()

        assert 0 < await uncounted(live) <= SESSION + TURN


async def test_a_turn_that_is_over_leaves_nothing_to_the_collector(tmp_path) -> None:
    async with runtime_house(tmp_path, session="maximum_s = 600", history=False) as home:
        view = await home.sessions.create()
        assert await uncounted(lambda: text_turn(home, view.session_id)) < 1
