"""A queue that never blocks its writers and never grows past its bounds."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vonad import Mailbox
from vonad.mailbox import KEPT_FACTOR
from vonad.testing.clock import settle


async def read(mailbox: Mailbox[int]) -> list[int]:
    mailbox.close()
    return [item async for item in mailbox]


async def test_items_come_out_in_order() -> None:
    mailbox: Mailbox[int] = Mailbox(10)
    for item in range(5):
        assert mailbox.put(item)

    assert await read(mailbox) == [0, 1, 2, 3, 4]
    assert mailbox.dropped == 0


async def test_a_full_mailbox_drops_the_oldest_and_counts_it() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    for item in range(5):
        assert mailbox.put(item)

    assert (len(mailbox), mailbox.dropped) == (3, 2)
    assert await read(mailbox) == [2, 3, 4]


async def test_what_is_delivered_waits_for_room_and_nothing_is_dropped() -> None:
    mailbox: Mailbox[int] = Mailbox(2)
    seen: list[int] = []

    async def deliver(first: int) -> None:
        for item in range(first, first + 3):
            assert await mailbox.deliver(item)

    async with asyncio.TaskGroup() as group:
        for first in (0, 10):
            group.create_task(deliver(first))
        for _ in range(6):
            await settle()
            assert len(mailbox) <= 2
            seen.append(await mailbox.get())
    assert sorted(seen) == [0, 1, 2, 10, 11, 12]
    assert [item for item in seen if item < 10] == [0, 1, 2]
    assert mailbox.dropped == 0


@pytest.mark.parametrize("ends", ["closed", "overrun", "cleared"])
async def test_who_waits_for_room_may_go_on_when_a_mailbox_is_closed_or_cleared(ends: str) -> None:
    mailbox: Mailbox[int] = Mailbox(1, keep=lambda _: True)
    assert await mailbox.deliver(1)
    waiting = asyncio.create_task(mailbox.deliver(2))
    await settle()
    assert not waiting.done()

    if ends == "closed":
        mailbox.close()
    elif ends == "overrun":
        while mailbox.put(3):
            pass
    else:
        mailbox.clear()
    assert await waiting is (ends == "cleared")


async def test_what_is_kept_outlives_what_may_go() -> None:
    mailbox: Mailbox[int] = Mailbox(3, keep=lambda item: item >= 100)
    for item in (100, 1, 101, 2, 102, 3):
        assert mailbox.put(item)

    assert mailbox.dropped == 3
    assert await read(mailbox) == [100, 101, 102]


async def test_a_reader_that_lets_even_kept_items_pile_up_is_overrun() -> None:
    mailbox: Mailbox[int] = Mailbox(2, keep=lambda _: True)
    taken = sum(mailbox.put(item) for item in range(100))

    assert taken == 2 * KEPT_FACTOR
    assert mailbox.overrun
    assert mailbox.closed
    assert await read(mailbox) == list(range(2 * KEPT_FACTOR))


async def test_a_mailbox_closed_with_an_error_raises_it_behind_what_it_has() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    mailbox.put(1)
    mailbox.close(OSError("the device is gone"))
    mailbox.close(OSError("closed once more"))

    assert await mailbox.get() == 1
    for _ in range(2):
        with pytest.raises(OSError, match="the device is gone"):
            await mailbox.get()


async def test_a_closed_mailbox_takes_nothing_and_gives_what_it_has() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    mailbox.put(1)
    mailbox.close()

    assert not mailbox.put(2)
    assert await mailbox.get() == 1
    with pytest.raises(StopAsyncIteration):
        await mailbox.get()


async def test_a_waiting_reader_wakes_for_an_item_and_ends_at_close() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    got: list[int] = []

    async def reading() -> None:
        async for item in mailbox:
            got.append(item)

    reader = asyncio.create_task(reading())
    await settle()
    mailbox.put(1)
    mailbox.put(2)
    await settle()
    assert got == [1, 2]
    mailbox.close()
    await reader


async def test_a_cancelled_reader_loses_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    reader = asyncio.create_task(mailbox.get())
    await settle()
    mailbox.put(1)
    reader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reader

    mailbox.put(2)
    assert await read(mailbox) == [1, 2]


async def test_clearing_forgets_without_counting_a_loss() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    mailbox.put(1)
    mailbox.put(2)

    assert mailbox.clear() == 2
    assert (len(mailbox), mailbox.dropped, mailbox.closed) == (0, 0, False)


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_no_flood_grows_it_and_every_item_is_accounted_for(limit: int, kinds: list[bool]) -> None:
    mailbox: Mailbox[tuple[int, bool]] = Mailbox(limit, keep=lambda item: item[1])
    items = list(enumerate(kinds))
    refused = [item for item in items if not mailbox.put(item)]
    waiting = asyncio.run(_read_pairs(mailbox))

    assert len(waiting) <= limit * KEPT_FACTOR
    assert len(waiting) + mailbox.dropped + len(refused) == len(items)
    assert waiting == sorted(waiting)
    kept = [item for item in items if item[1] and item not in refused]
    assert [item for item in waiting if item[1]] == kept
    assert mailbox.overrun == bool(refused)


async def _read_pairs(mailbox: Mailbox[tuple[int, bool]]) -> list[tuple[int, bool]]:
    mailbox.close()
    return [item async for item in mailbox]
