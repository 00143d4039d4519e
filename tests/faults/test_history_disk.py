"""F26-F28: the disk is full, read-only or failing. Turns go on, nothing is falsely told as done, and it recovers."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vonad import VonadError
from vonad.clock import SystemClock
from vonad.history import Journal, TurnRecord, open_journal
from vonad.testing import ManualClock, settle


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount (again, with other options) a small file system of one's own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def mount(options: str) -> Path:
        nonlocal mounted
        command = ["mount", "-t", "tmpfs", "-o", f"remount,{options}" if mounted else options, "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting a file system needs root: {done.stderr.strip()}")
        mounted = True
        return place

    if shutil.which("mount") is None:
        pytest.skip("mount is missing")
    yield mount
    if mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


async def tell(journal: Journal, turn_id: str, said: str = "some words") -> bool:
    journal.turn_started(turn_id, session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice")
    return await journal.turn_ended(turn_id, TurnRecord(outcome="completed", transcript=said, stages={}))


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


async def test_a_full_disk_costs_no_turn_and_no_false_done(mount):
    """F26. What was said meanwhile is written when there is room again."""
    disk = mount("size=1m")
    told = []
    async with open_journal(disk / "vonad.db", clock=ManualClock()) as journal:
        journal.on_health = lambda ok, detail: told.append((ok, detail))
        assert await tell(journal, "before")
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            fill(ballast)
        verdicts = [await tell(journal, f"t{number}", "word " * 2000) for number in range(20)]
        assert not all(verdicts), "the disk was not full"
        refused = verdicts.index(False)
        assert not journal.healthy
        assert "no space is left" in journal.detail
        assert str(disk / "vonad.db") in journal.detail
        assert await journal.skill_started("k1", "t1", "lamp", "sensitive", "{}") is False
        assert len(await journal.history()) == 1 + refused
        ballast.unlink()
        assert await tell(journal, "after")
        assert journal.healthy
        assert [ok for ok, _ in told] == [False, True]
        kept = [turn.turn_id for turn in await journal.history(limit=100)]
        assert kept == ["before", *(f"t{number}" for number in range(20)), "after"]


async def test_a_disk_that_is_full_at_the_start_degrades_and_recovers(mount):
    disk = mount("size=64k")
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 56 * 1024)
    async with open_journal(disk / "vonad.db", clock=ManualClock()) as journal:
        assert not journal.healthy
        assert await tell(journal, "t1") is False
        ballast.unlink()
        mount("size=2m")
        assert await tell(journal, "t2")
        assert [turn.turn_id for turn in await journal.history()] == ["t1", "t2"]


async def test_a_read_only_file_system_degrades_and_recovers(mount):
    """F27."""
    disk = mount("size=1m")
    async with open_journal(disk / "vonad.db", clock=ManualClock()) as journal:
        assert await tell(journal, "before")
    mount("size=1m,ro")
    async with open_journal(disk / "vonad.db", clock=ManualClock()) as journal:
        told = []
        journal.on_health = lambda ok, detail: told.append((ok, detail))
        assert not journal.healthy
        assert "writ" in journal.detail
        assert str(disk / "vonad.db") in journal.detail
        assert await tell(journal, "t1") is False
        with pytest.raises(VonadError) as refused:
            await journal.delete(everything=True)
        assert refused.value.code == "store_error"
        mount("size=1m,rw")
        assert await tell(journal, "t2")
        assert [ok for ok, _ in told] == [False, True]
        assert [turn.turn_id for turn in await journal.history()] == ["before", "t1", "t2"]


async def test_a_visitor_reads_where_nothing_can_be_written(mount):
    disk = mount("size=1m")
    async with open_journal(disk / "vonad.db", clock=ManualClock()) as journal:
        assert await tell(journal, "before")
    mount("size=1m,ro")
    async with open_journal(disk / "vonad.db", clock=ManualClock(), read_only=True) as journal:
        assert [turn.turn_id for turn in await journal.history()] == ["before"]


async def test_a_directory_that_cannot_be_made_degrades(tmp_path):
    (tmp_path / "file").touch()
    async with open_journal(tmp_path / "file" / "vonad.db", clock=ManualClock()) as journal:
        assert not journal.healthy
        assert str(tmp_path / "file") in journal.detail
        assert await tell(journal, "t1") is False
        (tmp_path / "file").unlink()
        assert await tell(journal, "t2")


WRITING = textwrap.dedent(
    """
    import asyncio, json, os, sys
    from pathlib import Path
    from vonad.clock import SystemClock
    from vonad.history import TurnRecord, WakeRecord, open_journal, writer

    writer.LINGER_S = 0.5

    async def main():
        path, turns, idle = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
        async with open_journal(path, clock=SystemClock(), retention_days=30) as journal:
            report = {"kept": [], "healthy": []}
            for number in range(turns):
                journal.session_opened(f"s{number}", "c1", "desk", "bridge", "listen")
                journal.wake(WakeRecord(satellite="desk", source="mqtt", accepted=True))
                journal.turn_started(
                    f"t{number}",
                    session_id=f"s{number}",
                    conversation_id="c1",
                    satellite="desk",
                    number=1,
                    source="voice",
                )
                await journal.recent("c1")
                journal.skill_started("k", f"t{number}", "clock", "read", "{}")
                journal.skill_ended("k", "done", 1.0, "")
                record = TurnRecord(outcome="completed", transcript="what time is it", stages={"stt": 1.0})
                if await journal.turn_ended(f"t{number}", record):
                    report["kept"].append(f"t{number}")
                report["healthy"].append(journal.healthy)
                journal.session_closed(f"s{number}", "user_ended")
                os.path.exists(f"/mark-turn-{number}")
            os.path.exists("/mark-idle")
            await asyncio.sleep(idle)
            os.path.exists("/mark-end")
            report["detail"] = journal.detail
        print(json.dumps(report))

    asyncio.run(main())
    """
)


def traced(tmp_path: Path, *options: str, turns: int, idle: float = 0.0) -> tuple[dict[str, list], str]:
    """Write turns in a child under strace: its report, and the calls it made."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing")
    log = tmp_path / "strace.log"
    calls = "trace=fsync,fdatasync,stat,newfstatat"
    command = ["strace", "-f", "-o", str(log), "-e", calls, *options, sys.executable, "-c", WRITING]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [*command, str(tmp_path / "vonad.db"), str(turns), str(idle)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), log.read_text()


