"""F29-F31: the file where the history should be is damaged, locked, newer, or another program's."""

import asyncio
import gc
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from vonad import VonadError
from vonad.clock import SystemClock
from vonad.history import Journal, TurnRecord, open_journal
from vonad.history.schema import APPLICATION_ID, VERSION
from vonad.history.writer import LINGER_S
from vonad.testing import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vonad.db"


async def tell(journal: Journal, turn_id: str) -> bool:
    """A whole turn; whether it is kept."""
    journal.turn_started(turn_id, session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice")
    return await journal.turn_ended(turn_id, TurnRecord(outcome="completed", transcript="some words", stages={}))


async def fill(path: Path, turns: int = 1) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        futures = [tell(journal, f"t{number}") for number in range(turns)]
        assert all(await asyncio.gather(*futures))


async def refusal(path: Path, **how) -> VonadError:
    with pytest.raises(VonadError) as refused:
        async with open_journal(path, clock=ManualClock(), **how):
            pass
    return refused.value


def foreign_database(path: Path, application: int) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE theirs (a)")
        raw.execute(f"PRAGMA application_id = {application}")
        raw.execute("PRAGMA user_version = 3")
        raw.commit()


@pytest.mark.parametrize("how", [{}, {"read_only": True}, {"owner": False}])
@pytest.mark.parametrize("kind", ["text", "other program", "no marks", "jpeg"])
async def test_another_programs_file_is_refused_with_the_remedy_and_not_touched(path, kind, how):
    if kind == "text":
        path.write_text("Dear diary,\n" * 100)
    elif kind == "jpeg":
        path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20)
    else:
        foreign_database(path, 0x1234 if kind == "other program" else 0)
    path.chmod(0o644)
    before = path.read_bytes()
    error = await refusal(path, **how)
    assert error.code == "store_error"
    assert str(path) in error.message
    assert "found" in error.message
    assert f"{APPLICATION_ID:#x} expected" in error.message
    assert f"mv '{path}'" in error.message
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("how", [{}, {"read_only": True}])
async def test_a_newer_vonads_history_is_refused_with_both_versions_and_the_remedy(path, how):
    await fill(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {VERSION + 6}")
    before = path.read_bytes()
    error = await refusal(path, **how)
    assert f"schema {VERSION + 6} found, at most {VERSION} expected" in error.message
    assert "update vonad" in error.message
    assert (error.details["found"], error.details["expected"]) == (VERSION + 6, VERSION)
    assert path.read_bytes() == before


def broken_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = os.urandom(200)
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def broken_schema(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:4096] = os.urandom(3996)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [broken_pages, cut, zeros, broken_schema])
async def test_a_damaged_history_is_set_aside_and_a_new_one_begun(path, damage):
    await fill(path, 300)
    damage(path)
    damaged = path.read_bytes()
    told = []
    async with open_journal(path, clock=ManualClock()) as journal:
        journal.on_health = lambda ok, detail: told.append((ok, detail))
        assert await tell(journal, "new")
        assert [turn.turn_id for turn in await journal.history()] == ["new"]
        assert journal.healthy
    aside = path.with_name("vonad.db.corrupt-20260101T120000Z")
    assert aside.read_bytes() == damaged
    [(ok, detail)] = told
    assert ok
    assert str(aside) in detail
    # The same second, again: neither copy is overwritten.
    damage(path) if damage is not cut else zeros(path)
    async with open_journal(path, clock=ManualClock()) as journal:
        assert await tell(journal, "newer")
    assert aside.read_bytes() == damaged
    assert path.with_name("vonad.db.corrupt-20260101T120000Z-2").exists()


async def test_a_history_damaged_while_it_is_open_is_set_aside_then(path):
    told = []
    async with open_journal(path, clock=ManualClock()) as journal:
        journal.on_health = lambda ok, detail: told.append(ok)
        await asyncio.gather(*(tell(journal, f"t{number}") for number in range(300)))
        assert await journal.delete(satellite="nowhere") == 0  # everything is in the file itself
        broken_pages(path)
        with closing(sqlite3.connect(path)) as other:
            # Another program's commit makes SQLite forget what it still has in memory.
            other.execute(f"PRAGMA user_version = {VERSION}")
        async with asyncio.timeout(10):
            while not list(path.parent.glob("*.corrupt-*")):
                await tell(journal, f"later {len(told)} {os.urandom(4).hex()}")
        assert await tell(journal, "after")
        assert (await journal.history())[-1].turn_id == "after"
        assert told == [True]


