"""Falling back: another backend takes over in mid-conversation; nothing is lost, nothing is done twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from pydantic import BaseModel

from tests.conversation import FAILURE, Conversation, Hooks, conversation
from vonad.backend import (
    BackendCapabilities,
    Brief,
    Dialogue,
    EndOfSpeech,
    ReplyFailed,
    ReplyText,
    Transcript,
)
from vonad.control import FallBack
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.plan import Plan
from vonad.session.announcement import new_announcement
from vonad.skill import AnySkill, Call, NoArgs, Risk, SkillResult, skill
from vonad.testing import ScriptedBackend, ScriptedHost, ScriptedLine, quiet, settle, speech

TWO = Plan(satellite="desk", backends=("scripted", "second"))
TEXT = Plan(satellite="desk", backends=("scripted", "second"), purpose="idle")


def two(
    plan: Plan = TWO,
    *,
    second: ScriptedBackend | None = None,
    hooks: Hooks | None = None,
    capabilities: BackendCapabilities | None = None,
    line: ScriptedLine | None = None,
    skills: tuple[tuple[AnySkill, str], ...] = (),
) -> AbstractAsyncContextManager[Conversation]:
    return conversation(
        plan=plan,
        others={"second": second or ScriptedBackend()},
        hooks=hooks,
        capabilities=capabilities,
        line=line,
        skills=skills,
    )


def told(story: Conversation, type_: str) -> list[dict[str, object]]:
    return [dict(event.data) for event in story.told(type_)]


async def test_vona_bridge_fallback_a_lost_backend_s_unanswered_turn_is_answered_by_the_next() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it")
        first = story.dialogue
        assert first.told[-1] == "say what time is it"
        first.emit(FAILURE)
        await settle()
        assert story.dialogue is not first
        assert story.dialogue.told == ["begin 1", "say what time is it"]
        story.answer_with("It is noon.")
        story.dialogue.on_say("")
        await settle()
        assert story.states == ["listening", "processing", "falling_back", "processing", "speaking", "idle"]
        assert story.outcomes == ["completed"]
        assert told(story, "fallback.started") == [
            {"reason": "backend_unavailable", "from": "scripted", "to": "second"}
        ]
        assert told(story, "fallback.completed") == [{"from": "scripted", "to": "second"}]
        [ended] = story.told("turn.ended")
        assert (ended.data["backend"], ended.data["degraded"]) == ("second", True)
        assert story.session.view().degraded


async def test_vona_bridge_fallback_the_conversation_goes_along() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        story.session.listen(None)
        await story.say_command()
        story.dialogue.on_say = lambda _: None
        await story.understood("and in Tokyo")
        story.dialogue.emit(FAILURE)
        await settle()
        assert [(e.user, e.assistant) for e in story.dialogue.history] == [("what time is it", "It is noon.")]
        assert story.dialogue.told[-1] == "say and in Tokyo"


async def test_a_backend_that_just_finishes_ends_the_session_between_turns() -> None:
    async with two(TEXT) as story:
        story.dialogue.finish()
        await settle()
        assert [e.data["reason"] for e in story.told("session.closed")] == ["backend_finished"]


async def test_what_the_user_says_while_the_backend_is_lost_is_heard_from_the_beginning_by_the_next() -> None:
    async with two() as story:
        await story.hear(*[speech(0.1)] * 5)
        heard = len(story.dialogue.heard)
        assert heard == 5
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.states == ["listening", "falling_back", "listening"]
        assert len(story.dialogue.heard) == 5
        await story.hear(*[speech(0.1)] * 3, *[quiet(0.1)] * 9)
        assert story.dialogue.told[-1] == "commit"
        await story.understood("what time is it", "It is noon.")
        assert story.outcomes == ["completed"]


async def test_sound_that_was_said_but_not_yet_understood_is_given_to_the_next() -> None:
    async with two() as story:
        await story.say_command()
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.dialogue.told == ["begin 1", "commit"]
        assert len(story.dialogue.heard) >= 10


async def test_frames_that_come_while_the_next_backend_opens_are_not_lost() -> None:
    slow = SlowToOpen()
    async with two(second=slow) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.state == "falling_back"
        assert story.session.attentive
        assert [state for state, _ in story.line.shown] == ["listening"], "the lamp is on whenever sound is captured"
        await story.hear(*[speech(0.1)] * 4)
        slow.opened.set()
        await settle()
        assert story.session.state == "listening"
        assert len(story.dialogue.heard) == 9


async def test_a_reply_that_breaks_off_is_given_again_and_late_sound_of_the_first_never_plays() -> None:
    line = ScriptedLine()
    async with two(line=line) as story:
        await story.say_command()
        await story.understood("tell me a story")
        first, turn = story.dialogue, story.turn
        first.emit(ReplyText(turn, "Once upon a time."), Frame(speech(1.0).samples, 16_000, turn=turn))
        await settle()
        line.hold()
        assert story.session.state == "speaking"
        await story.clock.advance(1.0)
        first.emit(ReplyFailed(turn, FAILURE))
        await settle()
        assert line.clears == 1
        before = len(line.sound)
        first.emit(Frame(speech(1.0).samples, 16_000, turn=turn))
        await settle()
        assert len(line.sound) == before
        line.release()
        story.answer_with("There was a king.")
        story.dialogue.on_say("")
        await settle()
        assert story.outcomes == ["completed"]
        [ended] = story.told("turn.ended")
        assert str(ended.data["heard_text"]).endswith("There was a king.")
        assert float(str(ended.data["first_audio_ms"])) < 1000  # the first sound was the first one's, not the second's


async def test_vona_fallback_reason_silence() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it")
        await story.clock.advance(30.1)
        assert told(story, "fallback.started")[0]["reason"] == "silence"
        assert story.dialogue.told[-1] == "say what time is it"


async def test_vona_fallback_reason_backend_unavailable_a_reply_failed() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it")
        story.dialogue.emit(ReplyFailed(story.turn, FAILURE))
        await settle()
        assert told(story, "fallback.started")[0]["reason"] == "backend_unavailable"


async def test_vona_fallback_reason_control_rejected_policy_does_not_want_what_the_backend_did() -> None:
    hooks = Hooks()
    hooks.control = lambda event: FallBack("no such words here") if isinstance(event, Transcript) else None
    async with two(hooks=hooks) as story:
        await story.say_command()
        story.dialogue.emit(Transcript(story.turn, "open the safe", final=True))
        await settle()
        assert told(story, "fallback.started")[0]["reason"] == "control_rejected"


@pytest.mark.parametrize(("timeout", "reason"), [(False, "tool_failed"), (True, "tool_timeout")])
async def test_vona_fallback_reason_tool_timeout_and_tool_failed_if_policy_says_so(
    *, timeout: bool, reason: str
) -> None:
    hooks = Hooks()
    hooks.fall_back = lambda asked: True
    async with two(hooks=hooks, skills=(broken_skill(timeout=timeout),)) as story:
        await story.say_command()
        await story.understood("probe it")
        story.call_skill("probe")
        await settle()
        await story.clock.advance(6.0)
        assert told(story, "fallback.started")[0]["reason"] == reason
        assert story.dialogue.told[-1] == "say probe it"


async def test_by_default_a_failing_skill_is_not_the_backend_s_fault() -> None:
    async with two(skills=(broken_skill(timeout=False),)) as story:
        await story.say_command()
        await story.understood("probe it")
        story.call_skill("probe")
        await settle()
        assert story.told("fallback.started") == []
        assert [outcome.code for outcome in story.dialogue.outcomes.values()] == ["skill_failed"]


async def test_vona_fallback_reason_interrupted_the_backend_did_not_let_itself_be() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it")
        story.dialogue.hang.add("interrupt")
        story.session.stop()
        await story.clock.advance(1.5)
        assert told(story, "fallback.started")[0]["reason"] == "interrupted"
        assert story.session.state == "idle"
        assert story.session.view().backend == "second"


async def test_an_action_that_was_begun_is_not_done_again_by_the_next_backend() -> None:
    ran: list[str] = []
    release = asyncio.Event()

    async def act(args: NoArgs, call: Call) -> str:
        """Act."""
        ran.append(call.id)
        await release.wait()
        return "The lamp is on."

    async with two(skills=(a_skill(act, risk="reversible"),)) as story:
        await story.say_command()
        await story.understood("turn on the lamp")
        story.call_skill("act")
        await settle()
        assert story.session.state == "executing_skill"
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.state == "processing"
        assert not any(said.startswith("say") for said in story.dialogue.told)
        release.set()
        await settle()
        assert len(ran) == 1
        assert story.backend.spoken == ["The lamp is on."]
        assert story.outcomes == ["completed"]


async def test_a_chain_that_is_exhausted_says_so_and_closes() -> None:
    second = ScriptedBackend()
    second.failure = VonadError("backend_start_failed", "not here either")
    async with two(second=second) as story:
        await story.say_command()
        await story.understood("what time is it")
        story.dialogue.emit(FAILURE)
        await settle()
        await story.clock.advance(6.0)
        assert [e.data["reason"] for e in story.told("session.closed")] == ["error(backend_unavailable)"]
        assert story.outcomes == ["failed"]
        assert story.states[-3:] == ["falling_back", "closing", "closed"]
        assert len(story.told("fallback.failed")) == 1


async def test_a_backend_that_does_not_open_in_time_is_passed_over() -> None:
    first = SlowToOpen()
    async with conversation(plan=TWO, backend=first, others={"second": ScriptedBackend()}) as story:
        await story.clock.advance(10.1)
        assert [s for s in story.states if s != "connecting"][:2] == ["falling_back", "listening"]
        assert story.session.view().backend == "second"
        assert story.session.view().degraded


async def test_a_session_opened_for_a_text_has_it_answered_by_the_next() -> None:
    first = ScriptedBackend()
    first.failure = VonadError("backend_start_failed", "no")
    plan = Plan(satellite="desk", backends=("scripted", "second"), purpose="text", text="what time is it")
    async with conversation(plan=plan, backend=first, others={"second": ScriptedBackend()}) as story:
        assert story.dialogue.told == ["begin 1", "say what time is it"]
        assert story.states == ["falling_back", "processing"]


async def test_vona_bridge_fallback_goes_back_between_turns_only_and_after_the_cool_off() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it")
        story.dialogue.emit(FAILURE)
        await settle()
        story.answer_with("It is noon.")
        story.dialogue.on_say("")
        await settle()
        assert story.session.view().backend == "second"
        await story.clock.advance(50.0)
        assert story.session.view().degraded, "it is sticky for its cool-off"
        story.bench.rest()
        await story.clock.advance(61.0)
        assert not story.session.view().degraded
        assert story.session.view().backend == "scripted"
        story.session.listen(None)
        await story.say_command()
        await story.understood("and now", "Still noon.")
        assert story.outcomes == ["completed", "completed"]


async def test_a_better_backend_that_comes_back_during_a_turn_waits_for_its_end() -> None:
    async with two() as story:
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.view().backend == "second"
        await story.say_command()
        story.bench.rest()
        await story.clock.advance(10.0)
        assert story.session.view().backend == "second"


async def test_beluga_keep_alive_two_missed_signs_of_life_are_a_loss_and_a_pong_is_no_activity() -> None:
    async with two(TEXT) as story:
        story.dialogue.hang.add("ping")
        await story.clock.advance(30.0 + 10.1)
        assert story.told("fallback.started") == []
        await story.clock.advance(30.0)
        assert story.session.view().backend == "second"
        await story.clock.advance(300.0)
        assert story.session.over, "the idle clock went on all the while"


async def test_vona_bridge_fallback_parity_endpointing_and_language_work_the_same_in_degraded_mode() -> None:
    first = ScriptedBackend(BackendCapabilities(turn_detection=True, hears=True))
    first.failure = VonadError("backend_start_failed", "no")
    plan = Plan(satellite="desk", backends=("scripted", "second"), language="de")
    async with conversation(plan=plan, backend=first, others={"second": ScriptedBackend()}) as story:
        assert story.dialogue.brief.language == "de"
        await story.say_command()
        assert story.session.state == "processing", "the session hears the end itself, as this backend does not"
        await story.understood("wie spät ist es", "Es ist zwölf.")
        assert story.outcomes == ["completed"]


async def test_an_announcement_goes_on_though_the_backend_is_lost() -> None:
    line = ScriptedLine()
    async with two(TEXT, line=line) as story:
        line.hold()
        story.session.say(new_announcement("Dinner is ready."))
        await settle()
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.state == "speaking"
        line.release()
        await settle()
        assert [e.data["ok"] for e in story.told("say.finished")] == [True]
        assert story.session.view().backend == "second"
        assert story.session.state == "idle"


async def test_cyberverse_two_pipelines_one_that_answers_sound_itself_is_replaced_by_one_that_does_not() -> None:
    native = BackendCapabilities(turn_detection=True, hears=True)
    async with two(capabilities=native) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(EndOfSpeech(1, "silence"))
        await settle()
        assert story.session.state == "processing"
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.dialogue.told == ["begin 1", "commit"]
        await story.understood("what time is it", "It is noon.")
        assert story.outcomes == ["completed"]


class SlowToOpen(ScriptedBackend):
    """Opens when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        return self._slowly(brief)

    @asynccontextmanager
    async def _slowly(self, brief: Brief) -> AsyncIterator[Dialogue]:
        await self.opened.wait()
        async with super().open(brief) as dialogue:
            yield dialogue


def a_skill(function: Callable[..., object], *, risk: Risk = "read") -> tuple[AnySkill, str]:
    made = skill(risk=risk, timeout_s=5.0)(function)  # type: ignore[type-var]
    return made(NoSettings(), ScriptedHost()), "tests"


def broken_skill(*, timeout: bool) -> tuple[AnySkill, str]:
    async def probe(args: BaseModel, call: Call) -> SkillResult:
        """Probe."""
        if timeout:
            await asyncio.Event().wait()
        raise RuntimeError("it broke")

    return a_skill(probe)


async def test_a_turn_is_given_to_each_backend_once_and_never_back_and_forth() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it")
        await story.clock.advance(30.1)
        assert story.session.view().backend == "second"
        await story.clock.advance(30.1)
        assert len(story.told("fallback.started")) == 1
        assert story.outcomes == ["failed"], "it was apologised for, and the session goes on"
        assert story.session.state == "idle"
