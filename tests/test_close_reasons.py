"""Why a session ended: each reason of the specification, from what brings it about."""

import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.chimes import ToyCues, played
from tests.conversation import FAILURE, Conversation, Hooks, conversation
from tests.daemon_process import daemon_process
from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.backend import ReplyDone, ReplyText
from vonad.control import FallbackReason
from vonad.frame import Frame
from vonad.history import open_journal
from vonad.plan import Plan
from vonad.plugins.offer import Group
from vonad.testing import ManualClock, ScriptedBackend, ScriptedLine, quiet, settle

TWO = Plan(satellite="desk", backends=("scripted", "second"))
IDLE = Plan(satellite="desk", backends=("scripted", "second"), purpose="idle")
ALONE = Plan(satellite="desk", backends=("scripted",), purpose="idle")
APOLOGY = ToyCues("error", spoken=("unavailable",))

FICKLE = Path(__file__).parent / "e2e" / "fickle.py"

SECOND = """
[backends.second]
"""
"""Besides the one of the house."""


def reasons(told: Conversation | RuntimeHouse) -> list[object]:
    return [event.data["reason"] for event in told.told("session.closed")]


def never() -> Hooks:
    """A policy that wants no other backend."""
    hooks = Hooks()
    hooks.fall_back = lambda reason: False
    return hooks


async def understood(story: Conversation) -> None:
    """The user has said something, and waits for the answer."""
    await story.say_command()
    await story.understood("what time is it")


# policy_ended


def broken(reason: FallbackReason) -> object:
    raise LookupError(reason)


@pytest.mark.parametrize("says", [lambda reason: False, broken], ids=["no", "a hook that raises"])
async def test_vona_close_reasons_policy_ended_when_it_wants_none_of_the_others_and_the_user_is_told(
    says: Callable[[FallbackReason], object],
) -> None:
    hooks, line = Hooks(), ScriptedLine()
    hooks.fall_back = says
    async with conversation(
        plan=TWO, others={"second": ScriptedBackend()}, hooks=hooks, cues=APOLOGY, line=line
    ) as story:
        await understood(story)
        story.dialogue.emit(FAILURE)
        await settle()
        await story.clock.advance(2.0)
        assert reasons(story) == ["policy_ended"]
        assert story.outcomes == ["failed"]
        assert played(line) == ["spoken"]
        assert [event.data["code"] for event in story.told("error")] == ["backend_step_failed"]
        assert story.told("fallback.started") == []


async def test_vona_close_reasons_policy_ended_also_when_the_first_backend_does_not_even_open() -> None:
    backend, line = ScriptedBackend(), ScriptedLine()
    backend.failure = FAILURE
    async with conversation(
        plan=TWO, backend=backend, others={"second": ScriptedBackend()}, hooks=never(), cues=APOLOGY, line=line
    ) as story:
        await story.clock.advance(2.0)
        assert reasons(story) == ["policy_ended"]
        assert played(line) == ["spoken"]


async def test_vona_close_reasons_policy_ended_in_a_quiet_room_says_nothing() -> None:
    line = ScriptedLine()
    async with conversation(
        plan=IDLE, others={"second": ScriptedBackend()}, hooks=never(), cues=APOLOGY, line=line
    ) as story:
        story.dialogue.emit(FAILURE)
        await settle()
        assert (reasons(story), played(line)) == (["policy_ended"], [])


async def test_vona_close_reasons_policy_ended_comes_after_a_reply_that_is_all_there() -> None:
    line = ScriptedLine()
    async with conversation(
        plan=TWO, others={"second": ScriptedBackend()}, hooks=never(), cues=APOLOGY, line=line
    ) as story:
        line.hold()
        await understood(story)
        turn = story.turn
        story.dialogue.emit(ReplyText(turn, "Noon?"), Frame(quiet(0.2).samples, 16_000, turn=turn), ReplyDone(turn))
        await settle()
        story.dialogue.emit(FAILURE)
        await settle()
        assert (story.session.state, reasons(story)) == ("speaking", [])
        line.release()
        await story.clock.advance(1.0)
        assert (story.outcomes, reasons(story)) == (["completed"], ["policy_ended"])
        assert "spoken" not in played(line)


async def test_vona_close_reasons_a_chain_with_no_other_is_an_error_and_nothing_policy_ended() -> None:
    async with conversation(plan=ALONE, hooks=never()) as story:
        story.dialogue.emit(FAILURE)
        await settle()
        assert reasons(story) == ["error(backend_unavailable)"]


