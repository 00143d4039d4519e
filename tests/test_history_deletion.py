"""Deleting really deletes; retention deletes what is old, and never because a clock jumped."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from vonad import VonadError
from vonad.history import Journal, TurnRecord, WakeRecord, open_journal
from vonad.history.retention import DAY_S, PATIENCE_S
from vonad.testing import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vonad.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def tell(journal: Journal, turn_id: str, said: str = "hello", *, satellite: str = "desk") -> None:
    session = f"session of {turn_id}"
    journal.session_opened(session, "c1", satellite, "bridge", "listen")
    journal.turn_started(
        turn_id, session_id=session, conversation_id="c1", satellite=satellite, number=1, source="voice"
    )
    journal.skill_started("k1", turn_id, "words", "read", f"argument {said}")
    journal.skill_ended("k1", "done", 1.0, f"detail {said}")
    ended = journal.turn_ended(
        turn_id,
        TurnRecord(
            outcome="completed",
            transcript=said,
            user_text=f"policy {said}",
            generated_text=f"reply {said}",
            heard_text=f"heard {said}",
            stages={},
        ),
    )
    journal.session_closed(session, "user_ended")
    assert await ended


def files(path: Path) -> bytes:
    """Everything on the disk."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def rows(path: Path) -> dict[str, int]:
    tables = ("conversations", "sessions", "turns", "wakes", "audit", "turn_words")
    with closing(sqlite3.connect(path)) as raw:
        return {table: raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


async def test_deleted_words_are_in_no_file_any_more(path, clock):
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1", "keepme zebrafinch")
        for number in range(20):
            await tell(journal, f"u{number}", f"hidden{number}xylophone")
            journal.wake(
                WakeRecord(
                    satellite="desk", source="detector", phrase=f"phrase{number}xylophone", score=0.5, accepted=True
                )
            )
        await tell(journal, "t2", "the very lastxylophone")
        assert b"lastxylophone" in files(path)
        assert await journal.delete(last=True) == 1
        assert b"lastxylophone" not in files(path)
        assert [turn.turn_id for turn in await journal.history(search="hidden19")] == ["u19"]
        clock.set_now(clock.now() + timedelta(seconds=1))
        await tell(journal, "t3", "afterwards")
        assert b"xylophone" in files(path)
        assert await journal.delete(before=clock.now()) == 21
        assert b"xylophone" not in files(path)
        assert b"zebrafinch" not in files(path)
        assert [turn.turn_id for turn in await journal.history()] == ["t3"]
        assert await journal.history(search="zebrafinch") == []
        assert len(await journal.history(search="afterwards")) == 1


async def test_no_copy_stays_in_pages_that_were_rearranged(path, clock):
    """secure_delete alone leaves some: rows that grew moved to a neighbouring page."""
    chance = random.Random(2)
    async with open_journal(path, clock=clock) as journal:
        waiting: list[str] = []
        for number in range(1500):
            journal.turn_started(
                f"t{number}",
                session_id="s1",
                conversation_id="c1",
                satellite=f"room{number % 7}",
                number=1,
                source="voice",
            )
            waiting.append(f"t{number}")
            while len(waiting) > chance.randrange(4):
                turn_id = waiting.pop(chance.randrange(len(waiting)))
                said = f"secretword{turn_id} " + "the quick brown fox " * chance.randrange(20)
                last = journal.turn_ended(turn_id, TurnRecord(outcome="completed", transcript=said, stages={}))
            if number % 5 == 4:
                await last
        for room in range(6):
            await journal.delete(satellite=f"room{room}")
        left = {turn.turn_id for turn in await journal.history(limit=2000)}
        content = files(path)
        for number in range(1500):
            told = f"secretwordt{number} ".encode() in content
            assert not told or f"t{number}" in left


async def test_deleting_by_satellite_leaves_the_other_rooms(path, clock):
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1", "one", satellite="desk")
        await tell(journal, "t2", "two", satellite="kitchen")
        journal.wake(WakeRecord(satellite="desk", source="mqtt", accepted=True))
        journal.wake(WakeRecord(satellite="kitchen", source="mqtt", accepted=True))
        assert await journal.delete(satellite="desk") == 1
        assert [turn.turn_id for turn in await journal.history()] == ["t2"]
        assert [wake.satellite for wake in await journal.wakes()] == ["kitchen"]
        assert await journal.delete(satellite="nowhere") == 0
    assert rows(path) == {"conversations": 1, "sessions": 1, "turns": 1, "wakes": 1, "audit": 1, "turn_words": 1}


async def test_deleting_everything_leaves_nothing_but_the_open_session(path, clock):
    async with open_journal(path, clock=clock) as journal:
        for number in range(450):
            journal.turn_started(
                f"x{number}", session_id="s0", conversation_id="c0", satellite="desk", number=1, source="voice"
            )
        await tell(journal, "t1", "xylophone")
        await journal.set("skills.clock", "kept", "value")
        journal.session_opened("s2", "c2", "desk", "bridge", "listen")
        journal.turn_started("open", session_id="s2", conversation_id="c2", satellite="desk", number=1, source="voice")
        assert await journal.delete(everything=True) == 452
        # Its turn was deleted while it ran: its words do not come back.
        ended = await journal.turn_ended("open", TurnRecord(outcome="completed", transcript="xylophone", stages={}))
        assert ended is False
        assert b"xylophone" not in files(path)
        assert await journal.get("skills.clock", "kept") == "value"
    assert rows(path) == {"conversations": 1, "sessions": 1, "turns": 0, "wakes": 0, "audit": 0, "turn_words": 0}


async def test_the_last_turn_is_the_last_that_ended(path, clock):
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1", satellite="desk")
        await tell(journal, "t2", satellite="kitchen")
        journal.turn_started(
            "asks for the deletion",
            session_id="s2",
            conversation_id="c1",
            satellite="kitchen",
            number=1,
            source="voice",
        )
        assert await journal.delete(last=True) == 1
        assert [turn.turn_id for turn in await journal.history()] == ["t1", "asks for the deletion"]
        assert await journal.delete(last=True, satellite="kitchen") == 0


async def test_deleting_nothing_in_particular_is_refused(path, clock):
    async with open_journal(path, clock=clock) as journal:
        with pytest.raises(VonadError) as refused:
            await journal.delete()
        assert refused.value.code == "malformed"


async def test_a_deletion_goes_on_when_whoever_asked_has_gone(path, clock):
    async with open_journal(path, clock=clock) as journal:
        for number in range(1000):
            journal.turn_started(
                f"t{number}", session_id="s1", conversation_id="c1", satellite="desk", number=number, source="voice"
            )
        await tell(journal, "t", "xylophone")
        asking = asyncio.create_task(journal.delete(everything=True))
        await asyncio.sleep(0)
        asking.cancel()
        async with asyncio.timeout(10):
            while b"xylophone" in files(path):
                await journal.history()
        assert await journal.history() == []


async def test_turns_are_written_while_many_are_deleted(path, clock):
    async with open_journal(path, clock=clock) as journal:
        for number in range(2000):
            journal.turn_started(
                f"t{number}", session_id="s1", conversation_id="c1", satellite="desk", number=number, source="voice"
            )
        clock.set_now(clock.now() + timedelta(seconds=1))
        deletion = asyncio.create_task(journal.delete(before=clock.now()))
        await asyncio.sleep(0)
        assert await journal.turn_started(
            "new", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
        )
        assert not deletion.done()
        assert await deletion == 2000
        assert [turn.turn_id for turn in await journal.history()] == ["new"]


async def test_another_program_that_reads_makes_the_deletion_say_so(path, clock, monkeypatch):
    monkeypatch.setattr("vonad.history.deletion.QUIET_S", 0.05)
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1", "xylophone")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM turns").fetchone()
            with pytest.raises(VonadError, match=r"1 turns are deleted, but .* delete again"):
                await journal.delete(everything=True)
        assert await journal.delete(everything=True) == 0
        assert b"xylophone" not in files(path)
        assert journal.healthy


