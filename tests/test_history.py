"""The history's promises on a healthy disk: what is written can be read, in order, in few commits."""

import asyncio
import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vonad import VonadError
from vonad.clock import SystemClock
from vonad.engine import Exchange
from vonad.history import Journal, TurnRecord, WakeRecord, open_journal, queries
from vonad.history.schema import APPLICATION_ID, VERSION, migrate
from vonad.history.writer import FLOOD, LIMIT, LINGER_S
from vonad.history.writes import commit
from vonad.testing import ManualClock


def record(said: str | None = "what time is it", reply: str = "It is noon.", **more) -> TurnRecord:
    return TurnRecord(
        **{
            "outcome": "completed",
            "transcript": said,
            "generated_text": reply,
            "heard_text": reply,
            "backend": "bridge",
            "stages": {"stt": 12.5},
            **more,
        }
    )


async def tell(journal: Journal, turn_id: str, said: str = "what time is it", *, satellite: str = "desk") -> None:
    """A whole turn."""
    journal.turn_started(turn_id, session_id="s1", conversation_id="c1", satellite=satellite, number=1, source="voice")
    assert await journal.turn_ended(turn_id, record(said))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "vonad.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_turn_is_read_with_exactly_the_keys_of_the_contract(path, clock):
    async with open_journal(path, clock=clock) as journal:
        journal.session_opened("s1", "c1", "desk", "bridge", "listen")
        assert await journal.turn_started(
            "s1-1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
        )
        journal.skill_started("k1", "s1-1", "clock", "read", "{}")
        journal.skill_ended("k1", "done", 3.0, "")
        journal.skill_started("k2", "s1-1", "lamp", "reversible", "{}")
        journal.skill_ended("k2", "rejected", 0.0, "not allowed")
        assert await journal.turn_ended("s1-1", record(heard_text="It is"))
        [turn] = await journal.history()
        assert json.loads(json.dumps(asdict(turn))) == {
            "turn_id": "s1-1",
            "session_id": "s1",
            "satellite": "desk",
            "ts": "2026-01-01T12:00:00.000Z",
            "transcript": "what time is it",
            "reply": "It is noon.",
            "heard": "It is",
            "outcome": "completed",
            "skills": ["clock"],
        }


async def test_turns_come_oldest_first_and_the_limit_keeps_the_latest(path, clock):
    async with open_journal(path, clock=clock) as journal:
        for number in range(5):
            await tell(journal, f"t{number}")
            clock.set_now(clock.now() + timedelta(seconds=1))
        assert [turn.turn_id for turn in await journal.history(limit=3)] == ["t2", "t3", "t4"]
        before = datetime(2026, 1, 1, 12, 0, 2, tzinfo=UTC)
        assert [turn.turn_id for turn in await journal.history(before=before)] == ["t0", "t1"]
        assert await journal.history(limit=0) == []
        assert await journal.history(limit=-1) == []
        assert len(await journal.history(limit=10**30)) == 5


async def test_turns_are_found_by_satellite_and_by_the_beginnings_of_their_words(path, clock):
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1", "turn on the lamp", satellite="desk")
        await tell(journal, "t2", "turn off the Übergrößen-lamp", satellite="kitchen")
        journal.turn_started("t3", session_id="s1", conversation_id="c1", satellite="kitchen", number=3, source="voice")
        await journal.turn_ended("t3", record("x", "It is noon.", user_text="rewritten by a policy"))

        async def found(search: str, **more) -> list[str]:
            return [turn.turn_id for turn in await journal.history(search=search, **more)]

        assert await found("lam") == ["t1", "t2"]
        assert await found("lamp", satellite="kitchen") == ["t2"]
        assert await found("ubergroßen") == ["t2"]
        assert await found("NOON turn") == ["t1", "t2"]
        assert await found("policy") == ["t3"]
        assert await found("radio") == []
        assert await found("  ") == ["t1", "t2", "t3"]


@pytest.mark.parametrize("search", ['"', "*", "NOT", "a AND", "(((", "col:x", "-lamp", "\0", "\ud800", "^", "'; --"])
async def test_no_search_is_a_syntax_error(path, clock, search):
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1")
        assert isinstance(await journal.history(search=search), list)


