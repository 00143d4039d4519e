"""Announcements: a handle on each, an order among them, and none that gets lost."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.chimes import DeadVoice, ToyCues, played
from tests.conversation import Conversation, conversation
from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.announcing import KEY, NAMESPACE
from vonad.backend import BackendCapabilities, ReplyFailed
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import BargeIn, Plan, Style
from vonad.session.announcement import Announcement, new_announcement
from vonad.session.machine import State
from vonad.session.means import PHRASES
from vonad.testing import ScriptedBackend, ScriptedLine, quiet, settle, speech

IDLE = Plan(satellite="desk", backends=("scripted",), purpose="idle")


async def say(story: Conversation, text: str, **more: object) -> Announcement:
    announcement = new_announcement(text, **more)  # type: ignore[arg-type]
    story.session.say(announcement)
    await settle()
    return announcement


def finished(told: RuntimeHouse | Conversation) -> list[dict[str, object]]:
    return [dict(event.data) for event in told.told("say.finished")]


# Beluga: Say handle


async def test_beluga_say_handle_goes_from_queued_to_playing_to_finished() -> None:
    async with conversation(plan=IDLE) as story:
        story.line.hold()
        first = await say(story, "dinner is ready", id="a1")
        second = await say(story, "and dessert", id="a2")
        assert (first.state, second.state) == ("playing", "queued")
        story.line.release()
        await settle()
        assert (first.state, second.state) == ("finished", "finished")
        assert finished(story) == [
            {"id": "a1", "ok": True, "reason": "", "state": "finished"},
            {"id": "a2", "ok": True, "reason": "", "state": "finished"},
        ]


async def test_beluga_say_handle_waits_for_playout_with_a_time_out() -> None:
    async with conversation(plan=IDLE) as story:
        story.line.hold()
        announcement = await say(story, "dinner is ready", id="a1")
        waiting = asyncio.create_task(announcement.wait(story.clock, 2))
        await story.clock.advance(2)
        with pytest.raises(VonadError) as raised:
            await waiting
        error = raised.value
        assert (error.code, error.details) == ("timeout", {"id": "a1"})
        assert "'a1' is still playing after 2 s" in error.message
        story.line.release()
        assert await announcement.wait(story.clock, 2) == "finished"


async def test_beluga_say_handle_cancels_what_waits() -> None:
    async with conversation(plan=IDLE) as story:
        story.line.hold()
        await say(story, "dinner is ready")
        waiting = await say(story, "and dessert", id="a2")
        assert waiting.cancel()
        assert (waiting.state, waiting.cancel()) == ("cancelled", False)
        story.line.release()
        await settle()
        assert story.backend.spoken == ["dinner is ready"]
        assert finished(story)[0] == {"id": "a2", "ok": False, "reason": "cancelled", "state": "cancelled"}


async def test_beluga_say_handle_cancels_what_plays_and_the_next_one_is_said() -> None:
    async with conversation(plan=IDLE) as story:
        story.line.hold()
        playing = await say(story, "dinner is ready", id="a1")
        await say(story, "and dessert")
        assert playing.cancel()
        await settle()
        assert (playing.state, playing.reason, story.line.clears) == ("cancelled", "cancelled", 1)
        assert story.backend.spoken == ["dinner is ready", "and dessert"]
        assert story.outcomes[0] == "interrupted"


async def test_beluga_say_handle_has_voice_speed_and_volume_of_its_own() -> None:
    class Loud(ScriptedBackend):
        styles: list[Style]

        async def speak(self, text: str, *, language: str, style: Style):  # type: ignore[no-untyped-def]
            self.styles = [*getattr(self, "styles", []), style]
            yield Frame(np.full(1600, 1000, np.int16), 16_000)

    backend = Loud()
    async with conversation(plan=IDLE, backend=backend) as story:
        await say(story, "softly", style=Style(pace=0.9, voice="whisper"), volume=0.25)
        await say(story, "as usual")
        assert backend.styles == [Style(pace=0.9, voice="whisper"), Style()]
        assert sorted({int(frame.samples[0]) for frame in story.line.sound}) == [250, 1000]


@pytest.mark.parametrize("interruptible", [True, False])
async def test_beluga_say_handle_that_allows_no_interruption_is_not_cut_by_a_voice_but_by_stop(
    interruptible: bool,
) -> None:
    line = ScriptedLine(full_duplex=True)
    plan = replace(IDLE, barge_in=BargeIn(need="any"))
    async with conversation(plan=plan, line=line) as story:
        line.hold()
        announcement = await say(story, " ".join(["out"] * 20), interruptible=interruptible)
        await story.hear(quiet(0.1))
        line.heard(1.0)
        await story.hear(*[speech(0.1)] * 20)
        assert announcement.state == ("cancelled" if interruptible else "playing")
        assert story.session.stop()
        await settle()
        assert announcement.state == "cancelled"


async def test_beluga_say_handle_a_playback_failure_is_failed_and_the_session_goes_on() -> None:
    line = ScriptedLine()
    line.broken = True
    async with conversation(plan=IDLE, line=line) as story:
        failed = await say(story, "dinner is ready", id="a1")
        assert (failed.state, failed.reason) == ("failed", "the satellite failed")
        assert story.session.state is State.IDLE
        assert story.outcomes == ["failed"]
        line.broken = False
        assert (await say(story, "and dessert")).state == "finished"


async def test_an_announcement_that_no_voice_can_speak_has_failed_and_is_not_silent() -> None:
    async with conversation(plan=IDLE, backend=DeadVoice(), cues=ToyCues("error")) as story:
        failed = await say(story, "dinner is ready")
        assert (failed.state, failed.reason) == ("failed", "the voice is gone")
        assert played(story.line) == ["error"]
        assert story.outcomes == ["failed"]


async def test_an_announcement_is_none_of_the_backend_s_that_says_it_failed() -> None:
    async with conversation(plan=IDLE) as story:
        story.line.hold()
        announcement = await say(story, "dinner is ready", id="a1")
        story.dialogue.emit(ReplyFailed(1, VonadError("backend_step_failed", "no idea")))
        await settle()
        story.line.release()
        await settle()
        assert (announcement.state, story.backend.spoken) == ("finished", ["dinner is ready"])
        assert [ended.data["heard_text"] for ended in story.told("turn.ended")] == ["dinner is ready"]


async def test_an_announcement_that_asks_for_it_comes_after_a_chime() -> None:
    async with conversation(plan=IDLE, cues=ToyCues("announce")) as story:
        await say(story, "dinner is ready", preannounce=True)
        assert played(story.line) == ["announce", "voice"]
        [ended] = story.told("turn.ended")
        assert ended.data["heard_text"] == "dinner is ready"
        await say(story, "and dessert")
        assert played(story.line) == ["announce", "voice"]


# The queue


async def test_announcements_queue_by_priority_then_by_age() -> None:
    async with conversation() as story:
        await story.hear(speech(0.5))
        for text, priority in (("one", 0), ("two", 0), ("urgent", 5), ("three", 0), ("also urgent", 5)):
            await say(story, text, priority=priority)
        story.session.stop()
        await story.clock.advance(1)
        assert story.backend.spoken == []
        assert {str(event.data["reason"]) for event in story.told("say.finished")} == {"stopped"}
    async with conversation(plan=IDLE) as story:
        story.line.hold()
        for text, priority in (("first", 0), ("one", 0), ("two", 0), ("urgent", 5), ("also urgent", 5)):
            await say(story, text, priority=priority)
        story.line.release()
        await settle()
        assert story.backend.spoken == ["first", "urgent", "also urgent", "one", "two"]


@pytest.mark.parametrize("state", ["listening, silence", "listening, speech", "processing", "speaking"])
async def test_say_is_never_busy_whatever_the_session_does(state: str) -> None:
    async with conversation() as story:
        if state == "listening, speech":
            await story.hear(speech(0.5))
        elif state != "listening, silence":
            await story.say_command()
        if state == "speaking":
            story.line.hold()
            await story.understood("what time is it", "It is noon.")
        announcement = await say(story, "dinner is ready")
        story.line.release()
        if state == "processing":
            await story.understood("what time is it", "It is noon.")
        elif state == "listening, speech":
            await story.say_command()
            await story.understood("what time is it", "It is noon.")
        await story.clock.advance(2)
        assert announcement.state == "finished"


async def test_what_waits_when_a_session_ends_is_given_back() -> None:
    returned: list[Announcement] = []
    async with conversation() as story:
        await story.hear(speech(0.5))
        waiting = new_announcement("dinner is ready")
        waiting.give_back = returned.append
        story.session.say(waiting)
        lost = await say(story, "nobody takes me back")
        story.session.close("transport_closed")
        await story.clock.advance(5)
        assert returned == [waiting]
        assert (waiting.state, lost.state, lost.reason) == ("queued", "failed", "the session ended")


async def test_a_durable_one_that_is_cut_by_the_end_of_the_session_is_said_again() -> None:
    returned: list[Announcement] = []
    async with conversation(plan=IDLE) as story:
        story.line.hold()
        durable = new_announcement("take your medicine", durable=True)
        durable.give_back = returned.append
        story.session.say(durable)
        await settle()
        story.session.close("transport_closed")
        await story.clock.advance(5)
        assert (returned, durable.state) == ([durable], "queued")


# In the house


async def test_the_house_knows_what_became_of_an_announcement(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        name = home.house.say("desk", "dinner is ready")
        assert (await home.house.wait_said(name, 5)).state == "finished"
        view = home.house.announcement(name)
        assert (view.satellite, view.text, view.state, view.reason) == ("desk", "dinner is ready", "finished", "")
        assert not home.house.cancel_say(name)
        with pytest.raises(VonadError, match="no announcement 'nobody' of late"):
            home.house.announcement("nobody")


async def test_the_house_cancels_an_announcement_by_its_id(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        line.hold()
        name = home.house.say("desk", "dinner is ready")
        await settle()
        assert home.house.cancel_say(name)
        await home.until("say.finished")
        assert home.house.announcement(name).state == "cancelled"
        line.release()
        assert finished(home)[0]["state"] == "cancelled"


async def test_the_same_request_twice_is_said_once(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        line.hold()
        assert home.house.say("desk", "dinner is ready", id="a1") == home.house.say("desk", "dinner is ready", id="a1")
        line.release()
        await home.until("session.closed")
        assert len(finished(home)) == 1


async def test_what_waits_is_said_in_the_next_session(tmp_path: Path) -> None:
    """The session ends while somebody speaks; the announcement opens one of its own."""
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        assert await home.asked() == "accepted"
        session = home.runtime.sessions.open[0]
        await session.hear(speech(0.5))
        name = home.house.say("desk", "dinner is ready")
        await settle()
        session.close("user_ended")
        await home.until("say.finished")
        assert home.house.announcement(name).state == "finished"
        assert len(home.told("session.created")) == 2
        assert line.sound


async def test_sessions_that_end_before_it_is_said_do_not_open_for_ever(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        home.backend.failure = VonadError("backend_start_failed", "it does not start")
        name = home.house.say("desk", "dinner is ready")
        for _ in range(40):
            await home.clock.advance(10)
        assert home.house.announcement(name).state == "failed"
        assert home.house.announcement(name).reason == "5 sessions ended before it was said"
        assert len(home.told("session.created")) == 5


async def test_one_for_nobody_is_refused_unless_it_is_durable(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        with pytest.raises(VonadError, match="'attic' is not connected"):
            home.house.say("attic", "dinner is ready")
        name = home.house.say("attic", "take your medicine", durable=True)
        home.house.say("attic", "the house is on fire", durable=True, priority=9)
        assert home.house.announcement(name).state == "queued"
        line = await home.connect("attic")
        await home.clock.advance(1)
        while len(finished(home)) < 2:
            await settle()
        said = [text for text in home.backend.spoken if text not in PHRASES["en"].values()]
        assert said == ["the house is on fire", "take your medicine"]
        assert line.sound


async def test_a_durable_one_survives_a_restart(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        home.backend.capabilities = BackendCapabilities(style_conditioning=True)
        home.house.say("attic", "take your medicine", id="m1", durable=True, style=Style(pace=0.2), volume=0.5)
        await home.house.says_kept()
    async with runtime_house(tmp_path) as home:
        await until_known(home, "m1")
        assert home.house.announcement("m1").durable
        assert home.runtime.announcing.get("m1").style == Style(pace=0.2)
        await home.connect("attic")
        await home.until("say.finished")
        assert finished(home)[0] == {"id": "m1", "ok": True, "reason": "", "state": "finished"}
        await settle()
        await home.house.says_kept()
        assert await home.runtime.announcing._journal.get(NAMESPACE, KEY) is None


async def test_one_that_was_being_said_when_the_daemon_stopped_is_said_again(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect("attic")
        line.hold()
        home.house.say("attic", "take your medicine", id="m1", durable=True)
        home.house.say("attic", "dinner is ready", id="d1")
        await settle()
    async with runtime_house(tmp_path) as home:
        await until_known(home, "m1")
        with pytest.raises(VonadError, match="no announcement 'd1'"):
            home.house.announcement("d1")
        await home.connect("attic")
        await home.until("say.finished")
        assert finished(home)[0]["id"] == "m1"


async def test_what_was_kept_and_cannot_be_read_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with runtime_house(tmp_path) as home:
        await home.runtime.announcing._journal.set(NAMESPACE, KEY, json.dumps([{"id": "m1"}, 7]))
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.runtime.announcing.saved()
        home.house.say("desk", "dinner is ready")
        await home.until("say.finished")
    assert "cannot be read and are lost" in caplog.text


@pytest.mark.parametrize("durable", [True, False])
async def test_a_house_without_room_says_it_when_there_is_some(tmp_path: Path, durable: bool) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        await home.connect()
        session = await home.sessions.create()
        await home.sessions.start_turn(session.session_id, "hello")
        name = home.house.say("desk", "take your medicine", durable=durable)
        await home.clock.advance(11)
        assert home.house.announcement(name).state == "queued"
        await home.sessions.archive(session.session_id)
        await home.until("session.closed")
        await home.clock.advance(10)
        await home.until("say.finished")
        assert home.house.announcement(name).state == "finished"


async def test_an_announcement_takes_the_seat_of_a_conversation_in_text_that_rests(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="maximum = 2") as home:
        await home.connect()
        older, newer = [(await home.sessions.create()).session_id for _ in range(2)]
        name = home.house.say("desk", "dinner is ready")
        await home.until("say.finished")
        assert home.house.announcement(name).state == "finished"
        assert (await home.sessions.read(older)).reason == "superseded"
        assert (await home.sessions.read(newer)).state == "idle"


async def test_only_so_many_wait_in_the_house(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        for number in range(64):
            home.house.say("attic", str(number), durable=True)
        with pytest.raises(VonadError, match="64 announcements wait for their satellites already"):
            home.house.say("attic", "one more", durable=True)
        await home.connect("desk")
        assert home.house.say("desk", "dinner is ready")


async def test_stop_drops_what_waits_for_the_satellite_in_the_house_too(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        home.backend.failure = VonadError("backend_start_failed", "it does not start")
        name = home.house.say("desk", "dinner is ready")
        await home.clock.advance(1)
        assert home.house.stop("desk")
        assert home.house.announcement(name).state == "cancelled"


async def test_one_that_is_not_durable_waits_ten_minutes_for_its_satellite(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        await home.asked()
        await home.runtime.sessions.open[0].hear(speech(0.5))
        name = home.house.say("desk", "dinner is ready")
        line.hang_up()
        await home.until("session.closed")
        await home.clock.advance(5)
        assert home.house.announcement(name).state == "queued"
        await home.clock.advance(600)
        assert home.house.announcement(name).state == "failed"
        assert "'desk' is not connected" in home.house.announcement(name).reason


@pytest.mark.parametrize(
    ("satellite", "text", "volume", "code"),
    [("desk", "  ", 1.0, "malformed"), ("desk", "hello", 2.0, "malformed"), ("No Such", "hello", 1.0, "not_found")],
)
async def test_what_cannot_be_said_is_refused(
    satellite: str, text: str, volume: float, code: str, tmp_path: Path
) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        with pytest.raises(VonadError) as refused:
            home.house.say(satellite, text, volume=volume, durable=True)
        assert refused.value.code == code


async def until_known(home: RuntimeHouse, name: str) -> None:
    """What was kept is read in a thread."""
    while name not in home.runtime.announcing._known:
        await settle()
