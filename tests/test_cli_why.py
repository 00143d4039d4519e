"""why: where a turn's time went, from the daemon, or without one from the database itself."""

import pytest

from tests.cli_run import Cli, directories
from tests.web_house import served
from vonad import SystemClock
from vonad.history import TurnRecord, open_journal

KEYS = [
    *("turn_id", "session_id", "satellite", "ts", "source", "outcome", "transcript", "backend", "degraded"),
    *("audio_gap", "endpoint", "first_audio_ms", "total_ms", "steps", "slowest", "attempts", "fallbacks"),
]


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    directories(tmp_path, monkeypatch)
    return Cli(tmp_path, capsys)


@pytest.fixture
async def web(tmp_path):
    async with served(tmp_path) as world:
        yield world


@pytest.fixture
async def past(cli):
    async with open_journal(cli.directory / "vonad.db", clock=SystemClock(), retention_days=0) as journal:
        journal.session_opened("s1", "c", "desk", "bridge", "listen")
        for number in (1, 2):
            journal.turn_started(
                f"s1-{number}", session_id="s1", conversation_id="c", satellite="desk", number=number, source="voice"
            )
            ended = TurnRecord(
                outcome="completed",
                transcript=f"question {number}",
                generated_text="Yes.",
                heard_text="Yes.",
                stages={"endpoint": 1200.0, "stt": 1210.0, "playback_started": 1300.0 * number},
                endpoint="semantic",
            )
            assert await journal.turn_ended(f"s1-{number}", ended)
        journal.session_closed("s1", "user_ended")


async def test_the_stages_of_a_turn_are_told_with_their_owners_and_who_was_slow(cli, web):
    ended = await cli.beside("why")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("turn s1-1 · desk · voice · ")
    (agent,) = [line for line in lines if line.startswith("agent_first_token")]
    assert agent.split()[1:] == ["2000", "ms", "800", "ms", "bridge:", "agent", "#" * 12]
    assert "the user's words were taken to have ended by: semantic" in lines
    assert "from the last word to the first sound: 420 ms" in lines
    assert "slowest: bridge: agent, 800 ms until agent_first_token" in lines
    assert "degraded: bridge answered in place of the first choice" in lines
    assert "sound was missing: some of what the microphone heard was lost on the way" in lines
    (skill,) = [line for line in lines if line.startswith("clock")]
    assert "3.2 ms" in skill
    (fallback,) = [line for line in lines if line.startswith("silence")]
    assert fallback.split() == ["silence", "completed", "42", "ms", "cloud", "bridge"]
    assert "\x1b" not in ended.out


async def test_why_as_json_has_the_keys_that_are_promised_with_a_daemon_and_without(cli, web, past):
    told = (await cli.beside("why", "last", "--json")).json
    assert list(told) == KEYS
    web.stop.set()
    await web.done.wait()
    alone = (await cli.beside("why", "--json")).json
    assert list(alone) == KEYS
    assert set(alone["steps"][0]) == set(told["steps"][0])


async def test_without_a_daemon_the_database_is_read_the_latest_turn_first(cli, past):
    assert (await cli.beside("why", "--json")).json["turn_id"] == "s1-2"
    first = await cli.beside("why", "s1-1")
    assert "question 1" in first.out
    assert "slowest: satellite desk, 90 ms until playback_started" in first.out


async def test_a_turn_that_is_not_known_is_told(cli, past):
    ended = await cli.beside("why", "s9-1")
    assert ended.status == 1
    assert "s9-1" in ended.err


async def test_with_nothing_said_yet_there_is_nothing_to_explain(cli):
    ended = await cli.beside("why")
    assert (ended.status, ended.out) == (1, "")
    assert "nothing was said yet" in ended.err
    assert list(cli.directory.iterdir()) == []


async def test_with_an_empty_history_the_last_turn_is_explained_in_the_same_words(cli):
    async with open_journal(cli.directory / "vonad.db", clock=SystemClock(), retention_days=0):
        pass
    assert (await cli.beside("why")).err == "vonad: nothing was said yet: there is no turn to explain\n"


async def test_an_announcement_s_first_sound_is_counted_from_its_turn_and_not_from_a_word(cli):
    async with open_journal(cli.directory / "vonad.db", clock=SystemClock(), retention_days=0) as journal:
        journal.session_opened("s1", "c", "desk", "bridge", "say")
        journal.turn_started("s1-1", session_id="s1", conversation_id="c", satellite="desk", number=1, source="say")
        ended = TurnRecord(
            outcome="completed", generated_text="Dinner.", stages={"playback_started": 30.0}, first_audio_ms=30.0
        )
        assert await journal.turn_ended("s1-1", ended)
    assert "from the turn's beginning to the first sound: 30 ms" in (await cli.beside("why")).out.splitlines()
