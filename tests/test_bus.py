"""The Bus: order, gaps told, and a slow reader that hurts nobody but itself."""

from vonad.bus import Bus
from vonad.events import EVENTS, Event
from vonad.mailbox import KEPT_FACTOR
from vonad.testing import ManualClock


async def test_every_reader_gets_every_event_in_order_and_stamped() -> None:
    bus = Bus("home", ManualClock())
    with bus.subscribe() as one, bus.subscribe() as two:
        bus.publish(Event("reply.delta", {"text": "a"}))
        bus.publish(Event("reply.delta", {"text": "b"}))
        for reader in (one, two):
            first, second = await anext(reader), await anext(reader)
            assert (first.seq, second.seq) == (1, 2)
            assert first.node == "home"
            assert first.ts == "2026-01-01T12:00:00.000Z"


async def test_cyberverse_fan_out_a_slow_reader_is_told_how_much_it_missed() -> None:
    bus = Bus("home", ManualClock())
    with bus.subscribe(limit=2) as slow, bus.subscribe() as quick:
        for number in range(5):
            bus.publish(Event("reply.delta", {"text": str(number)}))
        gap = await anext(slow)
        assert (gap.type, gap.data) == ("events_dropped", {"count": 3})
        assert (await anext(slow)).data == {"text": "3"}
        assert (await anext(quick)).data == {"text": "0"}
        assert (slow.dropped, quick.dropped) == (3, 0)


async def test_states_and_endings_are_never_dropped_for_chatter() -> None:
    bus = Bus("home", ManualClock())
    with bus.subscribe(limit=2) as slow:
        bus.publish(Event("session.state", {"state": "listening"}))
        for number in range(5):
            bus.publish(Event("reply.delta", {"text": str(number)}))
        bus.publish(Event("session.closed", {"reason": "x"}))
        slow.close()
        seen = [event.type async for event in slow]
    assert "session.state" in seen
    assert seen[-1] == "session.closed"


async def test_a_dead_reader_is_cut_off_instead_of_filling_the_memory() -> None:
    bus = Bus("home", ManualClock())
    with bus.subscribe(limit=2) as dead:
        for _ in range(2 * KEPT_FACTOR + 2):
            bus.publish(Event("session.state", {"state": "idle"}))
        assert dead.overrun


async def test_a_reader_that_left_is_forgotten() -> None:
    bus = Bus("home", ManualClock())
    with bus.subscribe() as reader:
        pass
    bus.publish(Event("reply.delta"))
    assert [event async for event in reader] == []


def test_every_kind_of_words_is_among_the_data_it_hides() -> None:
    for name, kind in EVENTS.items():
        assert set(kind.words) <= set(kind.data), name
