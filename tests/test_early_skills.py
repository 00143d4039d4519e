"""Skills of a prepared answer: one that reads runs early, and means something to the turn only if the answer does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.conversation import Conversation, Hooks, conversation
from vonad.backend import BackendCapabilities, ReplyDone, ReplyText, SkillRequest, Transcript
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.plan import Budget, Plan, Preemptive
from vonad.skill import AnySkill, Call, Confirm, NoArgs, Risk, SkillCall, SkillResult, skill
from vonad.testing import ScriptedBackend, ScriptedHost, quiet, settle, speech


class Story:
    """Two skills, `look` and `lamp`, that come to `result` or `failure` once they are `done`.

    asked: who ran, for which words.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.done = asyncio.Event()
        self.done.set()
        self.result = SkillResult(speech="It is empty.")
        self.failure: VonadError | None = None
        self.talk: Conversation

    def skill(self, name: str, risk: Risk) -> tuple[AnySkill, str]:
        async def run(args: NoArgs, call: Call) -> SkillResult:
            self.asked.append((name, call.text))
            await self.done.wait()
            if self.failure is not None:
                raise self.failure
            return self.result

        return skill(name=name, description="Do it.", risk=risk)(run)(NoSettings(), ScriptedHost()), "tests"

    async def pauses(self, words: str, *wishes: str) -> None:
        """The user says this and pauses; what was prepared for it wants these skills."""
        talk = self.talk
        await talk.hear(*[speech(0.1)] * 5)
        talk.dialogue.emit(Transcript(talk.turn, words))
        await settle()
        await talk.hear(*[quiet(0.02)] * 6)
        for number, name in enumerate(wishes):
            talk.dialogue.emit(SkillRequest(talk.turn, SkillCall(f"{words} {number}", name, {}), early=True))
        await settle()

    async def ends(self, words: str) -> None:
        """The user says no more; these were the words."""
        await self.talk.hear(*[quiet(0.1)] * 9)
        await self.talk.understood(words)

    def said(self) -> list[str]:
        """What the dialogue was asked, and what came of it."""
        return [told for told in self.talk.dialogue.told if told.split()[0] in {"say", "confirm"}]


@asynccontextmanager
async def story(
    *, preemptive: Preemptive = "discard", budget: Budget | None = None, hooks: Hooks | None = None, backends: int = 1
) -> AsyncIterator[Story]:
    tale = Story()
    plan = Plan(
        satellite="desk",
        backends=("scripted", "other")[:backends],
        follow_up="never",
        preemptive=preemptive,
        budget=budget or Budget(),
    )
    async with conversation(
        plan=plan,
        capabilities=BackendCapabilities(prepares=True),
        others={"other": ScriptedBackend()} if backends > 1 else None,
        skills=(tale.skill("look", "read"), tale.skill("lamp", "reversible")),
        hooks=hooks,
    ) as talk:
        tale.talk = talk
        reply = "A chicken crossed the road."

        def answer(_: str) -> None:
            sound = Frame(speech(0.5).samples, 16_000, turn=talk.turn)
            talk.dialogue.emit(ReplyText(talk.turn, reply), sound, ReplyDone(talk.turn))

        talk.dialogue.on_say = talk.dialogue.on_confirm = answer
        yield tale
        tale.done.set()
        await settle()


def asks(question: str) -> Hooks:
    hooks = Hooks()
    hooks.review = lambda call: Confirm(question)
    return hooks


# An answer that nobody wanted


async def test_an_abandoned_draft_s_skill_that_fails_fails_no_turn() -> None:
    async with story() as tale:
        tale.failure = VonadError("skill_failed", "it is not there")
        await tale.pauses("what is in the", "look")
        await tale.ends("tell me a joke")
        assert tale.talk.outcomes == ["completed"]
        assert tale.talk.told("turn.ended")[0].data["stages"].keys().isdisjoint({"skill"})


async def test_an_abandoned_draft_s_skill_opens_no_microphone() -> None:
    async with story() as tale:
        tale.result = SkillResult(speech="Which one?", follow_up=True)
        await tale.pauses("what is in the", "look")
        await tale.ends("tell me a joke")
        await tale.talk.clock.advance(1.0)
        assert tale.talk.session.state == "idle"


async def test_an_abandoned_draft_s_skill_that_still_runs_holds_up_no_answer() -> None:
    async with story() as tale:
        tale.done.clear()
        await tale.pauses("what is in the", "look")
        await tale.ends("tell me a joke")
        assert tale.talk.states == ["listening", "processing", "speaking", "idle"]
        assert tale.talk.outcomes == ["completed"]


async def test_abandoned_drafts_spend_nothing_of_the_turn_s_budget() -> None:
    async with story(budget=Budget(skill_calls=1)) as tale:
        for words in ("what is", "what is in", "what is in the", "what is in the box"):
            await tale.pauses(words, "look")
            assert tale.talk.session.state == "listening"
        await tale.ends("what is in the box")
        assert tale.talk.outcomes == ["completed"]
        assert tale.said() == ["confirm"]
        assert [warned.data["used"] for warned in tale.talk.told("budget.warning")] == [1]


async def test_a_draft_whose_skills_cost_more_than_the_turn_may_is_none_and_nobody_is_interrupted() -> None:
    async with story(budget=Budget(skill_calls=0)) as tale:
        await tale.pauses("what is in the box", "look")
        assert tale.talk.session.state == "listening"
        assert tale.asked == []
        await tale.ends("what is in the box")
        assert tale.said() == ["say what is in the box"]