async def test_a_turn_in_full_tells_where_its_time_went(path, clock):
    async with open_journal(path, clock=clock) as journal:
        journal.turn_started("t1", session_id="s1", conversation_id="c1", satellite=None, number=1, source="text")
        journal.skill_started("k1", "t1", "lamp", "sensitive", '{"name": "hall"}')
        journal.skill_ended("k1", "timeout", 5000.0, "too slow")
        await journal.turn_ended("t1", record(first_audio_ms=250.5, endpoint="silence", usage={"tokens": 7}))
        turn = await journal.turn("t1")
        assert (turn.number, turn.source, turn.conversation_id) == (1, "text", "c1")
        assert (turn.stages, turn.first_audio_ms, turn.endpoint, turn.usage) == (
            {"stt": 12.5},
            250.5,
            "silence",
            {"tokens": 7},
        )
        [attempt] = turn.attempts
        assert (attempt.name, attempt.outcome, attempt.duration_ms, attempt.detail) == (
            "lamp",
            "timeout",
            5000.0,
            "too slow",
        )
        assert await journal.turn("last") == turn
        with pytest.raises(VonadError, match="no turn 'nine'") as refused:
            await journal.turn("nine")
        assert refused.value.code == "not_found"


async def test_the_context_of_a_conversation_is_what_was_heard(path, clock):
    async with open_journal(path, clock=clock) as journal:
        for turn_id, more in (
            ("t1", {"heard_text": "It is"}),
            ("t2", {"user_text": "changed"}),
            ("t3", {"transcript": None, "generated_text": "", "heard_text": "", "outcome": "empty"}),
        ):
            journal.turn_started(
                turn_id, session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
            )
            await journal.turn_ended(turn_id, record(**more))
        journal.turn_started("t4", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice")
        expected = [Exchange("what time is it", "It is"), Exchange("changed", "It is noon.")]
        assert await journal.recent("c1") == expected
        assert await journal.recent("c1", limit=1) == expected[-1:]
        assert await journal.recent("c2") == []


async def test_wakes_are_kept_with_the_reason_of_their_refusal(path, clock):
    async with open_journal(path, clock=clock) as journal:
        journal.wake(WakeRecord(satellite="desk", source="detector", phrase="okay nabu", score=0.9, accepted=True))
        journal.wake(
            WakeRecord(satellite="attic", source="mqtt", accepted=False, reason="unknown_satellite", detail="no such")
        )
        first, second = await journal.wakes()
        assert (first.phrase, first.score, first.accepted) == ("okay nabu", 0.9, True)
        assert (second.satellite, second.accepted, second.reason) == ("attic", False, "unknown_satellite")


async def test_an_export_streams_every_turn_while_others_are_written(path, clock):
    async with open_journal(path, clock=clock) as journal:
        for number in range(250):
            journal.turn_started(
                f"t{number}", session_id="s1", conversation_id="c1", satellite="desk", number=number, source="voice"
            )
        seen = []
        async for row in journal.export():
            if not seen:
                await tell(journal, "later")
            seen.append(row["turn_id"])
        assert seen == [*(f"t{number}" for number in range(250)), "later"]


async def test_a_parts_values_are_its_own_and_durable(path, clock):
    async with open_journal(path, clock=clock) as journal:
        await journal.set("skills.clock", "zone", "UTC")
        await journal.set("skills.words", "zone", "\ud800")
    async with open_journal(path, clock=clock) as journal:
        assert await journal.get("skills.clock", "zone") == "UTC"
        assert await journal.get("skills.words", "zone") == "\ufffd"
        await journal.set("skills.clock", "zone", None)
        await journal.set("skills.clock", "zone", None)
        assert await journal.get("skills.clock", "zone") is None


async def test_what_waits_is_one_commit_and_what_nobody_waits_for_rides_along(path, clock, monkeypatch):
    groups: list[list[str]] = []
    monkeypatch.setattr("vonad.history.writer.commit", _counted(groups))
    async with open_journal(path, clock=clock) as journal:
        journal.session_opened("s1", "c1", "desk", "bridge", "listen")
        journal.wake(WakeRecord(satellite="desk", source="mqtt", accepted=True))
        assert groups == []
        assert await journal.turn_started(
            "t1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
        )
        assert groups == [["session", "wake", "turn"]]
        assert await asyncio.gather(
            *(
                journal.turn_started(
                    f"u{n}", session_id="s1", conversation_id="c1", satellite="desk", number=n, source="voice"
                )
                for n in range(50)
            )
        )
        assert len(groups) == 2


async def test_what_nobody_waits_for_is_written_after_five_seconds(path, clock, monkeypatch):
    groups: list[list[str]] = []
    monkeypatch.setattr("vonad.history.writer.commit", _counted(groups))
    async with open_journal(path, clock=clock) as journal:
        closed = journal.session_opened("s1", "c1", "desk", "bridge", "listen")
        await clock.advance(LINGER_S - 0.1)
        assert groups == []
        await clock.advance(0.2)
        assert await closed
        await clock.advance(3600)
        assert groups == [["session"]]


def _counted(groups):
    def counted(connection, writes):
        groups.append([write.kind for write in writes])
        return commit(connection, writes)

    return counted


async def test_what_waits_at_the_end_is_written(path, clock):
    async with open_journal(path, clock=clock) as journal:
        journal.session_opened("s1", "c1", "desk", "bridge", "listen")
        closed = journal.session_closed("s1", "user_ended")
    assert closed.result() is True
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT session_id, reason FROM sessions").fetchall() == [("s1", "user_ended")]
    assert (
        journal.turn_started(
            "t9", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
        ).result()
        is False
    )


async def test_one_bad_row_does_not_take_others_with_it(path, clock, caplog):
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1")
        futures = [
            journal.turn_started(
                "t2", session_id="s1", conversation_id="c1", satellite="desk", number=2, source="voice"
            ),
            journal.turn_started(
                "t1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
            ),
            journal.turn_started(
                "t3", session_id="s1", conversation_id="c1", satellite="desk", number=2**70, source="voice"
            ),
            journal.turn_started(
                "t4", session_id="s1", conversation_id="c1", satellite=object(), number=4, source="voice"
            ),
            journal.turn_ended("t2", record()),
            journal.turn_ended("never began", record()),
        ]
        assert await asyncio.gather(*futures) == [True, False, False, False, True, False]
        assert [turn.turn_id for turn in await journal.history()] == ["t1", "t2"]
        assert journal.healthy
    assert "one row was left out" in caplog.text
    assert "what time" not in caplog.text


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "\ud800\udfff", "💡" * 5000, "x" * 2_000_000])
async def test_any_text_is_kept(path, clock, text):
    async with open_journal(path, clock=clock) as journal:
        journal.turn_started("t1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice")
        assert await journal.turn_ended("t1", record(text, text, stages={"stt": float("nan")}))
        [turn] = await journal.history()
        assert turn.transcript == text.replace("\ud800", "\ufffd").replace("\udfff", "\ufffd")
        assert (await journal.turn("t1")).stages == {"stt": None}


