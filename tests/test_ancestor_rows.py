"""Rows of the ancestors' tables that no other test names; docs/sessions.md lists them all."""

import asyncio
from pathlib import Path

import pytest

from tests.conversation import FAILURE, conversation
from tests.runtime_house import runtime_house
from vonad.backend import BackendCapabilities, ReplyDone, ReplyText, Transcript
from vonad.bus import Bus
from vonad.errors import VonadError
from vonad.events import Event
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.plan import Plan
from vonad.resilience import FAILURES_TO_OPEN, OPEN_S, Breaker
from vonad.skill import AnySkill, Call, NoArgs, skill
from vonad.testing import ManualClock, ScriptedBackend, ScriptedHost, ScriptedLine, quiet, settle, speech

TEXT = Plan(satellite="desk", backends=("scripted",), purpose="idle")


def waiting_skill(release: asyncio.Event) -> tuple[AnySkill, str]:
    async def wait(args: NoArgs, call: Call) -> str:
        """Wait."""
        await release.wait()
        return "Done."

    return skill()(wait)(NoSettings(), ScriptedHost()), "tests"


async def test_vona_session_config_has_a_fresh_id_per_session(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        one, other = [await home.sessions.create() for _ in range(2)]
        assert one.session_id != other.session_id
        assert one.conversation_id != other.conversation_id


async def test_vona_driver_loop_is_full_duplex_capture_goes_on_while_backend_and_playback_stand_still() -> None:
    line = ScriptedLine(full_duplex=True)
    async with conversation(line=line) as story:
        line.hold()
        story.answer_with("It is noon and the sun is shining.", seconds=10.0)
        await story.say_command()
        await story.understood("what time is it")
        assert story.session.state == "speaking"
        line.heard(2.0)
        story.dialogue.hang.add("interrupt")
        await story.hear(*[speech(0.02)] * 100)
        assert story.states[2:5] == ["speaking", "interrupted", "listening"]
        assert line.clears == 1
        line.release()


async def test_vona_states_are_driven_and_published() -> None:
    release = asyncio.Event()
    plan = Plan(satellite="desk", backends=("scripted", "second"))
    others = {"second": ScriptedBackend()}
    async with conversation(plan=plan, others=others, skills=(waiting_skill(release),)) as story:
        await story.say_command()
        await story.understood("wait")
        story.call_skill("wait")
        await settle()
        release.set()
        await settle()
        story.dialogue.emit(FAILURE)
        await settle()
        turn = story.turn
        story.dialogue.emit(ReplyText(turn, "Here."), Frame(speech(1.0).samples, 16_000, turn=turn))
        await settle()
        story.session.stop()
        await settle()
        await story.clock.advance(61.0)
        story.session.close("user_ended")
        await story.clock.advance(1.0)
        assert story.states == [
            "listening",
            "processing",
            "executing_skill",
            "processing",
            "falling_back",
            "processing",
            "speaking",
            "interrupted",
            "idle",
            "away",
            "closing",
            "closed",
        ]


@pytest.mark.parametrize(
    "reason",
    ["transport_closed", "backend_finished", "policy_ended", "user_ended", "superseded", "shutdown", "error(x)"],
)
async def test_vona_close_reasons_are_told_and_the_first_one_stays(reason: str) -> None:
    async with conversation() as story:
        story.session.close(reason)
        story.session.close("shutdown")
        await settle()
        assert [event.data["reason"] for event in story.told("session.closed")] == [reason]


@pytest.mark.parametrize(("seconds", "reason"), [(301.0, "idle_timeout"), (0.0, "")])
async def test_vona_close_reasons_that_time_gives(seconds: float, reason: str) -> None:
    async with conversation(plan=TEXT) as story:
        await story.clock.advance(seconds)
        assert [event.data["reason"] for event in story.told("session.closed")] == [reason] * bool(reason)


async def test_vona_metrics_are_counted_per_turn_and_per_session() -> None:
    release = asyncio.Event()
    release.set()
    async with conversation(skills=(waiting_skill(release),)) as story:
        await story.say_command()
        await story.understood("wait")
        story.call_skill("wait")
        await settle()
        turn = story.turn
        story.dialogue.emit(ReplyText(turn, "Done."), Frame(speech(1.0).samples, 16_000, turn=turn), ReplyDone(turn))
        await settle()
        [ended] = story.told("turn.ended")
        assert ended.data["first_audio_ms"] is not None
        story.session.close("user_ended")
        await settle()
        [closed] = story.told("session.closed")
        metrics = closed.data["metrics"]
        assert isinstance(metrics, dict)
        assert metrics["skills"] == {"attempts": 1, "ok": 1, "failed": 0, "timed_out": 0}
        assert (metrics["turns"], metrics["interruptions"], metrics["fallbacks"]) == (1, 0, 0)
        assert metrics["first_audio_ms"] == ended.data["first_audio_ms"]


async def test_vona_realtime_backend_the_end_of_a_response_is_not_the_end_of_the_session() -> None:
    async with conversation(capabilities=BackendCapabilities(hears=True, turn_detection=True)) as story:
        for number in (1, 2):
            await story.hear(speech(0.5), quiet(0.1))
            turn = story.turn
            story.dialogue.emit(Transcript(turn, "hello", final=True), ReplyText(turn, "Hello."))
            story.dialogue.emit(Frame(speech(1.0).samples, 16_000, turn=turn), ReplyDone(turn))
            await settle()
            assert story.session.state == "idle"
            assert story.outcomes == ["completed"] * number
            story.session.listen(None)
            await settle()
        assert story.told("session.closed") == []


async def test_vona_latency_marks_are_told_and_stored_with_the_turn() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        await settle()
        marks = {str(event.data["stage"]) for event in story.told("latency.mark")}
        expected = {"endpoint", "stt", "agent_first_token", "tts_first_audio", "playback_started", "playback_finished"}
        assert expected <= marks
        [ended] = story.told("turn.ended")
        assert set(dict(ended.data["stages"])) >= expected  # type: ignore[call-overload]


async def test_cyberverse_turn_seq_older_turns_queued_audio_is_dropped() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        line.hold()
        story.answer_with("The first answer.", seconds=3.0)
        await story.say_command()
        await story.understood("first")
        first = story.turn
        story.session.listen(None)
        await settle()
        assert story.turn > first
        before = len(line.sound)
        story.dialogue.emit(ReplyText(first, "And more."), Frame(speech(1.0).samples, 16_000, turn=first))
        await settle()
        assert len(line.sound) == before
        assert [event.turn for event in story.told("turn.started")] == [1, 2]
        line.release()


async def test_cyberverse_turn_seq_output_of_an_older_turn_is_no_part_of_the_answer_that_is_being_made() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("first")
        first = story.turn
        story.session.listen(None)
        await settle()
        await story.say_command()
        await story.understood("second")
        assert story.session.state == "processing"
        late = Frame(speech(1.0).samples, 16_000, turn=first)
        story.dialogue.emit(ReplyText(first, "And more."), late, ReplyDone(first))
        await settle()
        assert story.session.state == "processing"
        assert story.line.sound == []
        second = story.turn
        story.dialogue.emit(ReplyText(second, "Two."), Frame(speech(0.5).samples, 16_000, turn=second))
        story.dialogue.emit(ReplyDone(second))
        await settle()
        ended = story.told("turn.ended")[-1].data
        assert (ended["outcome"], ended["generated_text"], ended["heard_text"]) == ("completed", "Two.", "Two.")


async def test_cyberverse_fan_out_a_slow_client_is_told_how_much_it_missed() -> None:
    bus = Bus("test", ManualClock())
    with bus.subscribe(limit=4) as slow:
        for _ in range(50):
            bus.publish(Event("reply.delta", {"text": "word"}))
        slow.close()
        got = [event async for event in slow]
    missed = [event for event in got if event.type == "events_dropped"]
    assert missed
    assert len(got) <= 6


async def test_beluga_states_closed_is_terminal() -> None:
    async with conversation(plan=TEXT) as story:
        story.session.close("user_ended")
        await settle()
        for verb in (lambda: story.session.listen(None), lambda: story.session.preempt("hello")):
            with pytest.raises(VonadError, match="closed"):
                verb()
        assert story.states[-1] == "closed"


async def test_beluga_provider_fall_back_is_ordered_and_sticky() -> None:
    plan = Plan(satellite="desk", backends=("scripted", "second", "third"))
    others = {"second": ScriptedBackend(), "third": ScriptedBackend()}
    async with conversation(plan=plan, others=others) as story:
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.view().backend == "second"
        story.session.stop()
        await story.clock.advance(20.0)
        assert story.session.view().backend == "second"


async def test_beluga_circuit_breaker_five_failures_thirty_seconds_one_probe_two_successes() -> None:
    clock = ManualClock()
    states: list[str] = []
    breaker = Breaker("agent", clock, lambda _, state: states.append(state))
    for _ in range(FAILURES_TO_OPEN):
        breaker.admit()
        breaker.failed()
    await clock.advance(OPEN_S - 1)
    with pytest.raises(VonadError) as refused:
        breaker.admit()
    assert refused.value.code == "circuit_open"
    await clock.advance(1)
    for _ in range(2):
        breaker.admit()
        breaker.succeeded()
    assert (FAILURES_TO_OPEN, OPEN_S, states) == (5, 30.0, ["open", "half_open", "closed"])


async def test_beluga_timeout_is_restarted_by_activity() -> None:
    async with conversation(plan=TEXT) as story:
        await story.clock.advance(250.0)
        story.answer_with("Hello.")
        story.session.ask("hello")
        await settle()
        await story.clock.advance(250.0)
        assert not story.session.over
        await story.clock.advance(60.0)
        assert [event.data["reason"] for event in story.told("session.closed")] == ["idle_timeout"]


async def test_beluga_keep_alive_pings_every_thirty_seconds() -> None:
    async with conversation(plan=TEXT) as story:
        await story.clock.advance(95.0)
        assert story.dialogue.told == ["ping"] * 3


async def test_beluga_away_is_told_at_its_edges_only() -> None:
    async with conversation(plan=TEXT) as story:
        await story.clock.advance(200.0)
        assert len(story.told("user.away")) == 1
        story.session.ask("hello")
        await settle()
        assert len(story.told("user.back")) == 1
