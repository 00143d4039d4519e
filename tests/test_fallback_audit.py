"""The audit of fallbacks: one row each, written when it is over, read with its turn and deleted with it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.conversation import FAILURE, Conversation, Hooks, conversation
from tests.skill_bench import Args, bench
from vonad.history import FallbackRecord, Journal, TurnRecord, open_journal
from vonad.history.schema import MIGRATIONS, VERSION, migrate
from vonad.plan import Plan
from vonad.skill import Call, SkillCall
from vonad.testing import ManualClock, ScriptedBackend, settle
from vonad.why import why

TWO = Plan(satellite="desk", backends=("scripted", "second"))
IDLE = Plan(satellite="desk", backends=("scripted", "second"), purpose="idle")

COLUMNS = "kind, session_id, turn_id, name, from_backend, to_backend, outcome"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vonad.db"


def audit(path: Path) -> list[tuple[str | None, ...]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(f"SELECT {COLUMNS} FROM audit ORDER BY id").fetchall()


@asynccontextmanager
async def two(
    path: Path, plan: Plan = TWO, *, second: ScriptedBackend | None = None, hooks: Hooks | None = None
) -> AsyncIterator[Conversation]:
    others = {"second": second or ScriptedBackend()}
    async with conversation(plan=plan, others=others, hooks=hooks, database=path) as story:
        yield story


async def lose(story: Conversation) -> None:
    """In the middle of a turn."""
    await story.say_command()
    await story.understood("what time is it")
    story.dialogue.emit(FAILURE)
    await settle()


# What is written


async def test_vona_audit_sink_a_fallback_has_one_row_with_its_reason(path: Path) -> None:
    async with two(path) as story:
        await lose(story)
    assert audit(path) == [
        ("fallback", "s1", "s1-1", "backend_unavailable", "scripted", "second", "completed"),
    ]


async def test_vona_audit_sink_a_fallback_between_two_turns_belongs_to_its_session(path: Path) -> None:
    async with two(path, IDLE) as story:
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.state == "idle"
    assert audit(path) == [("fallback", "s1", "", "backend_unavailable", "scripted", "second", "completed")]


async def test_vona_audit_sink_each_fallback_of_a_session_has_its_own_row(path: Path) -> None:
    async with two(path) as story:
        await lose(story)
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.over
    assert [row[3:] for row in audit(path)] == [
        ("backend_unavailable", "scripted", "second", "completed"),
        ("backend_unavailable", "second", None, "failed"),
    ]


async def test_vona_audit_sink_a_fallback_that_finds_nobody_has_failed(path: Path) -> None:
    second = ScriptedBackend()
    second.failure = FAILURE
    async with two(path, second=second) as story:
        await lose(story)
        await story.clock.advance(2.0)
    assert [row[3:] for row in audit(path)] == [("backend_unavailable", "scripted", None, "failed")]


async def test_vona_audit_sink_a_fallback_that_policy_refuses_is_told_as_refused(path: Path) -> None:
    hooks = Hooks()
    hooks.fall_back = lambda reason: False
    async with two(path, hooks=hooks) as story:
        await lose(story)
        await story.clock.advance(2.0)
    assert [row[3:] for row in audit(path)] == [("backend_unavailable", "scripted", None, "refused")]


async def test_vona_audit_sink_a_fallback_that_the_session_s_end_cuts_short_is_cancelled(path: Path) -> None:
    second = ScriptedBackend()
    second.hang.add("open")
    async with two(path, second=second) as story:
        await lose(story)
        assert story.session.state == "falling_back"
        await story.clock.advance(0.5)
        story.session.close("user_ended")
        await settle()
    assert [row[3:] for row in audit(path)] == [("backend_unavailable", "scripted", None, "cancelled")]


async def test_vona_audit_sink_a_fallback_is_not_waited_for_by_the_turn(path: Path) -> None:
    async with two(path) as story:
        story.session._means.journal.fallback = _never  # type: ignore[method-assign]
        await lose(story)
        story.answer_with("It is noon.")
        story.dialogue.on_say("")
        await settle()
        assert story.states[-2:] == ["speaking", "idle"]


def _never(*about: object) -> object:
    """A disk that hangs."""
    return None


# What is read


async def kept(journal: Journal, *, turn: bool = True) -> None:
    journal.session_opened("s1", "c1", "desk", "scripted", "listen")
    journal.turn_started("s1-1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice")
    journal.skill_started("k1", "s1-1", "lamp", "read", "{}")
    journal.skill_ended("k1", "done", 1.0, "")
    record = FallbackRecord(
        reason="silence", from_backend="scripted", to_backend="second", outcome="completed", duration_ms=40.0
    )
    assert journal.fallback("s1-fallback-1", "s1", "s1-1" if turn else None, record) is not None
    assert await journal.turn_ended("s1-1", TurnRecord(outcome="completed", stages={}))
    journal.session_closed("s1", "user_ended")


async def test_vona_audit_sink_a_fallback_is_told_with_its_turn_and_is_no_skill(path: Path) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        await kept(journal)
        turn = await journal.turn("s1-1")
        [run] = turn.fallbacks
        assert (run.reason, run.from_backend, run.to_backend, run.outcome) == (
            "silence",
            "scripted",
            "second",
            "completed",
        )
        assert run.duration_ms == 40.0
        assert run.ts < turn.ts, "it began 40 ms before it was written"
        assert ([one.name for one in turn.attempts], turn.skills) == (["lamp"], ["lamp"])
        assert why(turn).fallbacks == (run,)
        assert [view.skills for view in await journal.history()] == [["lamp"]]
        [exported] = [row async for row in journal.export()]
        assert exported["fallbacks"] == [
            {
                "reason": "silence",
                "from_backend": "scripted",
                "to_backend": "second",
                "outcome": "completed",
                "duration_ms": 40.0,
                "ts": run.ts,
            }
        ]


@pytest.mark.parametrize("turn", [True, False])
async def test_vona_audit_sink_a_fallback_is_deleted_with_its_turn_or_its_session(path: Path, *, turn: bool) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        await kept(journal, turn=turn)
        assert await journal.delete(last=True) == 1
    assert audit(path) == []
    assert b"silence" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


async def test_vona_audit_sink_a_fallback_told_late_of_a_deleted_session_is_not_kept(path: Path) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        await kept(journal)
        await journal.delete(everything=True)
        record = FallbackRecord(
            reason="silence", from_backend="scripted", to_backend=None, outcome="cancelled", duration_ms=0.0
        )
        late = journal.fallback("s1-fallback-2", "s1", "s1-1", record)
        assert await journal.history() == []
        assert await late is False
    assert audit(path) == []


# Crashes and older files


async def test_vona_audit_sink_a_crash_leaves_fallbacks_as_they_are_and_reports_none(path: Path) -> None:
    left = path.with_name("left.db")
    clock = ManualClock()
    async with open_journal(path, clock=clock) as journal:
        await kept(journal)
        assert await journal.skill_started("k2", "s1-1", "lock", "sensitive", "{}")
        for suffix in ("", "-wal"):  # as kill -9 leaves them
            left.with_name(left.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    async with open_journal(left, clock=clock) as journal:
        assert [action.call_id for action in journal.recovered] == ["k2"]
    assert [(row[0], row[-1]) for row in audit(left)] == [
        ("skill", "done"),
        ("fallback", "completed"),
        ("skill", "unknown"),
    ]


async def test_vona_audit_sink_an_older_history_s_attempts_are_skills_and_fallbacks_join_them(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        migrate(raw, MIGRATIONS[:2])
        raw.execute("INSERT INTO conversations (conversation_id, started_at) VALUES ('c1', 1)")
        raw.execute("INSERT INTO sessions (session_id, conversation_id, opened_at) VALUES ('s0', 'c1', 1)")
        raw.execute(
            "INSERT INTO turns (turn_id, session_id, conversation_id, number, source, started_at) "
            "VALUES ('s0-1', 's0', 'c1', 1, 'text', 1)"
        )
        raw.execute(
            "INSERT INTO audit (call_id, turn_id, name, risk, arguments, started_at, outcome) "
            "VALUES ('k0', 's0-1', 'lamp', 'read', '{}', 1, 'done'), "
            "('k1', 's0-1', 'lock', 'sensitive', '{}', 2, 'started')"
        )
    async with open_journal(path, clock=ManualClock()) as journal:
        assert [action.name for action in journal.recovered] == ["lock"]
        old = await journal.turn("s0-1")
        assert ([one.outcome for one in old.attempts], old.fallbacks) == (["done", "unknown"], [])
        await kept(journal)
    assert [row[0] for row in audit(path)] == ["skill", "skill", "skill", "fallback"]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_finding_what_belongs_to_a_session_does_not_read_all_of_the_audit(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        migrate(raw)
        plan = raw.execute("EXPLAIN QUERY PLAN DELETE FROM audit WHERE session_id = 's1'").fetchall()
        assert "audit_by_session" in str(plan)


# What skills leave there


async def test_vona_audit_sink_a_violated_schema_and_a_time_out_with_its_budget_are_told_apart(tmp_path: Path) -> None:
    async def late(args: Args, call: Call) -> object:
        await desk.clock.sleep(60)
        return "done"

    async with bench(tmp_path, late) as desk:
        await desk.run(SkillCall("c-1", "probe", {"minutes": "soon"}))
        running = asyncio.create_task(desk.run(SkillCall("c-2", "probe", {"minutes": 5})))
        await desk.clock.advance(2)
        await running
    with closing(sqlite3.connect(tmp_path / "vonad.db")) as raw:
        found = raw.execute("SELECT outcome, detail FROM audit ORDER BY id").fetchall()
    assert [outcome for outcome, _ in found] == ["rejected", "timeout"]
    assert found[0][1].startswith("schema: ")
    assert found[1][1].startswith("budget_ms 2000: ")
