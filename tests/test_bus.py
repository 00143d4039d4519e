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


async def test_a_gap_is_told_in_its_place_and_uses_up_no_number() -> None:
    bus = Bus("home", ManualClock())
    with bus.subscribe(limit=3) as slow, bus.subscribe() as quick:
        bus.publish(Event("session.state", {"state": "listening"}, "desk", "s1", "c1", 1))
        for number in range(6):
            bus.publish(Event("reply.delta", {"text": str(number)}, "desk", "s1", "c1", 1))
        told = [await anext(slow) for _ in range(2)]
        bus.publish(Event("session.closed", {"reason": "x"}, "desk", "s1", "c1"))
        slow.close()
        quick.close()
        told += [event async for event in slow]
        assert [(event.type, event.seq) for event in told] == [
            ("session.state", 1),
            ("events_dropped", 5),
            ("reply.delta", 6),
            ("reply.delta", 7),
            ("session.closed", 8),
        ]
        gap = told[1]
        assert (gap.data, gap.ts, gap.node) == ({"count": 4}, told[2].ts, "home")
        assert (gap.satellite, gap.session_id, gap.conversation_id, gap.turn) == (None, None, None, None)
        assert [event.seq async for event in quick] == list(range(1, 9))


async def test_a_gap_at_the_very_end_is_told_too() -> None:
    bus = Bus("home", ManualClock())
    with bus.subscribe(limit=1) as slow:
        bus.publish(Event("session.state", {"state": "idle"}))
        bus.publish(Event("reply.delta", {"text": "a"}))
        slow.close()
        assert [(event.type, event.seq) async for event in slow] == [("session.state", 1), ("events_dropped", 2)]


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