async def test_a_failing_disk_costs_no_false_done_and_is_used_again_when_it_works(tmp_path):
    """F28. fdatasync fails, after the database was made and some turns are in it; each of SQLite's threads counts."""
    report, log = traced(tmp_path, "-e", "inject=fdatasync:error=EIO:when=30..35", turns=30)
    assert "EIO (Input/output error) (INJECTED)" in log, "the fault was not there"
    assert False in report["healthy"]
    assert report["healthy"][-1]
    assert len(report["kept"]) < 30
    async with open_journal(tmp_path / "vonad.db", clock=SystemClock()) as journal:
        found = {turn.turn_id: turn.outcome for turn in await journal.history(limit=100)}
        assert found == {f"t{number}": "completed" for number in range(30)}
        assert len(await journal.wakes(limit=100)) == 30


def test_a_turn_costs_two_fsyncs_and_idling_none(tmp_path):
    """Counted where it happens; sessions, wakes and skills that only read ride along."""
    turns = 50
    _, log = traced(tmp_path, turns=turns, idle=1.5)
    calls = [line for line in log.splitlines() if re.search(r"sync\(|/mark-", line)]
    first = next(index for index, line in enumerate(calls) if "/mark-turn-0" in line)
    idle = next(index for index, line in enumerate(calls) if "/mark-idle" in line)
    end = next(index for index, line in enumerate(calls) if "/mark-end" in line)
    during = sum("sync(" in line for line in calls[first:idle])
    assert turns <= during <= 2 * (turns - 1), during
    assert sum("sync(" in line for line in calls[idle:end]) == 0


def test_the_process_ends_after_an_error_although_the_database_was_open(tmp_path):
    script = WRITING.replace("report = {", "raise SystemExit(7)\n        report = {")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", script, str(tmp_path / "vonad.db"), "1", "0"]
    assert subprocess.run(command, check=False, timeout=20, env=environment).returncode == 7


@pytest.fixture
def hang(monkeypatch) -> Iterator[threading.Event]:
    """Every commit hangs until the test is over; the event says that one does."""
    begun, over = threading.Event(), threading.Event()

    def hang(connection, writes):
        begun.set()
        over.wait()
        return [False] * len(writes)

    monkeypatch.setattr("vonad.history.writer.commit", hang)
    yield begun
    over.set()


async def test_a_disk_that_hangs_does_not_hang_the_end(tmp_path, monkeypatch, caplog, hang):
    monkeypatch.setattr("vonad.history.database.CLOSE_S", 0.05)
    monkeypatch.setattr("vonad.history.opening.CLOSE_S", 0.05)
    async with asyncio.timeout(5), open_journal(tmp_path / "vonad.db", clock=SystemClock()) as journal:
        written = journal.turn_started(
            "t1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
        )
        await asyncio.to_thread(hang.wait)
    assert await written is False
    assert "the disk hangs" in caplog.text


async def test_whoever_loses_patience_with_the_end_leaves_no_thread_behind(tmp_path, monkeypatch, hang):
    """The fixture of all tests looks for threads: one would keep the process alive for ever."""
    monkeypatch.setattr("vonad.history.database.CLOSE_S", 0.05)
    opened = asyncio.Event()

    async def hold() -> None:
        async with open_journal(tmp_path / "vonad.db", clock=SystemClock()) as journal:
            journal.turn_started(
                "t1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
            )
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await opened.wait()
    await asyncio.to_thread(hang.wait)
    for _ in range(3):
        task.cancel()
        await settle()
    with pytest.raises(asyncio.CancelledError):
        await task
