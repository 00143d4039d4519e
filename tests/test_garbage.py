"""A full collection stops every conversation: it waits until there is none."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from vonad.garbage import FULL, REST_S, collect_at_rest
from vonad.testing import ManualClock


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
    assert gc.get_threshold() == (*before[:2], FULL)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