async def test_nobody_is_asked_for_a_yes_while_speaking_the_final_words_are_answered_anew() -> None:
    async with story(hooks=asks("May I look?")) as tale:
        await tale.pauses("what is in the box", "look")
        assert (tale.talk.line.sound, tale.talk.session.state, tale.talk.told("skill.confirm")) == ([], "listening", [])
        tale.talk.dialogue.on_say = lambda _: tale.talk.call_skill("look") and None
        await tale.ends("what is in the box")
        assert tale.said() == ["say what is in the box"]
        assert tale.talk.backend.spoken == ["May I look?"]
        assert tale.asked == []


async def test_an_abandoned_draft_s_skill_moves_nobody_to_another_backend() -> None:
    hooks = Hooks()
    hooks.fall_back = lambda reason: True
    async with story(hooks=hooks, backends=2) as tale:
        tale.failure = VonadError("skill_failed", "it is not there")
        await tale.pauses("what is in the", "look")
        await tale.ends("tell me a joke")
        assert tale.talk.told("fallback.started") == []
        assert tale.talk.outcomes == ["completed"]


async def test_a_wish_that_comes_when_its_draft_is_abandoned_is_nobody_s() -> None:
    async with story() as tale:
        await tale.pauses("what is in the")
        tale.talk.dialogue.on_say = lambda _: None
        await tale.ends("tell me a joke")
        tale.talk.dialogue.emit(SkillRequest(tale.talk.turn, SkillCall("late", "lamp", {}), early=True))
        await settle()
        assert tale.asked == []


# An answer that is the answer


async def test_what_a_confirmed_draft_s_skill_came_to_counts_for_the_turn() -> None:
    async with story() as tale:
        tale.failure = VonadError("skill_failed", "it is not there")
        await tale.pauses("what is in the box", "look")
        assert tale.talk.dialogue.outcomes["what is in the box 0"].speech == "Sorry, something went wrong."
        await tale.ends("what is in the box")
        assert tale.said() == ["confirm"]
        assert tale.talk.outcomes == ["failed"]
        assert "skill" in tale.talk.told("turn.ended")[0].data["stages"]


async def test_a_confirmed_draft_s_skill_may_open_the_microphone() -> None:
    async with story() as tale:
        tale.result = SkillResult(speech="Which one?", follow_up=True)
        await tale.pauses("what is in the box", "look")
        await tale.ends("what is in the box")
        await tale.talk.clock.advance(1.0)
        assert tale.talk.session.state == "listening"


async def test_a_confirmed_draft_s_skill_that_failed_may_move_the_turn_to_another_backend() -> None:
    hooks = Hooks()
    hooks.fall_back = lambda reason: True
    async with story(hooks=hooks, backends=2) as tale:
        tale.failure = VonadError("skill_failed", "it is not there")
        await tale.pauses("what is in the box", "look", "lamp")
        assert tale.talk.told("fallback.started") == []
        await tale.ends("what is in the box")
        assert [event.data["reason"] for event in tale.talk.told("fallback.started")] == ["tool_failed"]
        assert tale.said() == ["say what is in the box"]
        assert ("lamp", "what is in the box") not in tale.asked


async def test_a_skill_begun_early_that_still_runs_when_listening_ends_is_being_executed() -> None:
    async with story() as tale:
        tale.done.clear()
        await tale.pauses("what is in the box", "look")
        tale.talk.dialogue.on_confirm = lambda _: None
        await tale.ends("what is in the box")
        assert tale.talk.states == ["listening", "processing", "executing_skill"]
        tale.done.set()
        await settle()
        assert tale.talk.states[3:] == ["processing"]
        assert tale.talk.dialogue.outcomes["what is in the box 0"].speech == "It is empty."


# What is done is done for the very words


@pytest.mark.parametrize("preemptive", ["use_if_similar", "always_use"])
async def test_what_waits_to_be_done_is_done_only_for_the_very_words_whatever_the_strategy(
    preemptive: Preemptive,
) -> None:
    async with story(preemptive=preemptive) as tale:
        await tale.pauses("please turn on the lamp in the bedroom", "lamp")
        await tale.ends("please turn off the lamp in the bedroom")
        assert tale.said() == ["say please turn off the lamp in the bedroom"]
        assert tale.asked == []


@pytest.mark.parametrize("preemptive", ["discard", "use_if_similar", "always_use"])
async def test_what_waits_to_be_done_is_done_for_the_very_words(preemptive: Preemptive) -> None:
    async with story(preemptive=preemptive) as tale:
        await tale.pauses("please turn on the lamp", "lamp")
        await tale.ends("Please turn on the lamp.")
        assert tale.said() == ["confirm"]
        assert tale.asked == [("lamp", "Please turn on the lamp.")]


async def test_an_answer_that_only_reads_is_used_for_similar_words() -> None:
    async with story(preemptive="always_use") as tale:
        await tale.pauses("what is in the box", "look")
        await tale.ends("what is in the big box")
        assert tale.said() == ["confirm"]


async def test_an_answer_used_for_other_words_that_wants_to_do_something_after_all_is_made_anew() -> None:
    async with story(preemptive="always_use") as tale:
        await tale.pauses("turn on the lamp")
        talk = tale.talk
        talk.dialogue.on_confirm = lambda _: talk.dialogue.emit(SkillRequest(talk.turn, SkillCall("on", "lamp", {})))
        talk.dialogue.on_say = lambda _: talk.dialogue.emit(SkillRequest(talk.turn, SkillCall("off", "lamp", {})))
        await tale.ends("turn off the lamp")
        assert tale.said() == ["confirm", "say turn off the lamp"]
        assert set(talk.dialogue.outcomes) == {"off"}