async def eventually(true: Callable[[], bool], journal: Journal) -> None:
    """Reading is work in a thread that no clock waits for."""
    async with asyncio.timeout(10):
        while not true():
            await journal.wakes()


async def aged(path: Path, clock: ManualClock, days: float) -> None:
    """A history whose newest row is this many days old, and one row a day before that."""
    async with open_journal(path, clock=clock) as journal:
        now = clock.now()
        for day in range(40):
            clock.set_now(now - timedelta(days=days + day))
            await tell(journal, f"d{day}", f"day{day}xylophone")
        clock.set_now(now)


async def test_retention_deletes_what_is_old_when_the_daemon_starts(path, clock):
    await aged(path, clock, days=0.5)
    async with open_journal(path, clock=clock, retention_days=30) as journal:
        await eventually(lambda: rows(path)["turns"] == 30, journal)
        await eventually(lambda: b"day35xylophone" not in files(path), journal)
        await eventually(lambda: clock.waiting == 1, journal)
        assert rows(path) == {
            "conversations": 1,
            "sessions": 30,
            "turns": 30,
            "wakes": 0,
            "audit": 30,
            "turn_words": 30,
        }
        await clock.advance(DAY_S)
        await eventually(lambda: rows(path)["turns"] == 29, journal)


async def test_retention_of_zero_days_keeps_for_ever(path, clock):
    await aged(path, clock, days=0.5)
    async with open_journal(path, clock=clock, retention_days=0) as journal:
        await clock.advance(3 * DAY_S)
        assert len(await journal.history(limit=100)) == 40


async def test_retention_after_a_long_pause_waits_until_the_clock_was_set(path, clock):
    await aged(path, clock, days=20)
    async with open_journal(path, clock=clock, retention_days=30) as journal:
        await eventually(lambda: clock.waiting == 1, journal)
        await clock.advance(PATIENCE_S - 1)
        assert len(await journal.history(limit=100)) == 40
        await clock.advance(2)
        await eventually(lambda: rows(path)["turns"] == 10, journal)


async def test_retention_never_deletes_because_the_clock_was_wrong_at_the_start(path, clock, caplog):
    await aged(path, clock, days=0)
    right = clock.now()
    clock.set_now(right + timedelta(days=4000))
    async with open_journal(path, clock=clock, retention_days=30) as journal:
        await eventually(lambda: clock.waiting == 1, journal)
        await clock.advance(60)
        clock.set_now(right + timedelta(seconds=60))
        await clock.advance(PATIENCE_S)
        assert len(await journal.history(limit=100)) == 40
    assert "the date jumped by -4000.0 days" in caplog.text


async def test_retention_never_deletes_because_the_clock_jumps(path, clock, caplog):
    async with open_journal(path, clock=clock, retention_days=30) as journal:
        await eventually(lambda: clock.waiting == 1, journal)
        await tell(journal, "t1")
        await clock.advance(DAY_S / 2)
        clock.set_now(clock.now() + timedelta(days=400))
        await clock.advance(DAY_S / 2 + 1)
        assert len(await journal.history()) == 1
    assert "the date jumped by 400.0 days" in caplog.text
