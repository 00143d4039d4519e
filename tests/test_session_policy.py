"""Policy in a conversation: what is asked before it is done, what a hook stops, and what a turn may cost."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.conversation import Conversation, Hooks, conversation
from tests.plugins.fake_host import FakeHost
from tests.skill_bench import Args, Probe, audit
from vonad.backend import BackendCapabilities, Diagnostic, ReplyFailed, SkillRequest
from vonad.control import Continue, ControlEvent, FallBack, Ignore, InjectContext
from vonad.errors import VonadError
from vonad.host import NoSettings
from vonad.plan import Budget, ContextEvent, Plan
from vonad.session.announcement import new_announcement
from vonad.session.confirmation import GROUP
from vonad.skill import AnySkill, Call, SkillResult
from vonad.testing import ScriptedBackend, quiet, settle

QUESTION = "Shall I do this: probe, minutes 5?"


class Lock:
    """A sensitive skill, and how often it was opened."""

    def __init__(self, folder: Path, risk: str = "sensitive") -> None:
        self.opened = 0
        kind = type("Lock", (Probe,), {"risk": risk})
        skill = kind(NoSettings(), FakeHost(folder, name="probe"))
        skill.act = self.open
        self.skills: tuple[tuple[AnySkill, str], ...] = ((skill, "locks"),)

    async def open(self, args: Args, call: Call) -> object:
        self.opened += 1
        return SkillResult(speech="It is open.", follow_up=False)


async def wish(story: Conversation) -> str:
    """Somebody asks for it, and the backend asks for the skill; what the house says to that."""
    await story.say_command()
    await story.understood("open it")
    call = story.call_skill("probe", minutes=5)
    await settle()
    assert call.id not in story.dialogue.outcomes, "no model gets to put the question"
    await story.clock.advance(1)
    return story.backend.spoken[-1]


async def answer(story: Conversation, text: str) -> None:
    await story.say_command()
    await story.understood(text)
    await story.clock.advance(1)


async def test_what_is_sensitive_is_done_after_a_yes_that_no_backend_hears_of(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    async with conversation(skills=lock.skills) as story:
        assert await wish(story) == QUESTION
        assert lock.opened == 0
        assert [dict(event.data)["prompt"] for event in story.told("skill.confirm")] == [QUESTION]
        assert story.states[-1] == "listening"
        assert GROUP in {group.skill for group in story.dialogue.sentences.skills}
        await answer(story, "Yes, please.")
        assert lock.opened == 1
        assert story.outcomes == ["completed", "completed"]
        assert story.told("turn.ended")[-1].data["heard_text"] == "It is open."
        assert [told for told in story.dialogue.told if told.startswith("say")] == ["say open it"]


class Remembered(Lock):
    """What the history has of the turn when the skill begins."""

    async def open(self, args: Args, call: Call) -> object:
        with closing(sqlite3.connect(self.database)) as raw:
            self.seen = raw.execute("SELECT transcript, user_text, outcome FROM turns").fetchall()
        return await super().open(args, call)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "reversible")
        self.database = folder / "vonad.db"
        self.seen: list[tuple[str | None, ...]] = []


async def test_the_words_for_which_something_is_done_are_in_the_history_before_it_is_done(tmp_path: Path) -> None:
    lock, hooks = Remembered(tmp_path), Hooks()
    hooks.user_text = lambda text: "open the door"
    async with conversation(skills=lock.skills, hooks=hooks, database=lock.database) as story:
        await story.say_command()
        await story.understood("open it")
        story.call_skill("probe", minutes=5)
        async with asyncio.timeout(10):
            while not story.told("skill.result"):
                await asyncio.sleep(0)
        assert lock.seen == [("open it", "open the door", None)]


async def test_a_no_is_taken_for_one(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    async with conversation(skills=lock.skills) as story:
        await wish(story)
        await answer(story, "no")
        assert story.told("turn.ended")[-1].data["heard_text"] == "Okay, I will not."
        assert lock.opened == 0


async def test_anything_else_is_answered_and_the_question_is_forgotten(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    async with conversation(skills=lock.skills) as story:
        await wish(story)
        story.answer_with("It is noon. Anything else?")
        await answer(story, "what time is it")
        assert "say what time is it" in story.dialogue.told
        story.answer_with("Yes what?")
        await answer(story, "yes")
        assert "say yes" in story.dialogue.told
        assert lock.opened == 0


async def test_a_session_of_text_confirms_by_its_next_turn(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    plan = Plan(satellite=None, backends=("scripted",), purpose="idle")
    async with conversation(plan=plan, text_only=True, skills=lock.skills) as story:
        first = story.session.ask("open it")
        await settle()
        story.call_skill("probe", minutes=5)
        await settle()
        assert (first.reply, first.confirm) == (QUESTION, True)
        second = story.session.ask("yes")
        await settle()
        assert (second.reply, second.confirm, lock.opened) == ("It is open.", False, 1)


# What withdraws the question


async def nothing_said(story: Conversation) -> None:
    """The microphone opens for the answer, and nobody speaks."""
    await story.clock.advance(1)
    await story.hear(*[quiet(0.5)] * 17)
    assert story.session.state == "idle"


async def stopped_while_listening(story: Conversation) -> None:
    assert story.session.state == "listening"
    assert story.session.stop()
    await settle()


async def said_stop(story: Conversation) -> None:
    await answer(story, "stop")


async def told_something(story: Conversation) -> None:
    story.session.say(new_announcement("Dinner is ready.", satellite="desk"))
    await story.clock.advance(3)
    assert story.session.state == "listening", "the microphone opens again"


@pytest.mark.parametrize(
    "event", [nothing_said, stopped_while_listening, said_stop, told_something], ids=lambda event: event.__name__
)
async def test_a_yes_after_silence_stop_or_an_announcement_unlocks_nothing(
    tmp_path: Path, event: Callable[[Conversation], Awaitable[None]]
) -> None:
    lock = Lock(tmp_path)
    async with conversation(skills=lock.skills) as story:
        await wish(story)
        await event(story)
        story.session.listen(None)
        await settle()
        assert GROUP not in {group.skill for group in story.dialogue.sentences.skills}
        story.answer_with("Yes what?")
        await answer(story, "yes")
        assert lock.opened == 0


async def test_a_question_that_is_stopped_while_it_is_asked_is_withdrawn(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    async with conversation(skills=lock.skills) as story:
        await story.say_command()
        await story.understood("open it")
        story.call_skill("probe", minutes=5)
        await settle()
        assert story.session.state == "speaking"
        assert story.session.stop()
        await story.clock.advance(2)
        story.answer_with("Yes what?")
        story.session.ask("yes")
        await settle()
        assert (lock.opened, "say yes" in story.dialogue.told) == (0, True)


async def test_stop_after_the_turn_withdraws_the_question_in_a_session_of_text_too(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    plan = Plan(satellite=None, backends=("scripted",), purpose="idle")
    async with conversation(plan=plan, text_only=True, skills=lock.skills) as story:
        story.session.ask("open it")
        await settle()
        story.call_skill("probe", minutes=5)
        await settle()
        assert not story.session.stop(), "there is nothing to silence"
        story.session.ask("yes")
        await settle()
        assert lock.opened == 0


async def test_a_wake_that_brings_the_yes_in_writing_answers_instead_of_the_microphone(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    async with conversation(skills=lock.skills) as story:
        await wish(story)
        assert story.session.state == "listening"
        story.session.preempt("yes")
        await story.clock.advance(2)
        assert lock.opened == 1


async def test_a_question_that_a_wake_cuts_short_can_be_answered_at_once(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    async with conversation(skills=lock.skills) as story:
        await story.say_command()
        await story.understood("open it")
        story.call_skill("probe", minutes=5)
        await settle()
        story.session.listen(None)
        await settle()
        await answer(story, "yes")
        assert lock.opened == 1


# Control events


async def test_vona_runtime_decision_ignore_a_wish_is_answered_and_not_granted(tmp_path: Path) -> None:
    hooks, lock = Hooks(), Lock(tmp_path, "read")
    hooks.control = lambda event: Ignore() if isinstance(event, SkillRequest) else Continue()
    async with conversation(hooks=hooks, skills=lock.skills) as story:
        await story.say_command()
        await story.understood("open it")
        call = story.call_skill("probe", minutes=5)
        await settle()
        assert story.dialogue.outcomes[call.id].code == "control_rejected"
        assert lock.opened == 0


@pytest.mark.parametrize("decision", [Ignore(), FallBack("not at night"), None])
async def test_vona_audit_sink_a_wish_that_policy_does_not_want_is_an_attempt_that_was_rejected(
    tmp_path: Path, decision: Ignore | FallBack | None
) -> None:
    hooks, lock = Hooks(), Lock(tmp_path, "read")

    def decide(event: ControlEvent) -> object:
        if not isinstance(event, SkillRequest):
            return Continue()
        if decision is None:
            raise LookupError("no rules")
        return decision

    hooks.control = decide
    database = tmp_path / "vonad.db"
    async with conversation(hooks=hooks, skills=lock.skills, database=database) as story:
        await story.say_command()
        await story.understood("open it")
        story.call_skill("probe", minutes=5)
        await settle()
        [attempt], [rejected] = story.told("skill.attempt"), story.told("skill.rejected")
        assert attempt.data["call_id"] == rejected.data["call_id"]
        assert rejected.data["kind"] == "policy"
        why = "not at night" if isinstance(decision, FallBack) else "review_control_event does not want it"
        assert rejected.data["reason"] == why
        assert lock.opened == 0
    assert audit(tmp_path) == [("probe", "rejected")]


async def test_meerkat_hooks_a_guard_that_raises_keeps_the_backend_from_what_it_did(tmp_path: Path) -> None:
    hooks, lock = Hooks(), Lock(tmp_path, "read")

    def broken(event: ControlEvent) -> object:
        if not isinstance(event, SkillRequest):
            return Continue()
        raise LookupError("no rules")

    hooks.control = broken
    async with conversation(hooks=hooks, skills=lock.skills) as story:
        await story.say_command()
        await story.understood("open it")
        call = story.call_skill("probe", minutes=5)
        await settle()
        assert (story.dialogue.outcomes[call.id].ok, lock.opened) == (False, 0)


async def test_vona_audit_sink_a_fallback_that_policy_wants_is_told_with_its_reason() -> None:
    hooks = Hooks()
    hooks.control = lambda event: FallBack("confused") if isinstance(event, Diagnostic) else Continue()
    plan = Plan(satellite="desk", backends=("scripted", "other"))
    async with conversation(hooks=hooks, plan=plan, others={"other": ScriptedBackend()}) as story:
        await story.say_command()
        await story.understood("hello")
        story.dialogue.emit(Diagnostic(story.turn, "I am lost"))
        await settle()
        [started] = story.told("fallback.started")
        assert (started.data["reason"], started.data["to"]) == ("control_rejected", "other")


async def test_vona_runtime_decision_inject_context_tells_the_backend_something() -> None:
    hooks, event = Hooks(), ContextEvent(source="house", payload={"asleep": ["nursery"]})
    hooks.control = lambda done: InjectContext(event) if isinstance(done, Diagnostic) else Continue()
    async with conversation(hooks=hooks, capabilities=BackendCapabilities(context_injection=True)) as story:
        await story.say_command()
        await story.understood("hello")
        story.dialogue.emit(Diagnostic(story.turn, "who is asleep?"))
        await settle()
        assert story.dialogue.context == [event]
        assert len(story.told("backend.diagnostic")) == 1


# Budgets


def plan(budget: Budget) -> Plan:
    return Plan(satellite="desk", backends=("scripted",), budget=budget)


async def test_meerkat_budgets_a_turn_out_of_tokens_says_so() -> None:
    async with conversation(plan=plan(Budget(tokens=100))) as story:
        await story.say_command()
        await story.understood("tell me everything")
        story.dialogue.brief.spend(90)
        with pytest.raises(VonadError) as exceeded:
            story.dialogue.brief.spend(90)
        story.dialogue.emit(ReplyFailed(story.turn, exceeded.value))
        await story.clock.advance(2)
        assert [event.data["what"] for event in story.told("budget.warning")] == ["tokens"]
        assert story.outcomes == ["budget_exceeded"]
        assert story.told("turn.ended")[0].data["heard_text"] == "Sorry, that took more than I am allowed to spend."


async def test_meerkat_budgets_a_turn_out_of_time_says_so() -> None:
    async with conversation(plan=plan(Budget(seconds=10))) as story:
        await story.say_command()
        await story.understood("tell me everything")
        await story.clock.advance(9)
        assert [event.data["what"] for event in story.told("budget.warning")] == ["seconds"]
        await story.clock.advance(3)
        assert story.outcomes == ["budget_exceeded"]


async def test_meerkat_budgets_a_turn_that_wants_too_many_skills_says_so(tmp_path: Path) -> None:
    lock = Lock(tmp_path, "read")
    async with conversation(plan=plan(Budget(skill_calls=1)), skills=lock.skills) as story:
        await story.say_command()
        await story.understood("open everything")
        turn = story.turn
        first = story.call_skill("probe", minutes=1)
        await settle()
        assert story.dialogue.outcomes[first.id].ok
        story.call_skill("probe", minutes=2)
        await story.clock.advance(2)
        assert story.outcomes == ["budget_exceeded"]
        assert (lock.opened, story.told("skill.rejected")[0].turn) == (1, turn)