async def test_a_damaged_history_is_told_to_readers(path):
    await fill(path, 300)
    broken_pages(path)
    error = None
    try:
        async with open_journal(path, clock=ManualClock(), read_only=True) as journal:
            await journal.history()
    except VonadError as raised:
        error = raised
    assert error is not None
    assert error.code == "store_error"
    assert "damaged" in error.message
    assert [file.name for file in path.parent.glob("*.corrupt-*")] == []


async def test_the_files_can_be_read_by_nobody_else_from_the_moment_they_are_made(path, monkeypatch):
    before = os.umask(0)
    made = []
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda *args, **how: (made.append(stat.S_IMODE(path.stat().st_mode)), connect(*args, **how))[1],
    )
    try:
        async with open_journal(path, clock=ManualClock()) as journal:
            await tell(journal, "t1")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert made[0] == 0o600
    assert modes == {"vonad.db": 0o600, "vonad.db-wal": 0o600, "vonad.db-shm": 0o600}


async def test_a_directory_that_is_missing_is_made_for_nobody_else(tmp_path):
    async with open_journal(tmp_path / "a" / "vonad.db", clock=ManualClock()):
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


async def test_a_file_with_a_loose_mode_is_tightened(path):
    await fill(path)
    path.chmod(0o644)
    await fill(path.with_name("other.db"))
    async with open_journal(path, clock=ManualClock()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_an_empty_file_becomes_a_history(path):
    path.touch()
    async with open_journal(path, clock=ManualClock()) as journal:
        assert await tell(journal, "t1")


async def test_what_a_crash_between_making_and_marking_left_is_ours(path):
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
    async with open_journal(path, clock=ManualClock()) as journal:
        assert await tell(journal, "t1")


async def test_a_lock_held_by_another_program_degrades_and_never_hangs(path):
    """F30. What was refused meanwhile is written once the lock is gone."""
    told = []
    clock = ManualClock()
    async with open_journal(path, clock=clock) as journal:
        journal.on_health = lambda ok, detail: told.append((ok, detail))
        assert await tell(journal, "before")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(2):
                assert await tell(journal, "t1") is False
                assert await tell(journal, "t2") is False
                assert [turn.turn_id for turn in await journal.history()] == ["before"]
            assert not journal.healthy
            assert "locked by another program" in journal.detail
            with pytest.raises(VonadError, match="locked"):
                await journal.set("a", "b", "c")
        assert await tell(journal, "after")
        assert journal.healthy
        assert [ok for ok, _ in told] == [False, True]
        assert [turn.turn_id for turn in await journal.history()] == ["before", "t1", "t2", "after"]


async def test_health_returns_by_itself_when_nothing_is_written(path, caplog):
    clock = ManualClock()
    well = asyncio.Event()
    async with open_journal(path, clock=clock) as journal:
        journal.on_health = lambda ok, detail: well.set() if ok else well.clear()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(VonadError, match="locked"):
                await journal.set("a", "b", "c")
            for _ in range(3):
                await clock.advance(LINGER_S)
                await eventually(lambda: clock.waiting == 1)
            assert not journal.healthy
        await clock.advance(LINGER_S)
        async with asyncio.timeout(5):
            await well.wait()
        assert journal.healthy
    gc.collect()
    assert "never retrieved" not in caplog.text


async def eventually(true: Callable[[], bool]) -> None:
    """Work in a thread is waited for by no clock."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


async def test_a_file_locked_at_the_start_is_opened_once_it_is_free(path):
    await fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM wakes")
        async with asyncio.timeout(5), open_journal(path, clock=SystemClock()) as journal:
            assert not journal.healthy
            told = []
            journal.on_health = lambda ok, detail: told.append(ok)
            assert told == [False]
            with pytest.raises(VonadError) as unreadable:
                await journal.history()
            assert unreadable.value.code == "store_error"
            assert await tell(journal, "t1") is False
            other.close()
            assert await tell(journal, "t2")
            assert [turn.turn_id for turn in await journal.history()] == ["t0", "t1", "t2"]
