"""The history without a daemon: the database itself."""

import json
import stat

import pytest

from tests.cli_run import Cli, directories
from vonad import SystemClock
from vonad.history import TurnRecord, WakeRecord, open_journal


@pytest.fixture
async def cli(tmp_path, capsys, monkeypatch):
    directories(tmp_path, monkeypatch)
    async with open_journal(tmp_path / "vonad.db", clock=SystemClock(), retention_days=0) as journal:
        journal.wake(WakeRecord(satellite="desk", source="mqtt", accepted=True))
        journal.wake(WakeRecord(satellite="desk", source="mqtt", accepted=False, reason="stale"))
        for number, (satellite, said) in enumerate([("desk", "what time is it"), ("hall", "turn on the lamp")], 1):
            session, turn = f"s{number}", f"s{number}-1"
            journal.session_opened(session, "c", satellite, "bridge", "listen")
            journal.turn_started(
                turn, session_id=session, conversation_id="c", satellite=satellite, number=1, source="voice"
            )
            ended = TurnRecord(
                outcome="completed", transcript=said, generated_text="Yes.", heard_text="Yes.", stages={}
            )
            assert await journal.turn_ended(turn, ended)
            journal.session_closed(session, "user_ended")
    return Cli(tmp_path, capsys)


async def test_turns_are_read_and_searched(cli):
    rows = (await cli.beside("history", "--json")).json
    assert [row["transcript"] for row in rows] == ["what time is it", "turn on the lamp"]
    found = (await cli.beside("history", "--search", "lamp", "--json")).json
    assert [row["satellite"] for row in found] == ["hall"]
    assert [row["turn_id"] for row in (await cli.beside("history", "--satellite", "desk", "--json")).json] == ["s1-1"]
    assert len((await cli.beside("history", "--limit", "1", "--json")).json) == 1
    assert "turn on the lamp" in (await cli.beside("history")).out


async def test_wakes_are_listed_with_the_reason_of_a_refusal(cli):
    assert [row["reason"] for row in (await cli.beside("history", "--wakes", "--json")).json] == ["", "stale"]
    assert "refused: stale" in (await cli.beside("history", "--wakes")).out


async def test_an_export_is_private_and_replaces_nothing_unasked(cli):
    path = cli.directory / "turns.json"
    assert (await cli.beside("history", "export", str(path))).out == f"2 turns written to {path}\n"
    assert [row["transcript"] for row in json.loads(path.read_text())] == ["what time is it", "turn on the lamp"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    refused = await cli.beside("history", "export", str(path))
    assert refused.status == 1
    assert "--force" in refused.err
    assert (await cli.beside("history", "export", str(path), "--force")).status == 0
    lines = (await cli.beside("history", "export", "-")).out.splitlines()
    assert [json.loads(line)["turn_id"] for line in lines] == ["s1-1", "s2-1"]
    nowhere = await cli.beside("history", "export", "/nonexistent/x.jsonl")
    assert nowhere.status == 1
    assert "cannot be written" in nowhere.err


async def test_deleting_wants_one_thing_and_a_yes(cli):
    for arguments in ((), ("--last", "--all")):
        ended = await cli.beside("history", "delete", *arguments, "--yes")
        assert ended.status == 2
        assert "one of --last, --all, --before DATE, --satellite ID" in ended.err
    asked = await cli.beside("history", "delete", "--all")
    assert asked.status == 2
    assert "--yes" in asked.err
    assert len((await cli.beside("history", "--json")).json) == 2


async def test_deleting_deletes(cli):
    assert (await cli.beside("history", "delete", "--satellite", "hall", "--yes")).out == "1 turn deleted\n"
    assert [row["satellite"] for row in (await cli.beside("history", "--json")).json] == ["desk"]
    assert (await cli.beside("history", "delete", "--all", "--yes")).out == "1 turn deleted\n"
    assert (await cli.beside("history", "--json")).json == []
    assert b"lamp" not in b"".join(file.read_bytes() for file in cli.directory.glob("vonad.db*"))


async def test_a_history_that_is_not_there_is_empty_and_stays_so(tmp_path, capsys, monkeypatch):
    directories(tmp_path, monkeypatch)
    cli = Cli(tmp_path, capsys)
    assert (await cli.beside("history", "--json")).json == []
    assert (await cli.beside("history")).out == "nothing was said yet\n"
    assert (await cli.beside("history", "delete", "--last", "--yes")).out == "0 turns deleted\n"
    assert list(tmp_path.iterdir()) == []


async def test_a_database_of_another_program_is_told_and_left_alone(cli):
    path = cli.directory / "vonad.db"
    path.write_text("my shopping list\n" * 100)
    ended = await cli.beside("history")
    assert ended.status == 1
    assert str(path) in ended.err
    assert path.read_text().startswith("my shopping list")


def test_a_date_that_is_none_is_told_in_plain_words(cli):
    ended = cli("history", "delete", "--before", "yesterday", "--yes")
    assert ended.status == 2
    assert "'yesterday' is no date: write it like 2026-01-31" in " ".join(ended.err.replace("│", " ").split())
    assert cli("history", "delete", "--before", "2026-01-31T08:00:00Z", "--yes").out == "0 turns deleted\n"


def test_where_nothing_matches_it_is_not_said_that_nothing_was_said(cli):
    assert cli("history", "--satellite", "attic").out == "no such turn in the history\n"
    assert cli("history", "--wakes", "--satellite", "attic").out == "no wakes of attic\n"
