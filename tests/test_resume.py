"""A conversation goes on in a later session, and what is over stays over: across closing, deleting and crashing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.history import FallbackRecord, Journal, TurnRecord, open_journal
from vonad.history.exchanges import SummedUp, paired
from vonad.history.schema import MIGRATIONS, migrate
from vonad.testing import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vonad.db"


async def tell(
    journal: Journal, number: int, said: str | None, heard: str, *, session: str = "s1", conversation: str = "c1"
) -> None:
    turn_id = f"{session}-{number}"
    journal.turn_started(
        turn_id, session_id=session, conversation_id=conversation, satellite=None, number=number, source="text"
    )
    record = TurnRecord(outcome="completed", transcript=said, generated_text=heard, heard_text=heard, stages={})
    assert await journal.turn_ended(turn_id, record)


def lines(*said: tuple[str, str]) -> list[tuple[int, str, str]]:
    return [(number, user, assistant) for number, (user, assistant) in enumerate(said, 1)]


# CyberVerse: dialog context


def test_cyberverse_dialog_context_consecutive_user_lines_are_merged_and_unanswered_ones_dropped() -> None:
    told = lines(("turn on", ""), ("the lamp", "It is on."), ("thanks", "Any time."), ("and", ""))
    assert paired(told, 20) == [Exchange("turn on the lamp", "It is on."), Exchange("thanks", "Any time.")]


def test_cyberverse_dialog_context_is_the_last_20_pairs() -> None:
    told = lines(*((f"question {n}", f"answer {n}") for n in range(30)))
    assert paired(told, 20) == [Exchange(f"question {n}", f"answer {n}") for n in range(10, 30)]
    assert paired(told, 0) == []


def test_cyberverse_dialog_context_what_the_house_said_unasked_belongs_to_the_answer_before_it() -> None:
    told = lines(("", "Hello."), ("set a timer", "Done."), ("", "The timer is over."), ("turn it off", "Off."))
    assert paired(told, 20) == [
        Exchange("set a timer", "Done. The timer is over."),
        Exchange("turn it off", "Off."),
    ]


def test_a_sum_stands_before_the_four_pairs_it_leaves_out_and_all_since() -> None:
    told = lines(*((f"q{n}", f"a{n}") for n in range(1, 11)))
    pairs = paired(told, 20, SummedUp("They talked.", 8))
    assert pairs[0] == Exchange("", "They talked.", summary=True)
    assert [pair.user for pair in pairs[1:]] == ["q5", "q6", "q7", "q8", "q9", "q10"]
    assert [pair.user for pair in paired(told, 3, SummedUp("They talked.", 8))] == ["", "q9", "q10"]
    assert paired(told, 1, SummedUp("They talked.", 8)) == pairs[:1]


async def test_cyberverse_dialog_context_spans_the_sessions_of_a_conversation(path: Path) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        for session in ("s1", "s2"):
            journal.session_opened(session, "c1", None, "bridge", "idle")
            await tell(journal, 1, f"in {session}", "Yes.", session=session)
        await tell(journal, 2, "elsewhere", "No.", session="s9", conversation="c9")
        assert [pair.user for pair in await journal.recent("c1")] == ["in s1", "in s2"]


async def test_cyberverse_history_insert_a_late_reply_stands_right_behind_its_turn(path: Path) -> None:
    clock = ManualClock()
    async with open_journal(path, clock=clock) as journal:
        journal.turn_started("s1-1", session_id="s1", conversation_id="c1", satellite=None, number=1, source="text")
        await clock.advance(1)
        await tell(journal, 2, "second", "Second answer.")
        late = TurnRecord(outcome="completed", transcript="first", heard_text="First answer.", stages={})
        assert await journal.turn_ended("s1-1", late)
        assert await journal.recent("c1") == [
            Exchange("first", "First answer."),
            Exchange("second", "Second answer."),
        ]
        assert [turn.turn_id for turn in await journal.history()] == ["s1-1", "s1-2"]


async def test_a_sum_survives_the_session_and_goes_with_the_first_of_its_turns(path: Path) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        journal.session_opened("s1", "c1", None, "bridge", "idle")
        for number in range(1, 8):
            await tell(journal, number, f"q{number}", f"a{number}")
        kept = journal.summed_up("c1", "They counted to three.", up_to="s1-7")
        lost = journal.summed_up("c1", "nothing", up_to="s1-99")
        told = await journal.recent("c1")
        assert (await kept, await lost) == (True, False)
        assert told[0] == Exchange("", "They counted to three.", summary=True)
        assert [pair.user for pair in told[1:]] == ["q4", "q5", "q6", "q7"]
        await journal.delete(last=True)
        assert not any(pair.summary for pair in await journal.recent("c1"))
        assert b"counted to three" not in path.read_bytes()


# Meerkat: the checkpointer; the upstream bug "resurrection"


async def test_regression_resurrection_a_late_turn_does_not_bring_back_a_closed_session(path: Path) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        journal.session_opened("s1", "c1", None, "bridge", "idle")
        await tell(journal, 1, "hello", "Hello.")
        journal.session_closed("s1", "user_ended")
        assert (
            await journal.turn_started(
                "s1-2", session_id="s1", conversation_id="c1", satellite=None, number=2, source="text"
            )
            is False
        )
        assert await journal.turn_ended("s1-2", TurnRecord(outcome="completed", transcript="late", stages={})) is False
        assert [turn.turn_id for turn in await journal.history()] == ["s1-1"]


async def test_regression_resurrection_a_late_turn_does_not_bring_back_a_deleted_session(path: Path) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        journal.session_opened("s1", "c1", None, "bridge", "idle")
        await tell(journal, 1, "hello", "Hello.")
        journal.session_closed("s1", "user_ended")
        assert await journal.delete(everything=True) == 1
        assert (
            await journal.turn_started(
                "s1-2", session_id="s1", conversation_id="c1", satellite=None, number=2, source="text"
            )
            is False
        )
        assert await journal.turn_ended("s1-1", TurnRecord(outcome="completed", transcript="late", stages={})) is False
        assert await journal.history() == []
        with pytest.raises(VonadError) as gone:
            await journal.session("s1")
        assert gone.value.code == "session_not_found"


def test_only_the_latest_deleted_sessions_are_remembered(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        migrate(raw)
        for number in range(1_010):
            raw.execute(
                "INSERT INTO sessions (session_id, conversation_id, opened_at, closed_at) VALUES (?, 'c1', 1, 2)",
                (f"s{number}",),
            )
        raw.execute("DELETE FROM sessions")
        names = [name for (name,) in raw.execute("SELECT session_id FROM tombstones ORDER BY id")]
        assert names == [f"s{number}" for number in range(10, 1_010)]


async def test_a_session_that_is_over_shows_the_backend_that_answered_last(path: Path) -> None:
    clock = ManualClock()
    async with open_journal(path, clock=clock) as journal:
        journal.session_opened("s1", "c1", "desk", "fickle", "idle")
        journal.turn_started("s1-1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="text")
        journal.fallback("f1", "s1", "s1-1", _lost("fickle", "bridge"))
        await clock.advance(1)
        record = TurnRecord(outcome="completed", transcript="q", stages={}, backend="bridge", degraded=True)
        await journal.turn_ended("s1-1", record)
        await clock.advance(1)
        journal.turn_started("s1-2", session_id="s1", conversation_id="c1", satellite="desk", number=2, source="text")
        await journal.turn_ended("s1-2", TurnRecord(outcome="completed", transcript="q", stages={}, backend="fickle"))
        journal.session_opened("s2", "c2", "desk", "fickle", "idle")
        journal.turn_started("s2-1", session_id="s2", conversation_id="c2", satellite="desk", number=1, source="text")
        await journal.turn_ended("s2-1", record)
        journal.session_opened("s3", "c3", "desk", "fickle", "idle")
        await clock.advance(1)
        journal.fallback("f3", "s3", None, _lost("fickle", "bridge"))
        for name in ("s1", "s2", "s3"):
            journal.session_closed(name, "idle_timeout")
        kept = [await journal.session(name) for name in ("s1", "s2", "s3")]
        assert [(one.backend, one.degraded) for one in kept] == [("fickle", False), ("bridge", True), ("bridge", True)]


def _lost(backend: str, following: str) -> FallbackRecord:
    return FallbackRecord(
        reason="silence", from_backend=backend, to_backend=following, outcome="completed", duration_ms=5.0
    )


async def test_meerkat_checkpointer_a_session_that_is_over_stays_readable_with_its_usage(path: Path) -> None:
    async with open_journal(path, clock=ManualClock()) as journal:
        journal.session_opened("s1", "c1", "desk", "bridge", "idle")
        for number in (1, 2):
            journal.turn_started(
                f"s1-{number}", session_id="s1", conversation_id="c1", satellite="desk", number=number, source="text"
            )
            usage = {"prompt_tokens": 20, "completion_tokens": number}
            record = TurnRecord(
                outcome="completed",
                transcript=f"q{number}",
                generated_text="Yes.",
                stages={},
                usage=usage,
                degraded=number == 2,
            )
            await journal.turn_ended(f"s1-{number}", record)
        with pytest.raises(VonadError):
            await journal.session("s1")  # it is open: the journal knows less than it does itself
        journal.session_closed("s1", "idle_timeout")
        kept = await journal.session("s1")
        assert (kept.reason, kept.turn, kept.tokens, kept.degraded) == ("idle_timeout", 2, 43, True)
        assert (kept.last_transcript, kept.last_reply, kept.backend) == ("q2", "Yes.", "bridge")
        assert await journal.sessions(but=[], limit=5) == [kept]
        assert await journal.sessions(but=["s1"], limit=5) == []
        assert await journal.conversation("s1") == await journal.conversation("c1") == "c1"


# Crashes


async def crashed(path: Path, clock: ManualClock) -> Path:
    """A daemon in the middle of its second turn, killed: its files as they were on disk."""
    left = path.with_name("crashed.db")
    async with open_journal(path, clock=clock) as journal:
        journal.session_opened("s1", "c1", "desk", "bridge", "listen")
        await tell(journal, 1, "what time is it", "It is noon.")
        journal.turn_started("s1-2", session_id="s1", conversation_id="c1", satellite="desk", number=2, source="voice")
        assert await journal.skill_started("k1", "s1-2", "lock", "sensitive", '{"door": "front"}')
        for suffix in ("", "-wal"):
            left.with_name(left.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    return left


async def test_I1_a_turn_told_as_done_is_in_the_history_after_a_crash(path: Path) -> None:  # noqa: N802
    clock = ManualClock()
    async with open_journal(await crashed(path, clock), clock=clock) as journal:
        first = (await journal.history())[0]
        assert (first.turn_id, first.outcome, first.reply) == ("s1-1", "completed", "It is noon.")


async def test_I2_an_unfinished_turn_is_closed_at_the_next_start_and_never_run_again(path: Path) -> None:  # noqa: N802
    clock = ManualClock()
    left = await crashed(path, clock)
    async with open_journal(left, clock=clock) as journal:
        assert [turn.outcome for turn in await journal.history()] == ["completed", "interrupted"]
        assert (await journal.session("s1")).reason == "crash"
        assert (
            await journal.turn_started(
                "s1-3", session_id="s1", conversation_id="c1", satellite="desk", number=3, source="voice"
            )
            is False
        )
    async with open_journal(left, clock=clock) as journal:
        assert len(await journal.history()) == 2


async def test_I3_an_action_that_had_begun_is_unknown_told_once_and_never_done(path: Path) -> None:  # noqa: N802
    clock = ManualClock()
    left = await crashed(path, clock)
    async with open_journal(left, clock=clock) as journal:
        assert [(action.name, action.turn_id) for action in journal.recovered] == [("lock", "s1-2")]
        assert [attempt.outcome for attempt in (await journal.turn("s1-2")).attempts] == ["unknown"]
        late = journal.skill_ended("k1", "done", 1.0, "")
        assert [attempt.outcome for attempt in (await journal.turn("s1-2")).attempts] == ["unknown"]
        assert await late is False
    async with open_journal(left, clock=clock) as journal:
        assert journal.recovered == ()


def test_an_older_history_gains_what_is_new_and_keeps_its_turns(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        migrate(raw, MIGRATIONS[:1])
        raw.execute("INSERT INTO conversations VALUES ('c1', 1)")
        raw.execute(
            "INSERT INTO turns (turn_id, session_id, conversation_id, number, source, started_at) "
            "VALUES ('t1', 's1', 'c1', 1, 'text', 1)"
        )
        migrate(raw)
        assert raw.execute("SELECT turn_id, degraded, audio_gap FROM turns").fetchall() == [("t1", 0, 0)]
        assert raw.execute("SELECT summary FROM conversations").fetchall() == [(None,)]
