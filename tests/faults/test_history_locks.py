"""Other programs look into the history while the daemon has it open; it keeps its locks, and every turn."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from vonad.history import open_journal
from vonad.testing import ManualClock

DAEMON = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from vonad.clock import SystemClock
    from vonad.history import TurnRecord, open_journal

    def say(what):
        print(what, flush=True)

    async def turn(journal, turn_id):
        journal.turn_started(
            turn_id, session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
        )
        return await journal.turn_ended(turn_id, TurnRecord(outcome="completed", transcript="words", stages={}))

    async def main(path):
        async with open_journal(path, clock=SystemClock(), retention_days=30) as journal:
            say("open")
            for line in sys.stdin:
                what = line.strip()
                if what == "reopen":
                    await journal._file.close()
                    say("reopened" if await turn(journal, "between") else "lost")
                else:
                    say("stored" if await turn(journal, what) else "lost")

    asyncio.run(main(Path(sys.argv[1])))
    """
)


class Daemon:
    """Another process that has the history open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.pid = process.pid
        self._process = process
        assert self.hear() == "open"

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self, what: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self.hear()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def locks(self, path: Path) -> list[str]:
        """The kinds of lock that it holds on a file."""
        inode = f":{path.stat().st_ino}"
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return [line[3] for line in lines if line[4] == str(self.pid) and line[5].endswith(inode)]


@contextmanager
def daemon(path: Path) -> Iterator[Daemon]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", DAEMON, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Daemon(process)
        finally:
            process.kill()


def look_in(path: Path) -> None:
    """As somebody with SQLite's own shell does."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT count(*) FROM turns").fetchone()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vonad.db"


@pytest.mark.parametrize("before", [[], ["reopen"]])
async def test_a_turn_stored_after_another_program_looked_in_survives_kill_9(path, before):
    with daemon(path) as house:
        for what in before:
            assert house.tell(what) == "reopened"
        assert house.tell("t1") == "stored"
        assert house.locks(path) == ["READ"]
        look_in(path)
        assert path.with_name("vonad.db-wal").exists()
        assert house.tell("t2") == "stored"
        house.kill()
    async with open_journal(path, clock=ManualClock()) as journal:
        assert {"t1", "t2"} <= {turn.turn_id for turn in await journal.history()}


async def test_reading_beside_the_daemon_takes_nobodys_locks(path):
    with daemon(path) as house:
        assert house.tell("t1") == "stored"
        async with open_journal(path, clock=ManualClock(), read_only=True) as journal:
            assert [turn.turn_id for turn in await journal.history()] == ["t1"]
        assert house.locks(path) == ["READ"]
        assert path.with_name("vonad.db-wal").exists()
