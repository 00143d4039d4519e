"""Rows of Vona's table, word by word: what the tests of each feature leave out."""

from pathlib import Path

import pytest

from tests.conversation import FAILURE, Hooks, conversation
from tests.runtime_house import runtime_house
from tests.timers import timer
from vonad.backend import (
    BackendCapabilities,
    Diagnostic,
    Overheard,
    ReplyDone,
    ReplyText,
    SkillRequest,
    Transcript,
)
from vonad.control import Continue
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Overrides, Plan, Style
from vonad.skill import SkillCall
from vonad.testing import ScriptedBackend, ScriptedLine, quiet, settle, speech
from vonad.transport import LineCapabilities

TWO = Plan(satellite="desk", backends=("scripted", "second"))


async def test_vona_session_config_has_metadata_that_policy_and_readers_see(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        noted = {"caller": "front door"}
        session = await home.sessions.create(overrides=Overrides(metadata=noted))
        other = await home.sessions.create()
        assert session.metadata == (await home.sessions.read(session.session_id)).metadata == noted
        assert other.metadata == {}


async def test_vona_session_config_24_000_hz_and_one_channel_are_one_line_s_and_any_rate_is_another_s(
    tmp_path: Path,
) -> None:
    """Sound is mono everywhere; a line says what it plays, and a backend hears 16 kHz."""
    async with runtime_house(tmp_path) as home:
        line = ScriptedLine()
        line.capabilities = LineCapabilities(playback_rate=24_000)
        home.transport.waiting.put_nowait(line)
        await settle()
        await home.asked()
        for _ in range(50):
            line.captured.put(Frame(speech(0.03).samples, 24_000, home.clock.monotonic()))
        await settle()
        assert {frame.rate for frame in home.backend.dialogue.heard} == {16_000}
        home.house.stop("desk")
        home.house.say("desk", "dinner is ready")
        await settle()
        assert {(frame.rate, frame.samples.ndim) for frame in line.sound} == {(24_000, 1)}


async def test_vona_speech_style_profile_of_a_satellite_is_handed_to_its_backend(tmp_path: Path) -> None:
    config = '[satellites.desk.style]\npace = 0.9\nvoice = "en-gb"\n'
    async with runtime_house(tmp_path, config) as home:
        await home.connect()
        await home.asked()
        assert home.backend.dialogue.brief.style == Style(pace=0.9, voice="en-gb")


async def test_vona_metrics_tell_apart_skills_that_failed_and_timed_out_interruptions_and_fallbacks() -> None:
    ran: list[int] = []
    async with conversation(plan=TWO, others={"second": ScriptedBackend()}, skills=(timer(ran),)) as story:
        await story.say_command()
        await story.understood("set timers")
        turn = story.turn
        for number, minutes in enumerate((0, 3)):
            story.dialogue.emit(SkillRequest(turn, SkillCall(f"c{number}", "timer", {"minutes": minutes})))
        await settle()
        story.session.stop()
        await settle()
        story.dialogue.emit(FAILURE)
        await settle()
        story.session.close("user_ended")
        await settle()
        metrics = dict(story.told("session.closed")[0].data["metrics"])  # type: ignore[call-overload]
        assert metrics["skills"] == {"attempts": 2, "ok": 1, "failed": 1, "timed_out": 0}
        assert (metrics["interruptions"], metrics["fallbacks"]) == (1, 1)
    async with conversation(skills=(timer(ran, hangs=True),)) as story:
        await story.say_command()
        await story.understood("set a timer")
        story.call_skill("timer")
        await story.clock.advance(2.1)
        story.session.close("user_ended")
        await settle()
        metrics = dict(story.told("session.closed")[0].data["metrics"])  # type: ignore[call-overload]
        assert metrics["skills"] == {"attempts": 1, "ok": 0, "failed": 0, "timed_out": 1}


class Stubborn(ScriptedLine):
    """Plays on whatever it is told."""

    async def clear(self) -> None:
        raise VonadError("transport_send_failed", "it goes on playing", op="clear")


async def test_vona_interruption_a_failing_clear_is_reported() -> None:
    line = Stubborn()
    async with conversation(line=line) as story:
        line.hold()
        story.answer_with("It is noon.")
        await story.say_command()
        await story.understood("what time is it")
        story.session.stop()
        await settle()
        assert [event.data["code"] for event in story.told("error")] == ["transport_clear_failed"]
        assert "satellite desk did not clear the reply: it goes on playing" in str(story.told("error")[0].data)
        assert story.outcomes == ["interrupted"]
        line.release()


async def test_vona_control_events_fragments_are_forwarded_and_none_is_dropped() -> None:
    hooks, seen = Hooks(), list[str]()

    def control(event: object) -> Continue:
        seen.append(type(event).__name__)
        return Continue()

    hooks.control = control
    async with conversation(hooks=hooks) as story:
        await story.hear(*[speech(0.1)] * 5)
        words = [" ".join(["word"] * count) for count in range(1, 40)]
        for text in words:
            story.dialogue.emit(Transcript(story.turn, text))
        story.dialogue.emit(Diagnostic(story.turn, "warming up"))
        await settle()
        assert [event.data["text"] for event in story.told("transcript.partial")] == words
        assert [event.data["message"] for event in story.told("backend.diagnostic")] == ["warming up"]
        assert seen == ["Transcript"] * len(words) + ["Diagnostic"]


async def test_vona_bridge_fallback_parity_barge_in_works_the_same_in_degraded_mode() -> None:
    line, second = ScriptedLine(full_duplex=True), ScriptedBackend(BackendCapabilities(overhears=True))
    first = ScriptedBackend()
    first.failure = VonadError("backend_start_failed", "no")
    async with conversation(plan=TWO, backend=first, others={"second": second}, line=line) as story:
        assert story.session.view().degraded
        line.hold()
        story.answer_with("It is noon and the sun is shining on the roof.", seconds=10.0)
        await story.say_command()
        await story.understood("what time is it")
        line.heard(3.0)
        await story.hear(*[speech(0.02)] * 30)
        story.dialogue.emit(Overheard(story.turn, "turn on the lamp"))
        await settle()
        assert [event.data["source"] for event in story.told("interruption")] == ["speech"]
        assert (story.session.state, line.clears) == ("listening", 1)
        line.release()


async def test_vona_skill_has_a_name_a_description_a_schema_and_an_outcome_spoken_and_for_a_model() -> None:
    ran: list[int] = []
    offered, _ = timer(ran)
    assert (offered.name, offered.description) == ("timer", "Sets a timer.")
    assert offered.Args.model_json_schema()["properties"]["minutes"]["type"] == "integer"
    async with conversation(skills=((offered, "tests"),)) as story:
        await story.say_command()
        await story.understood("set a timer")
        call = story.call_skill("timer", minutes="5")
        await settle()
        outcome = story.dialogue.outcomes[call.id]
        assert (outcome.ok, outcome.speech, outcome.payload, ran) == (True, "It runs.", {"minutes": 5}, [5])


async def test_vona_realtime_backend_takes_audio_text_results_and_control() -> None:
    ran: list[int] = []
    async with conversation(skills=(timer(ran),)) as story:
        await story.say_command()
        heard = len(story.dialogue.heard)
        await story.understood("set a timer")
        story.call_skill("timer")
        await settle()
        story.session.stop()
        await settle()
        assert heard >= 10
        assert story.dialogue.told == ["begin 1", "commit", "say set a timer", "answer call-timer", "interrupt"]


async def test_vona_latency_marks_of_a_skill_and_of_cleared_output_and_the_wait_counts_from_the_last_word() -> None:
    line = ScriptedLine()
    async with conversation(line=line, skills=(timer([]),)) as story:
        await story.hear(*[speech(0.1)] * 10, *[quiet(0.1)] * 9)
        await story.understood("set a timer")
        story.call_skill("timer")
        await settle()
        turn = story.turn
        line.hold()
        story.dialogue.emit(ReplyText(turn, "It runs."), Frame(speech(1.0).samples, 16_000, turn=turn), ReplyDone(turn))
        await settle()
        line.heard(0.5)
        story.session.stop()
        await settle()
        marks = [str(event.data["stage"]) for event in story.told("latency.mark")]
        assert marks == ["endpoint", "stt", "skill", "agent_first_token", "tts_first_audio", "playback_started"]
        assert [event.data["played_ms"] for event in story.told("playback.cleared")] == [500]
        [ended] = story.told("turn.ended")
        assert float(str(ended.data["first_audio_ms"])) == pytest.approx(900, abs=40)
        line.release()