async def test_a_turn_ends_once(path, clock):
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1")
        assert await journal.turn_ended("t1", record("other words")) is False
        assert [turn.transcript for turn in await journal.history()] == ["what time is it"]


async def test_an_attempt_has_one_terminal_row_even_if_call_ids_repeat_between_turns(path, clock):
    async with open_journal(path, clock=clock) as journal:
        for turn_id in ("t1", "t2"):
            journal.turn_started(
                turn_id, session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
            )
            assert await journal.skill_started("call_0", turn_id, "lamp", "sensitive", "{}")
            journal.skill_ended("call_0", "done", 1.0, "")
            journal.skill_ended("call_0", "failed", 1.0, "")
            assert [attempt.outcome for attempt in (await journal.turn(turn_id)).attempts] == ["done"]
        assert await journal.skill_started("call_0", "t2", "lamp", "sensitive", "{}") is False


async def test_a_flood_of_wakes_pushes_no_turn_out(path, clock):
    async with open_journal(path, clock=clock) as journal:
        started = journal.turn_started(
            "t1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
        )
        for _ in range(3 * LIMIT):
            journal.wake(WakeRecord(satellite="desk", source="mqtt", accepted=False, reason="rate"))
        assert await started
        assert journal.dropped == 3 * LIMIT - FLOOD
        assert len(await journal.wakes(limit=LIMIT)) == FLOOD