async def test_a_wake_during_the_last_reply_of_a_lost_backend_is_not_left_waiting() -> None:
    line = ScriptedLine()
    async with conversation(
        plan=TWO, others={"second": ScriptedBackend()}, hooks=never(), cues=APOLOGY, line=line
    ) as story:
        line.hold()
        story.answer_with("Noon.")
        await understood(story)
        story.dialogue.emit(FAILURE)
        await settle()
        story.session.listen(None)
        line.release()
        await story.clock.advance(2.0)
        assert reasons(story) == ["policy_ended"]
        assert played(line)[-1] == "spoken"


# plugin_unloaded


def take_out(home: RuntimeHouse, *gone: tuple[Group, str]) -> None:
    """The plugins that are found from now on do not offer these any more."""
    for key in gone:
        del home.plugins.offers[key]


async def test_vona_close_reasons_plugin_unloaded_when_no_other_backend_is_left(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.asked(text="what time is it")
        take_out(home, ("backends", "scripted"))
        assert "[backends.scripted]" in await home.house.reload()
        await home.until("session.closed")
        assert reasons(home) == ["plugin_unloaded"]
        assert [event.data["outcome"] for event in home.told("turn.ended")] == ["failed"]
        assert not home.runtime.sessions.open
        assert home.house.satellites()[0].online


async def test_vona_close_reasons_plugin_unloaded_is_said_to_who_waits_for_an_answer_and_to_nobody_else() -> None:
    for plan, heard in ((Plan(satellite="desk", backends=("scripted",)), ["spoken"]), (ALONE, [])):
        line = ScriptedLine()
        async with conversation(plan=plan, cues=APOLOGY, line=line) as story:
            story.session.unload("scripted")
            await story.clock.advance(2.0)
            assert (reasons(story), played(line)) == (["plugin_unloaded"], heard)
            assert story.bench.lost == [], "it is not to be left alone once it is back"


async def test_vona_close_reasons_a_backend_that_is_unloaded_is_first_replaced_along_the_chain(tmp_path: Path) -> None:
    second = ScriptedBackend(replies=lambda text: "It is noon.")
    async with runtime_house(tmp_path, SECOND, parts={("backends", "second"): second}) as home:
        await home.connect()
        (tmp_path / "vonad.toml").write_text(
            (tmp_path / "vonad.toml").read_text().replace('["scripted"]', '["scripted", "second"]')
        )
        await home.house.reload()
        await home.asked(text="what time is it")
        assert home.backend.dialogue.told[-1] == "say what time is it"
        take_out(home, ("backends", "scripted"))
        await home.house.reload()
        await settle()
        assert second.dialogue.told == ["begin 1", "say what time is it"]
        assert [event.data["to"] for event in home.told("fallback.started")] == ["second"]
        assert reasons(home) == []


async def test_a_backend_that_is_unloaded_while_it_opens_is_not_waited_for() -> None:
    backend = ScriptedBackend()
    backend.hang.add("open")
    for others, ended in ({}, ["plugin_unloaded"]), ({"second": ScriptedBackend()}, []):
        plan = Plan(satellite="desk", backends=("scripted", *others))
        async with conversation(plan=plan, backend=backend, others=others) as story:
            assert story.session.state == "connecting"
            story.session.unload("scripted")
            await settle()
            assert reasons(story) == ended
            assert story.session.state == ("closed" if ended else "listening")


async def test_a_backend_that_another_session_talks_to_is_none_of_this_one_s_business() -> None:
    async with conversation(plan=ALONE) as story:
        story.session.unload("second")
        await settle()
        assert (reasons(story), story.session.state) == ([], "idle")


async def test_vona_close_reasons_plugin_unloaded_when_its_satellite_s_transport_is_gone(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.asked()
        take_out(home, ("transports", "scripted"))
        await home.house.reload()
        await home.until("session.closed")
        assert reasons(home) == ["plugin_unloaded"]
        assert [event.data["outcome"] for event in home.told("turn.ended")] == ["interrupted"]
        await home.until("satellite.offline")
        assert home.house.satellites() == [], "nobody keeps the line of a transport that is gone"


async def test_a_transport_that_is_only_opened_anew_closes_its_sessions_as_any_that_goes_away(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.asked()
        home.plugins.load_anew(("transports", "scripted"))
        await home.house.reload()
        await home.until("session.closed")
        assert reasons(home) == ["transport_closed"]
        await home.connect()
        assert [view.online for view in home.house.satellites()] == [True]


# The others


async def test_vona_close_reasons_transport_closed_when_the_satellite_goes_away(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        await home.asked()
        line.hang_up()
        await home.until("session.closed")
        assert reasons(home) == ["transport_closed"]


async def test_vona_close_reasons_backend_finished_when_it_ends_the_dialogue() -> None:
    async with conversation(plan=ALONE) as story:
        story.dialogue.finish()
        await settle()
        assert reasons(story) == ["backend_finished"]


async def test_vona_close_reasons_user_ended_when_it_is_archived(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await home.sessions.archive(view.session_id)
        await settle()
        assert reasons(home) == ["user_ended"]


async def test_vona_close_reasons_superseded_when_a_wake_asks_for_another_backend(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, SECOND, parts={("backends", "second"): ScriptedBackend()}) as home:
        await home.connect()
        await home.sessions.create(satellite="desk")
        assert await home.asked(backend="second") == "accepted"
        await home.until("session.closed")
        assert reasons(home) == ["superseded"]
        assert [session.plan.backends[0] for session in home.runtime.sessions.open] == ["second"]


@pytest.mark.parametrize("reason", ["idle_timeout", "max_duration"])
async def test_vona_close_reasons_idle_timeout_and_max_duration_come_with_time(tmp_path: Path, reason: str) -> None:
    limit = {"idle_timeout": "idle_timeout_s = 60", "max_duration": "max_duration_s = 60"}[reason]
    async with runtime_house(tmp_path, session=limit) as home:
        await home.sessions.create()
        await home.clock.advance(59.0)
        assert reasons(home) == []
        await home.clock.advance(2.0)
        assert reasons(home) == [reason]


async def test_vona_close_reasons_shutdown_when_the_daemon_stops(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.sessions.create()
    assert reasons(home) == ["shutdown"]


async def test_vona_close_reasons_error_names_the_code_of_what_failed() -> None:
    backend = ScriptedBackend()
    backend.failure = FAILURE
    async with conversation(plan=ALONE, backend=backend) as story:
        assert reasons(story) == ["error(backend_step_failed)"]


async def test_vona_close_reasons_crash_is_written_at_the_next_start_for_what_was_left_open(tmp_path: Path) -> None:
    path, clock = tmp_path / "vonad.db", ManualClock()
    left = tmp_path / "left.db"
    async with open_journal(path, clock=clock) as journal:
        journal.session_opened("s1", "c1", "desk", "bridge", "listen")
        assert await journal.turn_started(
            "s1-1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice"
        )
        for suffix in ("", "-wal"):  # as kill -9 leaves them
            left.with_name(left.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    async with open_journal(left, clock=clock) as journal:
        assert (await journal.session("s1")).reason == "crash"
        assert [turn.outcome for turn in await journal.history()] == ["interrupted"]


async def test_vona_close_reasons_plugin_unloaded_in_a_real_daemon_whose_drop_in_breaks(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("d")  # short: a Unix socket's path has 107 bytes
    (folder / "plugins").mkdir(mode=0o755)
    plugin = folder / "plugins" / "fickle.py"
    plugin.write_text(FICKLE.read_text())
    plugin.chmod(0o644)
    async with daemon_process(folder, "[backends.fickle]\n") as daemon:
        await daemon.until_told("READY=1")
        way = httpx.AsyncHTTPTransport(uds=str(folder / "vonad.sock"))
        async with httpx.AsyncClient(transport=way, base_url="http://localhost") as client:
            made = await client.post("/api/sessions", json={"backend": "fickle"})
            where = f"/api/sessions/{made.json()['session_id']}"
            daemon.signal(signal.SIGHUP)
            await daemon.until_logged("reloaded: ")
            assert (await client.get(where)).json()["state"] == "idle", "it is still offered: the session goes on"
            plugin.write_text("this is no Python")
            daemon.signal(signal.SIGHUP)
            await daemon.until_logged("reloaded: ", 2)
            told = (await client.get(where)).json()
            assert (told["state"], told["reason"]) == ("closed", "plugin_unloaded")
    assert "Traceback" not in daemon.log()
