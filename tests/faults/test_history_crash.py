"""F23, I1-I3: kill -9 at any moment loses no turn that was acknowledged, leaves none open, and repeats no action."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

from vonad.history import TurnRecord, open_journal
from vonad.testing import ManualClock

ROUNDS = 30

CHILD = textwrap.dedent(
    """
    import asyncio, os, signal, sys
    from pathlib import Path
    from vonad.clock import SystemClock
    from vonad.history import TurnRecord, open_journal

    def say(what):
        os.write(1, (what + "\\n").encode())

    async def session(journal, round, name):
        journal.session_opened(f"{round}{name}", "c1", name, "bridge", "listen")
        for number in range(10_000):
            turn = f"{round}{name}-{number}"
            if await journal.turn_started(
                turn, session_id=f"{round}{name}", conversation_id="c1", satellite=name, number=number, source="voice"
            ):
                say(f"begun {turn}")
            if await journal.skill_started(f"k{number}", turn, "lamp", "sensitive", "{}"):
                say(f"action {turn}")
            journal.skill_ended(f"k{number}", "done", 1.0, "")
            record = TurnRecord(outcome="completed", transcript=f"words of {turn}", stages={"stt": 1.0})
            if await journal.turn_ended(turn, record):
                say(f"done {turn}")

    async def main(path, round):
        async with open_journal(path, clock=SystemClock(), retention_days=30) as journal:
            say("ready")
            async with asyncio.TaskGroup() as group:
                for name in ("desk", "kitchen", "attic"):
                    group.create_task(session(journal, round, name))

    # One import for all rounds: each is a fork of this process, which has neither threads nor a loop.
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(main(Path(sys.argv[1]), line.strip()))
        say(f"pid {child}")
        os.waitpid(child, 0)
        say("killed")
    """
)


def acknowledged(child: subprocess.Popen[str], number: int, *, after: int) -> list[str]:
    """Let it write until so many lines came, kill it, and read what it had said."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"r{number:02}-\n")
    child.stdin.flush()
    pid, lines = 0, []
    for line in child.stdout:
        what = line.strip()
        if what == "killed":
            return lines
        if what.startswith("pid "):
            pid = int(what.removeprefix("pid "))
        else:
            lines.append(what)
        if pid and len(lines) == after:
            os.kill(pid, signal.SIGKILL)
    raise AssertionError("the child ended by itself")


async def test_every_acknowledged_turn_survives_kill_9_and_none_is_left_open(tmp_path):
    path = tmp_path / "vonad.db"
    chance = random.Random()
    seed = chance.randrange(10**6)
    chance.seed(seed)
    said: dict[str, set[str]] = {"begun": set(), "action": set(), "done": set()}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    unknown: set[str] = set()
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as child:
        for number in range(ROUNDS):
            for line in acknowledged(child, number, after=chance.choice([1, 2, 3, chance.randrange(4, 60)])):
                kind, _, turn_id = line.partition(" ")
                if turn_id:
                    said[kind].add(turn_id)
            async with open_journal(path, clock=ManualClock()) as journal:
                assert journal.healthy, journal.detail
                assert journal.detail == ""
                unknown |= {action.turn_id for action in journal.recovered}
                found = {row["turn_id"]: row async for row in journal.export()}
            completed = {turn_id for turn_id, row in found.items() if row["outcome"] == "completed"}
            assert said["done"] <= completed, seed
            assert said["begun"] <= found.keys(), seed
            assert {row["outcome"] for row in found.values()} <= {"completed", "interrupted"}, seed
            assert all(found[turn_id]["transcript"] == f"words of {turn_id}" for turn_id in completed)
            attempts = {turn_id: [one["outcome"] for one in row["attempts"]] for turn_id, row in found.items()}
            assert said["action"] <= {turn_id for turn_id, outcomes in attempts.items() if outcomes}, seed
            assert {outcome for outcomes in attempts.values() for outcome in outcomes} <= {"done", "unknown"}, seed
            assert {turn_id for turn_id, outcomes in attempts.items() if "unknown" in outcomes} == unknown, seed
        assert child.stdin is not None
        child.stdin.close()
    assert said["done"]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("SELECT count(*) FROM sessions WHERE closed_at IS NULL").fetchone() == (0,)
        assert {reason for (reason,) in raw.execute("SELECT reason FROM sessions")} == {"crash"}
        raw.execute("INSERT INTO turn_words (turn_words, rank) VALUES ('integrity-check', 1)")


async def test_what_a_crash_left_open_is_closed_once_and_told(tmp_path, caplog):
    path, crashed = tmp_path / "vonad.db", tmp_path / "crashed.db"
    clock = ManualClock()
    async with open_journal(path, clock=clock) as journal:
        journal.session_opened("s1", "c1", "desk", "bridge", "listen")
        journal.turn_started("t1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice")
        await journal.turn_ended("t1", TurnRecord(outcome="completed", transcript="words", stages={}))
        journal.turn_started("t2", session_id="s1", conversation_id="c1", satellite="desk", number=2, source="voice")
        journal.turn_said("t2", "open the front door", None)
        journal.skill_started("k1", "t2", "clock", "read", "{}")
        journal.skill_ended("k1", "done", 1.0, "")
        assert await journal.skill_started("k2", "t2", "lock", "sensitive", '{"door": "front"}')
        for suffix in ("", "-wal"):
            crashed.with_name(crashed.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    async with open_journal(crashed, clock=clock) as journal:
        [action] = journal.recovered
        assert (action.name, action.risk, action.arguments) == ("lock", "sensitive", '{"door": "front"}')
        assert (action.call_id, action.turn_id, action.satellite) == ("k2", "t2", "desk")
        assert "1 sessions closed as crash, 1 turns as interrupted" in caplog.text
        assert [turn.outcome for turn in await journal.history()] == ["completed", "interrupted"]
        assert [turn.transcript for turn in await journal.history(search="front")] == ["open the front door"]
        assert [one.outcome for one in (await journal.turn("t2")).attempts] == ["done", "unknown"]
        again = journal.skill_ended("k2", "done", 1.0, "")
        assert await journal.turn_ended("t2", TurnRecord(outcome="completed", stages={})) is False
        assert await again is False
    with closing(sqlite3.connect(crashed)) as raw:
        assert raw.execute("SELECT reason FROM sessions").fetchall() == [("crash",)]
    async with open_journal(crashed, clock=clock) as journal:
        assert journal.recovered == ()
