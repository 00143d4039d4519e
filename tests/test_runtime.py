"""Satellites, wakes, announcements and sessions: who gets in, who is turned away, and that everybody is told why."""

import asyncio
from pathlib import Path

import pytest

from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.backend import Transcript
from vonad.errors import VonadError
from vonad.plan import Plan, Refusal, Wake
from vonad.testing import quiet, settle, speech


async def speak(house: RuntimeHouse, line_name: str = "desk") -> None:
    """Somebody says something, and is silent."""
    line = house.runtime.lines.get(line_name).line
    for frame in [speech(0.1)] * 10 + [quiet(0.1)] * 8:
        line.captured.put(frame)  # type: ignore[attr-defined]  # a ScriptedLine
    await settle()


async def test_a_wake_opens_a_microphone_and_a_spoken_turn_is_answered(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        assert await home.asked() == "accepted"
        home.answer_with("It is noon.")
        await speak(home)
        home.backend.dialogue.emit(Transcript(1, "what time is it", final=True))
        await settle()
        assert line.sound
        await home.until("turn.ended")
        assert [event.data["outcome"] for event in home.told("turn.ended")] == ["completed"]
        assert home.house.satellites()[0].state == "idle"
        assert line.shown[0][0] == "listening"


async def test_delivered_wakes_are_accepted_or_refused_and_the_counts_add_up(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert await home.asked(id="a") == "accepted"
        assert await home.asked(phrase="okay_nabu") == "busy"
        assert await home.asked(id="a") == "duplicate"
        assert await home.asked("attic") == "unknown_satellite"
        assert await home.asked(retained=True) == "retained"
        home.house.refuse(satellite="desk", source="mqtt", reason="malformed", detail="no JSON")
        await settle()
        assert len(home.told("wake.accepted")) == 1
        assert [event.data["reason"] for event in home.told("wake.refused")] == [
            "busy",
            "duplicate",
            "unknown_satellite",
            "retained",
            "malformed",
        ]
        assert await home.asked("At/tic") == "unknown_satellite"
        assert [event.satellite for event in home.told("wake.refused")][-4:] == ["attic", "desk", "desk", None]


async def test_every_wake_is_in_the_history(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.asked()
        await home.asked("attic")
        await home.clock.advance(6)
        assert [(wake.satellite, wake.accepted, wake.reason) for wake in await home.house.wakes()] == [
            ("desk", True, ""),
            ("attic", False, "unknown_satellite"),
        ]


async def test_a_second_wake_takes_a_turn_in_the_same_session(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.asked()
        home.house.stop("desk")
        await settle()
        await home.asked()
        assert len(home.told("session.created")) == 1
        assert [event.turn for event in home.told("turn.started")] == [1, 2]


async def test_a_wake_while_it_speaks_interrupts(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        await home.asked()
        home.answer_with("It is noon.")
        line.hold()
        await speak(home)
        home.backend.dialogue.emit(Transcript(1, "what time is it", final=True))
        await settle()
        assert home.house.satellites()[0].state == "responding"
        assert await home.asked() == "accepted"
        assert line.clears == 1
        assert home.house.satellites()[0].state == "listening"


async def test_a_wake_with_text_starts_the_turn_from_text(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert await home.asked(text="what time is it") == "accepted"
        assert "say what time is it" in home.backend.dialogue.told


async def test_more_turns_than_a_minute_allows_are_refused_for_voice_and_text(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, "[policy]\nturns_per_minute = 2\n") as home:
        await home.connect()
        for _ in range(2):
            assert await home.asked() == "accepted"
            home.house.stop("desk")
            await settle()
        assert await home.asked() == "rate"
        with pytest.raises(VonadError, match="turns_per_minute is 2") as refused:
            await home.house.text("desk", "hello")
        assert refused.value.code == "rate_limited"


async def test_the_house_holds_no_more_sessions_than_it_may(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        await home.connect("desk")
        await home.connect("attic")
        assert await home.asked("desk") == "accepted"
        assert await home.asked("attic") == "overload"
        with pytest.raises(VonadError, match="maximum is 1") as refused:
            await home.sessions.create()
        assert refused.value.code == "session_limit"


async def test_a_satellite_that_goes_takes_its_session_along(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        await home.asked()
        line.captured.close()
        await home.until("session.closed")
        assert [event.data["reason"] for event in home.told("session.closed")] == ["transport_closed"]
        assert home.house.satellites() == []
        assert [event.data["reason"] for event in home.told("satellite.offline")] == ["it went away"]
        assert await home.asked() == "unknown_satellite"


async def test_a_satellite_that_comes_back_is_served_again(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        line.captured.close()
        await settle()
        await home.connect()
        assert await home.asked() == "accepted"


async def test_a_name_that_is_taken_or_impossible_is_turned_away(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect("desk")
        await home.connect("desk")
        await home.connect("De sk/+")
        assert [view.id for view in home.house.satellites()] == ["desk"]


@pytest.mark.parametrize("failure", [RuntimeError("the bus fell over"), asyncio.CancelledError("a task of its own")])
async def test_a_transport_that_fails_is_asked_again_and_the_rest_lives(tmp_path: Path, failure: BaseException) -> None:
    async with runtime_house(tmp_path) as home:
        home.transport.fail(failure)
        await settle()
        assert home.transport.asked == 1
        await home.clock.advance(2)
        assert home.transport.asked == 2
        await home.connect()
        assert await home.asked() == "accepted"


async def test_without_its_backend_a_wake_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts={("backends", "scripted"): RuntimeError("no")}) as home:
        await home.connect()
        assert await home.asked() == "backend_unavailable"
        assert "[backends.scripted] does not run: RuntimeError: no" in str(home.told("wake.refused")[0].data["detail"])


async def test_policy_plans_sessions_and_may_refuse_them(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        hooks = home.runtime._policy._hooks
        hooks.plan = lambda wake: Refusal("hook_denied", "not at night")  # type: ignore[attr-defined]
        assert await home.asked() == "hook_denied"

        def broken(wake: Wake) -> Plan:
            raise RuntimeError("oops")

        hooks.plan = broken  # type: ignore[attr-defined]
        assert await home.asked() == "hook_denied"
        assert "plan_session of plugin" in str(home.told("error")[0].data["message"])


async def test_an_announcement_opens_a_session_of_its_own_and_is_acknowledged(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        assert home.house.say("desk", "dinner is ready", id="a1") == "a1"
        await home.until("session.closed")
        assert line.sound
        assert home.told("say.finished")[0].data == {"id": "a1", "ok": True, "reason": "", "state": "finished"}
        assert [event.data["reason"] for event in home.told("session.closed")] == ["backend_finished"]


async def test_an_announcement_for_nobody_names_who_is_there(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect("desk")
        with pytest.raises(VonadError, match="'attic' is not connected; online: desk"):
            home.house.say("attic", "hello")


async def test_text_on_a_satellite_is_a_turn_like_any_other(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        turn = await home.house.text("desk", "what time is it", id="q1")
        home.answer_with("It is noon.")
        home.backend.dialogue.on_say("")
        await settle()
        result = await home.sessions.wait(turn.id, 1)
        assert (result.reply, result.outcome) == ("It is noon.", "completed")
        assert line.sound
        home.backend.dialogue.on_say = lambda text: None
        await home.house.text("desk", "first")
        with pytest.raises(VonadError, match="is processing") as refused:
            await home.house.text("desk", "second")
        assert refused.value.code == "session_busy"


async def test_a_text_that_is_delivered_twice_is_answered_once(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.house.text("desk", "hello", id="q1")
        home.house.stop("desk")
        await settle()
        with pytest.raises(VonadError, match="duplicate: id q1") as refused:
            await home.house.text("desk", "hello", id="q1")
        assert refused.value.code == "wake_refused"
        assert [event.data["id"] for event in home.told("turn.started")] == ["q1"]


async def test_a_session_without_a_satellite_is_created_asked_read_and_archived(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        home.answer_with("It is noon.")
        turn = await home.sessions.start_turn(view.session_id, "what time is it")
        await settle()
        assert (await home.sessions.wait(turn.id, 1)).reply == "It is noon."
        assert (await home.sessions.read(view.session_id)).last_reply == "It is noon."
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        assert (await home.sessions.read(view.session_id)).state == "closed"
        with pytest.raises(VonadError) as gone:
            await home.sessions.start_turn(view.session_id, "again")
        assert gone.value.code == "session_expired"
        assert [view.state for view in await home.sessions.list()] == ["closed"]


async def test_waiting_for_a_turn_has_an_end(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create(initial_turn="run_immediately", text="hello")
        waiting = asyncio.create_task(home.sessions.wait(f"{view.session_id}-q1", 5))
        await home.clock.advance(6)
        with pytest.raises(VonadError, match="is not over after 5 s") as late:
            await waiting
        assert late.value.code == "timeout"


async def test_interrupting_needs_a_running_turn(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        with pytest.raises(VonadError) as idle:
            await home.sessions.interrupt(view.session_id)
        assert idle.value.code == "session_not_running"
        await home.sessions.start_turn(view.session_id, "hello")
        await home.sessions.interrupt(view.session_id)
        await home.until("turn.ended")
        assert [event.data["outcome"] for event in home.told("turn.ended")] == ["interrupted"]


async def test_stopping_ends_open_sessions_with_their_reason(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.asked()
    assert [event.data["reason"] for event in home.told("session.closed")] == ["shutdown"]
    assert [event.data["outcome"] for event in home.told("turn.ended")] == ["interrupted"]


async def test_a_satellites_own_table_comes_before_the_defaults(tmp_path: Path) -> None:
    config = '[satellites.desk]\nname = "Desk"\narea = "Study"\nsilence_s = 2\nfollow_up = "always"\nlanguage = "de"\n'
    async with runtime_house(tmp_path, config) as home:
        await home.connect()
        await home.asked()
        [view] = home.house.satellites()
        assert (view.name, view.area, view.online) == ("Desk", "Study", True)
        [session] = home.runtime.sessions.open
        assert (session.plan.language, session.plan.follow_up, session.plan.endpointing.silence_s) == (
            "de",
            "always",
            2,
        )


async def test_a_configured_satellite_that_is_away_is_shown_as_offline(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, '[satellites.attic]\nname = "Attic"\n') as home:
        assert [(view.id, view.online, view.name) for view in home.house.satellites()] == [("attic", False, "Attic")]


async def test_a_reload_that_changes_nothing_tells_of_no_change(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        assert "[engines.silero]" in await home.house.reload(), "what does not run is tried again"
        await settle()
        assert home.told("plugins.changed") == []
        path = tmp_path / "vonad.toml"
        path.write_text(path.read_text() + '[satellites.bath]\nname = "Bath"\n')
        await home.house.reload()
        await settle()
        assert len(home.told("plugins.changed")) == 1, "a satellite is known now"
        home.plugins.load_anew(("backends", "scripted"))
        assert "[backends.scripted]" in await home.house.reload()
        await settle()
        assert len(home.told("plugins.changed")) == 2
