"""The ledger: a row and an event for every wake, whatever became of it."""

from pathlib import Path

from vonad.bus import Bus
from vonad.history import open_journal
from vonad.plan import Refusal, SessionView, Wake
from vonad.testing import ManualClock
from vonad.wake.ledger import Ledger

SESSION = SessionView(
    session_id="s1",
    conversation_id="c1",
    satellite="desk",
    state="listening",
    turn=1,
    backend="bridge",
    created="2026-01-01",
)


async def test_each_wake_is_one_row_and_one_event_and_they_say_the_same(tmp_path: Path) -> None:
    clock = ManualClock()
    bus = Bus("home", clock)
    async with open_journal(tmp_path / "vonad.db", clock=clock) as journal:
        ledger = Ledger(bus, journal)
        with bus.subscribe() as told:
            ledger.accepted(Wake(satellite="desk", source="detector", at=0.0, phrase="okay_nabu", score=0.9), SESSION)
            refusal = Refusal("busy", "somebody speaks")
            assert ledger.refused(Wake(satellite="desk", source="mqtt", at=0.0, id="a"), refusal) is refusal
            told.close()
            accepted, refused = [event async for event in told]
        rows = await journal.wakes()
    assert (accepted.type, accepted.satellite, accepted.session_id) == ("wake.accepted", "desk", "s1")
    assert accepted.data == {"id": None, "source": "detector", "phrase": "okay_nabu", "score": 0.9}
    assert (refused.type, refused.session_id) == ("wake.refused", None)
    assert refused.data == {
        "id": "a",
        "source": "mqtt",
        "phrase": None,
        "reason": "busy",
        "detail": "somebody speaks",
    }
    assert [(row.source, row.score, row.accepted, row.reason, row.detail) for row in rows] == [
        ("detector", 0.9, True, "", ""),
        ("mqtt", None, False, "busy", "somebody speaks"),
    ]


async def test_a_wake_for_what_is_no_satellite_s_name_is_an_event_of_nobody_s(tmp_path: Path) -> None:
    clock = ManualClock()
    bus = Bus("home", clock)
    async with open_journal(tmp_path / "vonad.db", clock=clock) as journal:
        with bus.subscribe() as told:
            Ledger(bus, journal).refused(
                Wake(satellite="At/tic", source="mqtt", at=0.0), Refusal("unknown_satellite", "not connected")
            )
            told.close()
            [event] = [event async for event in told]
        assert event.satellite is None
        assert [row.satellite for row in await journal.wakes()] == ["At/tic"]