async def test_a_history_that_is_switched_off_refuses_reading_and_ignores_writing(clock):
    async with open_journal(None, clock=clock) as journal:
        assert journal.healthy
        assert (
            await journal.turn_started(
                "t1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
            )
            is False
        )
        for reading in (
            journal.history(),
            journal.get("a", "b"),
            journal.set("a", "b", "c"),
            journal.delete(last=True),
        ):
            with pytest.raises(VonadError) as refused:
                await reading
            assert refused.value.code == "persistence_disabled"


async def test_a_cancelled_slow_query_does_not_block_the_next(path):
    begun = threading.Event()

    def slow(connection):
        begun.set()
        return connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        ).fetchone()

    async with open_journal(path, clock=SystemClock()) as journal:
        await tell(journal, "t1")
        running = asyncio.create_task(journal._reader.read(slow))
        waiting = asyncio.create_task(journal._reader.read(slow))
        async with asyncio.timeout(5):
            await asyncio.to_thread(begun.wait)
            await tell(journal, "t2")  # meanwhile, writing goes on
            running.cancel()
            await asyncio.sleep(0)
            waiting.cancel()
            assert len(await journal.history()) == 2


async def test_a_visitor_leaves_what_is_open_and_old_to_the_daemon(path, clock):
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE turns SET outcome = NULL")
    clock.set_now(clock.now() + timedelta(days=400))
    async with open_journal(path, clock=clock, owner=False, retention_days=1) as journal:
        assert [turn.outcome for turn in await journal.history()] == [None]
        assert await journal.delete(everything=True) == 1


async def test_a_read_only_journal_makes_nothing_and_changes_nothing(path, clock):
    with pytest.raises(VonadError, match="no history") as missing:
        async with open_journal(path, clock=clock, read_only=True):
            pass
    assert missing.value.code == "not_found"
    assert not path.parent.exists()
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1")
        async with open_journal(path, clock=clock, read_only=True) as beside:
            assert len(await beside.history()) == 1
    before = path.read_bytes()
    async with open_journal(path, clock=clock, read_only=True) as alone:
        assert len(await alone.history()) == 1
        assert (
            await alone.turn_started(
                "t2", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
            )
            is False
        )
        with pytest.raises(VonadError, match="reading only"):
            await alone.delete(everything=True)
    assert path.read_bytes() == before


async def test_an_error_in_the_body_comes_out_as_it_is(path, clock):
    with pytest.raises(LookupError):
        async with open_journal(path, clock=clock):
            raise LookupError("mine")
    opened = asyncio.Event()

    async def hold() -> None:
        async with open_journal(path, clock=clock):
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_schema_is_marked_as_ours_and_a_migration_happens_whole_or_not_at_all(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as raw:
        migrate(raw)
        assert raw.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert raw.execute("PRAGMA user_version").fetchone() == (VERSION,)
        migrate(raw)
        broken = (*[()] * VERSION, ("CREATE TABLE half (a)", "CREATE TABLE half (a)"))
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(raw, broken)
        assert raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchone() is None
        assert raw.execute("PRAGMA user_version").fetchone() == (VERSION,)
        migrate(raw, (*[()] * VERSION, ("CREATE TABLE whole (a)",)))
        assert raw.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)


async def test_a_page_of_history_and_of_a_search_use_an_index(path, clock):
    """A million turns must not be walked for twenty of them."""
    async with open_journal(path, clock=clock) as journal:
        await tell(journal, "t1")
    statements = []
    with closing(sqlite3.connect(path)) as raw:
        raw.row_factory = sqlite3.Row
        raw.set_trace_callback(statements.append)
        for search, satellite, before in ((None, None, None), (None, "desk", clock.now()), ("what", None, None)):
            queries.history(raw, limit=20, search=search, satellite=satellite, before=before)
        raw.set_trace_callback(None)
        for statement in [text for text in statements if text.startswith("SELECT t.")]:
            plan = " ".join(row["detail"] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}"))
            assert "TEMP B-TREE" not in plan, (statement, plan)
            assert "SCAN t USING INDEX turns_by_time" in plan or "SEARCH t USING" in plan, (statement, plan)
