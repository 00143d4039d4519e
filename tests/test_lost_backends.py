"""Backends that are lost at a bad moment: whatever a dialogue does, the user is answered, or told why not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from tests.chimes import ToyCues, played, sound
from tests.conversation import FAILURE, Conversation, Hooks, conversation
from tests.test_fallback import TEXT, TWO, SlowToOpen, a_skill, told, two
from vonad.backend import (
    BackendCapabilities,
    Brief,
    Dialogue,
    Reply,
    ReplyDone,
    ReplyFailed,
    Transcript,
)
from vonad.clock import Timer
from vonad.control import ControlEvent
from vonad.engine import VoiceActivityDetector
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import BargeIn, Budget, ContextEvent, Plan
from vonad.session.announcement import new_announcement
from vonad.skill import Call, NoArgs
from vonad.testing import LoudnessDetector, ManualClock, ScriptedBackend, ScriptedLine, quiet, settle, speech

THREE = Plan(satellite="desk", backends=("scripted", "second", "third"))
ALONE = Plan(satellite="desk", backends=("scripted",))
APOLOGY = ToyCues("error", spoken=("unavailable",))


class Fickle(ScriptedBackend):
    """Its dialogues open, and break at once."""

    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        return self._fickly(brief)

    @asynccontextmanager
    async def _fickly(self, brief: Brief) -> AsyncIterator[Dialogue]:
        async with super().open(brief) as dialogue:
            self.dialogue.emit(FAILURE)
            yield dialogue


def breaks(story: Conversation, method: str) -> None:
    """The present dialogue raises what no contract speaks of."""
    story.dialogue.failures[method] = ConnectionError("the socket is closed")  # type: ignore[assignment]


class Careless(ScriptedBackend):
    """What its dialogues say is waited for in a task of their own: `work`."""

    work: asyncio.Task[bool]

    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        return self._carelessly(brief)

    @asynccontextmanager
    async def _carelessly(self, brief: Brief) -> AsyncIterator[Dialogue]:
        async with super().open(brief) as dialogue:
            self.work = asyncio.create_task(asyncio.Event().wait())
            self.dialogue.replies = self._replies  # type: ignore[method-assign]
            yield dialogue

    async def _replies(self) -> AsyncIterator[Reply]:
        await self.work
        yield ReplyDone(1)


def reasons(story: Conversation) -> list[object]:
    return [event.data["reason"] for event in story.told("session.closed")]


def codes(story: Conversation) -> list[object]:
    return [event.data["code"] for event in story.told("error")]


async def answered(story: Conversation) -> None:
    """The next backend has been asked, and answers."""
    assert story.session.view().backend == "second"
    story.answer_with("It is noon.")
    story.dialogue.on_say("")
    await settle()
    await story.clock.advance(1.0)


async def reply_plays(story: Conversation) -> None:
    """All of the reply has been made, and is being heard."""
    await story.say_command()
    await story.understood("what time is it", "It is noon?")
    assert story.session.state == "speaking"


async def test_a_backend_whose_own_task_is_cancelled_is_lost_as_any_other() -> None:
    careless = Careless()
    async with conversation(plan=TWO, backend=careless, others={"second": ScriptedBackend()}) as story:
        await story.say_command()
        careless.work.cancel()
        await settle()
        assert (story.session.view().backend, story.bench.lost) == ("second", ["scripted"])
        await story.understood("what time is it", "It is noon.")
        assert story.outcomes == ["completed"]


@pytest.mark.parametrize("method", ["hear", "commit", "say"])
async def test_a_method_in_which_something_of_its_own_is_cancelled_has_failed(method: str) -> None:
    async with two() as story:
        story.dialogue.failures[method] = asyncio.CancelledError()  # type: ignore[assignment]
        await story.say_command()
        if method == "say":
            await story.understood("what time is it")
        assert (story.session.view().backend, story.bench.lost) == ("second", ["scripted"])


async def test_a_line_in_which_something_of_its_own_is_cancelled_ends_its_session_and_no_turn_hangs() -> None:
    class Careless(ScriptedLine):
        async def play(self, frame: Frame) -> None:
            raise asyncio.CancelledError

    async with conversation(line=Careless()) as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        assert (reasons(story), len(story.outcomes)) == (["error(internal_error)"], 1)


# What a dialogue's methods raise


async def test_a_dialogue_that_fails_to_take_words_is_left_and_the_next_one_answers_them() -> None:
    async with two() as story:
        await story.say_command()
        breaks(story, "say")
        await story.understood("what time is it")
        assert [started["reason"] for started in told(story, "fallback.started")] == ["backend_unavailable"]
        assert story.dialogue.told == ["begin 1", "say what time is it"]
        assert story.bench.lost == ["scripted"]
        await answered(story)
        assert story.outcomes == ["completed"]


async def test_a_dialogue_that_fails_to_take_a_written_turn_up_is_left_and_the_next_one_answers_it() -> None:
    async with two(TEXT) as story:
        breaks(story, "begin")
        story.session.ask("what time is it")
        await settle()
        assert story.dialogue.told == ["begin 1", "say what time is it"]
        await answered(story)
        assert story.outcomes == ["completed"]


async def test_a_written_turn_that_a_dialogue_never_takes_up_is_asked_of_the_next_in_words() -> None:
    async with two(TEXT) as story:
        story.dialogue.hang.add("begin")
        story.session.ask("what time is it")
        await story.clock.advance(30.1)
        assert story.dialogue.told == ["begin 1", "say what time is it"]


async def test_a_dialogue_that_fails_to_take_a_spoken_turn_up_costs_no_word_and_no_end_of_the_words() -> None:
    async with two(replace(TWO, purpose="idle")) as story:
        breaks(story, "begin")
        story.session.listen(None)
        await story.say_command()
        assert story.session.view().backend == "second"
        assert story.dialogue.told == ["begin 1", "commit"]
        assert len(story.dialogue.heard) >= 17
        await story.understood("what time is it", "It is noon.")
        assert story.outcomes == ["completed"]


async def test_sound_that_waited_for_a_dialogue_that_then_broke_counts_as_speech_all_the_same() -> None:
    async with two(replace(TWO, purpose="idle")) as story:
        first = story.dialogue
        first.hang.add("begin")
        story.session.listen(None)
        await story.hear(*[speech(0.1)] * 10)
        first.emit(FAILURE)
        await settle()
        await story.hear(*[quiet(0.1)] * 9)
        assert story.session.state == "processing"
        assert story.dialogue.told == ["begin 1", "commit"]


async def test_a_dialogue_that_fails_to_hear_is_left_and_the_next_one_hears_everything() -> None:
    async with two() as story:
        await story.hear(*[speech(0.1)] * 3)
        breaks(story, "hear")
        await story.hear(*[speech(0.1)] * 5, *[quiet(0.1)] * 9)
        assert story.session.view().backend == "second"
        assert story.dialogue.told == ["begin 1", "commit"]
        assert len(story.dialogue.heard) >= 15
        assert story.states == ["listening", "falling_back", "listening", "processing"]


async def test_a_dialogue_that_fails_to_hear_the_end_of_the_words_is_left() -> None:
    async with two() as story:
        breaks(story, "commit")
        await story.say_command()
        assert story.session.view().backend == "second"
        assert story.dialogue.told == ["begin 1", "commit"]


async def test_a_dialogue_that_fails_to_take_a_skill_s_answer_is_left_and_the_next_one_is_asked() -> None:
    async def look(args: NoArgs, call: Call) -> str:
        """Look."""
        return "Nothing."

    async with two(skills=(a_skill(look),)) as story:
        await story.say_command()
        await story.understood("look")
        breaks(story, "answer")
        story.call_skill("look")
        await settle()
        assert story.dialogue.told == ["begin 1", "say look"]
        await answered(story)
        assert story.outcomes == ["completed"]


async def test_a_dialogue_that_fails_to_be_interrupted_is_left_for_that_reason() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it")
        breaks(story, "interrupt")
        story.session.stop()
        await settle()
        assert told(story, "fallback.started")[0]["reason"] == "interrupted"
        assert (story.session.state, story.session.view().backend) == ("idle", "second")
        assert story.outcomes == ["interrupted"]


async def test_a_dialogue_that_fails_while_a_reply_is_overheard_is_left() -> None:
    line = ScriptedLine(full_duplex=True)
    can = BackendCapabilities(overhears=True)
    async with two(replace(TWO, barge_in=BargeIn(need="any")), line=line, capabilities=can) as story:
        line.hold()
        await reply_plays(story)
        breaks(story, "overhear")
        await story.hear(*[speech(0.1)] * 3)
        assert story.session.state == "speaking", "the reply is all there: it is heard to its end"
        line.release()
        await story.clock.advance(1.0)
        assert story.outcomes == ["completed"]
        assert story.session.view().backend == "second"


async def test_a_dialogue_that_cannot_be_reached_for_a_sign_of_life_has_missed_one() -> None:
    async with two(TEXT) as story:
        breaks(story, "ping")
        await story.clock.advance(30.1)
        assert (story.session.state, told(story, "fallback.started")) == ("idle", [])
        await story.clock.advance(30.0)
        assert story.session.view().backend == "second"


async def test_context_that_a_dialogue_fails_to_take_is_refused_and_the_conversation_goes_on() -> None:
    async with conversation(
        plan=replace(ALONE, purpose="idle"), capabilities=BackendCapabilities(context_injection=True)
    ) as story:
        breaks(story, "inject")
        with pytest.raises(VonadError) as refused:
            await story.session.inject(ContextEvent(source="door"), "steer")
        assert refused.value.code == "backend_inject_failed"
        assert story.session.state == "idle"


async def test_an_answer_that_a_dialogue_fails_to_prepare_is_made_once_the_words_are_final() -> None:
    async with two(capabilities=BackendCapabilities(prepares=True)) as story:
        breaks(story, "prepare")
        await story.hear(*[speech(0.1)] * 10)
        story.dialogue.emit(Transcript(story.turn, "what time is it"))
        await story.hear(*[quiet(0.1)] * 9)
        assert story.session.view().backend == "scripted"
        assert codes(story) == ["backend_step_failed"]
        await story.understood("what time is it", "It is noon.")
        assert story.dialogue.told == ["begin 1", "commit", "say what time is it"]
        assert story.outcomes == ["completed"]


async def test_without_another_backend_a_dialogue_that_fails_ends_the_session_with_an_apology() -> None:
    line = ScriptedLine()
    async with conversation(plan=ALONE, cues=APOLOGY, line=line) as story:
        await story.say_command()
        breaks(story, "say")
        await story.understood("what time is it")
        await story.clock.advance(2.0)
        assert reasons(story) == ["error(backend_unavailable)"]
        assert (story.outcomes, played(line)[-1]) == (["failed"], "spoken")


async def test_what_a_dialogue_raises_that_was_left_already_is_of_no_interest() -> None:
    async with two(replace(TWO, purpose="idle")) as story:
        late = asyncio.Event()
        first = story.dialogue

        async def begin(*args: object, **more: object) -> None:
            await late.wait()
            raise ConnectionError("the socket is closed")

        first.begin = begin  # type: ignore[method-assign]
        story.session.listen(None)
        await settle()
        first.emit(FAILURE)
        await settle()
        late.set()
        await story.say_command()
        assert len(told(story, "fallback.started")) == 1
        assert story.dialogue.told == ["begin 1", "commit"]


# Backends that open, and break at once


async def test_a_first_backend_that_breaks_at_once_is_passed_over() -> None:
    async with conversation(plan=TWO, backend=Fickle(), others={"second": ScriptedBackend()}) as story:
        await settle()
        assert story.session.view().backend == "second"
        assert story.states == ["falling_back", "listening"]


async def test_a_second_backend_that_breaks_at_once_is_passed_over_in_the_middle_of_a_turn() -> None:
    async with conversation(plan=THREE, others={"second": Fickle(), "third": ScriptedBackend()}) as story:
        await story.say_command()
        await story.understood("what time is it")
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.session.view().backend == "third"
        assert story.dialogue.told == ["begin 1", "say what time is it"]
        assert "second" in story.bench.lost


async def test_a_second_backend_that_breaks_at_once_is_passed_over_in_a_quiet_session() -> None:
    plan = replace(THREE, purpose="idle")
    async with conversation(plan=plan, others={"second": Fickle(), "third": ScriptedBackend()}) as story:
        story.dialogue.emit(FAILURE)
        await settle()
        assert (story.session.state, story.session.view().backend) == ("idle", "third")
        story.session.ask("what time is it")
        await settle()
        assert story.dialogue.told == ["begin 1", "say what time is it"]


async def test_a_backend_that_breaks_when_it_is_told_of_the_turn_is_passed_over_too() -> None:
    class Deaf(ScriptedBackend):
        """It takes no turn up."""

        def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
            return self._deaf(brief)

        @asynccontextmanager
        async def _deaf(self, brief: Brief) -> AsyncIterator[Dialogue]:
            async with super().open(brief) as dialogue:
                self.dialogue.failures["begin"] = FAILURE
                yield dialogue

    async with conversation(plan=THREE, others={"second": Deaf(), "third": ScriptedBackend()}) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(FAILURE)
        await settle()
        assert (story.session.state, story.session.view().backend) == ("listening", "third")
        assert len(story.dialogue.heard) == 5
        await story.hear(*[speech(0.1)] * 3, *[quiet(0.1)] * 9)
        assert story.dialogue.told == ["begin 1", "commit"]


async def test_backends_that_all_break_at_once_end_the_session_with_an_apology() -> None:
    line = ScriptedLine()
    async with conversation(
        plan=THREE, others={"second": Fickle(), "third": Fickle()}, cues=APOLOGY, line=line
    ) as story:
        await story.say_command()
        await story.understood("what time is it")
        story.dialogue.emit(FAILURE)
        await story.clock.advance(2.0)
        assert reasons(story) == ["error(backend_unavailable)"]
        assert len(story.told("fallback.failed")) == 1
        assert played(line)[-1] == "spoken"


# Going home


async def degraded(story: Conversation, first: ScriptedBackend) -> None:
    """The first backend has come back."""
    assert story.session.view().degraded
    first.failure = None
    story.bench.rest()
    await story.clock.advance(61.0)
    await story.clock.advance(61.0)
    assert story.session.view().backend == "scripted"


def away_from_home(
    first: ScriptedBackend, can: BackendCapabilities | None = None
) -> AbstractAsyncContextManager[Conversation]:
    """A session whose first backend does not open, and whose second is another kind."""
    first.failure = FAILURE
    return conversation(plan=TEXT, backend=first, others={"second": ScriptedBackend(can)})


async def test_back_home_from_a_backend_that_finds_the_end_itself_the_session_finds_it_again() -> None:
    first = ScriptedBackend()
    async with away_from_home(first, BackendCapabilities(turn_detection=True, hears=True)) as story:
        await degraded(story, first)
        story.session.listen(None)
        await story.say_command()
        assert story.dialogue.told[-2:] == ["begin 1", "commit"]
        await story.understood("what time is it", "It is noon.")
        assert story.outcomes == ["completed"]


async def test_going_home_is_told_at_once() -> None:
    first = ScriptedBackend()
    async with away_from_home(first) as story:
        assert told(story, "session.state")[-1]["degraded"]
        await degraded(story, first)
        assert told(story, "fallback.over") == [{"from": "second", "to": "scripted", "degraded": False}]
        assert all(change["state"] != change["previous"] for change in told(story, "session.state"))


async def test_a_better_backend_that_breaks_while_it_waits_for_the_end_of_a_turn_is_left_out() -> None:
    async with conversation(plan=TEXT, backend=(first := SlowToOpen()), others={"second": ScriptedBackend()}) as story:
        await story.clock.advance(10.1)
        assert story.session.view().backend == "second"
        story.bench.rest()
        await story.clock.advance(61.0)
        story.session.ask("what time is it")
        first.opened.set()
        await settle()
        first.dialogue.emit(FAILURE)
        await settle()
        story.session.stop()
        await settle()
        assert (story.session.state, story.session.view().backend) == ("idle", "second")
        assert len(told(story, "fallback.started")) == 1
        assert story.bench.lost == ["scripted"]


async def test_signs_of_life_that_one_backend_missed_do_not_count_against_the_next() -> None:
    async with two(TEXT) as story:
        story.dialogue.failures["ping"] = FAILURE
        await story.clock.advance(30.1)
        story.session.ask("what time is it")
        await settle()
        story.dialogue.emit(FAILURE)
        await settle()
        await answered(story)
        story.dialogue.failures["ping"] = FAILURE
        await story.clock.advance(30.0)
        assert (story.session.state, len(told(story, "fallback.started"))) == ("idle", 1)


# Lost while nobody could act on it


async def test_a_backend_lost_while_its_reply_is_being_silenced_is_left_when_the_microphone_opens() -> None:
    line = SlowToClear()
    async with two(line=line) as story:
        line.hold()
        await reply_plays(story)
        line.clearing.clear()
        story.session.listen(None)
        await settle()
        assert story.session.state == "interrupted"
        story.dialogue.emit(FAILURE)
        await settle()
        line.clearing.set()
        line.release()
        await settle()
        await story.say_command()
        assert story.session.view().backend == "second"
        assert story.dialogue.told == ["begin 2", "commit"]
        await story.understood("and in Tokyo", "It is nine.")
        assert story.outcomes == ["superseded", "completed"]
        await story.clock.advance(40.0)
        assert len(told(story, "fallback.started")) == 1


async def test_a_backend_lost_during_an_announcement_is_left_when_the_microphone_opens_again() -> None:
    line = ScriptedLine()
    async with two(line=line) as story:
        line.hold()
        story.session.say(new_announcement("Dinner is ready."))
        await settle()
        story.dialogue.emit(FAILURE)
        await settle()
        line.release()
        await story.clock.advance(0.5)
        await story.say_command()
        assert story.session.view().backend == "second"
        assert story.dialogue.told[-1] == "commit"


async def test_what_one_backend_did_is_not_held_against_the_one_that_has_taken_over_meanwhile() -> None:
    async with two() as story:
        await story.say_command()
        await story.understood("what time is it")
        story.dialogue.hang.add("interrupt")
        story.session.listen(None)
        await settle()
        story.dialogue.emit(FAILURE)
        await story.clock.advance(1.1)
        assert story.session.view().backend == "second"
        await story.say_command()
        await story.understood("and in Tokyo", "It is nine.")
        await story.clock.advance(40.0)
        assert len(told(story, "fallback.started")) == 1
        assert not story.session.over


@pytest.mark.parametrize("plan", [ALONE, TWO], ids=["alone", "with another"])
async def test_a_reply_that_is_all_there_is_heard_to_its_end_when_its_backend_ends_the_dialogue(plan: Plan) -> None:
    line = ScriptedLine()
    others = {"second": ScriptedBackend()}
    async with conversation(plan=replace(plan, follow_up="never"), line=line, others=others, cues=APOLOGY) as story:
        line.hold()
        await reply_plays(story)
        story.dialogue.finish()
        await settle()
        assert story.session.state == "speaking"
        line.release()
        await story.clock.advance(2.0)
        assert told(story, "turn.ended")[0]["heard_text"] == "It is noon?"
        assert story.outcomes == ["completed"]
        assert reasons(story) == ["backend_finished"], "as one that just finishes between turns"
        assert "spoken" not in played(line)
        assert others["second"].dialogues == ()


async def test_after_a_reply_whose_backend_broke_while_it_was_heard_the_next_one_hears_the_follow_up() -> None:
    line = ScriptedLine()
    async with two(line=line) as story:
        line.hold()
        await reply_plays(story)
        story.dialogue.emit(FAILURE)
        await settle()
        line.release()
        await story.clock.advance(0.5)
        assert story.outcomes == ["completed"]
        assert (story.session.state, story.session.view().backend) == ("listening", "second")
        await story.say_command()
        assert story.dialogue.told == ["begin 2", "commit"]


async def test_an_apology_is_said_to_its_end_though_the_backend_is_lost_meanwhile() -> None:
    line = ScriptedLine()
    async with two(line=line) as story:
        line.hold()
        await story.say_command()
        await story.understood("")
        assert story.session.state == "speaking"
        story.dialogue.emit(FAILURE)
        await settle()
        line.release()
        await story.clock.advance(1.0)
        assert story.outcomes == ["not_understood"]
        assert (story.session.state, story.session.view().backend) == ("idle", "second")


# What ends meanwhile


async def test_a_budget_that_runs_out_while_another_backend_opens_ends_the_turn_as_soon_as_there_is_one() -> None:
    slow = SlowToOpen()
    async with two(replace(TWO, budget=Budget(seconds=4)), second=slow) as story:
        await story.say_command()
        await story.understood("what time is it")
        await story.clock.advance(2.0)
        story.dialogue.emit(FAILURE)
        await settle()
        await story.clock.advance(2.5)
        assert story.session.state == "falling_back"
        slow.opened.set()
        await settle()
        await story.clock.advance(2.0)
        assert story.outcomes == ["budget_exceeded"]
        assert story.backend.spoken == ["Sorry, that took more than I am allowed to spend."]
        assert story.session.state == "idle"
        assert not any(said.startswith("say") for said in story.dialogue.told)


# What is not the backend's fault


async def test_a_rewrite_of_the_reply_that_fails_is_apologised_for_and_not_the_backend_s_fault() -> None:
    hooks = Hooks()

    def broken(text: str) -> object:
        raise LookupError(text)

    hooks.reply = broken
    async with two(hooks=hooks) as story:
        await story.say_command()
        with pytest.raises(VonadError) as denied:
            story.dialogue.brief.rewrite("It is noon.")
        story.dialogue.emit(ReplyFailed(story.turn, denied.value))
        await settle()
        await story.clock.advance(1.0)
        assert story.outcomes == ["failed"]
        assert (story.session.view().backend, story.bench.lost) == ("scripted", [])
        assert story.backend.spoken == ["Sorry, something went wrong."]


async def test_a_rewrite_that_fails_inside_of_a_dialogue_s_own_method_is_not_the_backend_s_fault_either() -> None:
    hooks = Hooks()

    def broken(text: str) -> object:
        raise LookupError(text)

    hooks.reply = broken
    async with two(TEXT, hooks=hooks) as story:
        dialogue = story.dialogue
        dialogue.on_say = lambda _: dialogue.answer_text("It is noon.")
        story.session.ask("what time is it")
        await settle()
        await story.clock.advance(1.0)
        assert story.outcomes == ["failed"]
        assert (story.session.view().backend, story.bench.lost) == ("scripted", [])


async def test_words_that_policy_does_not_let_through_are_apologised_for_at_once_and_without_another_backend() -> None:
    hooks = Hooks()

    def broken(event: ControlEvent) -> object:
        raise LookupError(event)

    hooks.control = broken
    async with two(hooks=hooks) as story:
        await story.say_command()
        await story.understood("what time is it")
        await story.clock.advance(1.0)
        assert story.outcomes == ["failed"]
        assert story.backend.spoken == ["Sorry, something went wrong."]
        assert told(story, "fallback.started") == []


# What was to be known


@pytest.mark.parametrize("first", [False, True], ids=["plain", "takes context"])
@pytest.mark.parametrize("second", [False, True], ids=["plain", "takes context"])
async def test_what_a_turn_is_to_know_goes_along_to_the_next_backend(*, first: bool, second: bool) -> None:
    other = ScriptedBackend(BackendCapabilities(context_injection=second))
    oven = ContextEvent(source="oven", payload={"hot": True})
    async with two(TEXT, second=other, capabilities=BackendCapabilities(context_injection=first)) as story:
        await story.session.inject(oven, "queue")
        story.session.ask("what is hot")
        await settle()
        story.dialogue.emit(FAILURE)
        await settle()
        assert story.dialogue is other.dialogue
        known = [event.source for event in other.dialogue.context] + [said.user for said in other.dialogue.history]
        assert known == ["oven" if second else '(oven says: {"hot": true})']
        await answered(story)
        story.session.ask("and now")
        await settle()
        assert len(other.dialogue.context) == int(second)
        assert not any("oven says" in said.user for said in other.dialogue.history)


# Detectors that are not to be had


def hanging(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """No voice activity detector is to be had before this is set."""
    free = asyncio.Event()

    def lender() -> AbstractAsyncContextManager[VoiceActivityDetector]:
        @asynccontextmanager
        async def lend() -> AsyncIterator[VoiceActivityDetector]:
            await free.wait()
            yield LoudnessDetector()

        return lend()

    monkeypatch.setattr("tests.conversation._detector", lender)
    return free


async def test_a_detector_that_hangs_keeps_no_session_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging(monkeypatch)
    line = ScriptedLine()
    async with conversation(plan=ALONE, cues=APOLOGY, line=line) as story:
        await story.clock.advance(9.9)
        assert story.session.state == "connecting"
        await story.clock.advance(2.0)
        assert reasons(story) == ["error(timeout)"]
        assert played(line) == ["spoken"]


async def test_opening_a_dialogue_and_borrowing_a_detector_share_the_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hanging(monkeypatch)
    slow = SlowToOpen()
    async with conversation(plan=ALONE, backend=slow) as story:
        await story.clock.advance(6.0)
        slow.opened.set()
        await settle()
        await story.clock.advance(4.1)
        assert reasons(story) == ["error(timeout)"]


async def test_a_detector_that_hangs_while_falling_back_ends_in_an_apology_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hanging(monkeypatch)
    line = ScriptedLine()
    native = BackendCapabilities(turn_detection=True, hears=True)
    async with conversation(
        plan=TWO, others={"second": ScriptedBackend()}, line=line, capabilities=native, cues=APOLOGY
    ) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(FAILURE)
        await settle()
        await story.clock.advance(7.9)
        assert story.session.state == "falling_back"
        await story.clock.advance(2.0)
        assert len(story.told("fallback.failed")) == 1
        assert (story.outcomes, reasons(story)) == (["failed"], ["error(backend_unavailable)"])
        assert played(line) == ["spoken"]


async def test_the_whole_time_of_a_session_counts_from_its_beginning() -> None:
    slow = SlowToOpen()
    plan = Plan(satellite="desk", backends=("scripted",), purpose="idle")
    async with conversation(plan=plan, backend=slow) as story:
        await story.clock.advance(9.0)
        slow.opened.set()
        await settle()
        for pause in [280.0] * 12 + [231.5]:
            assert not story.session.over
            story.session.ask("what time is it")
            await settle()
            story.dialogue.answer_text("It is noon.")
            await settle()
            await story.clock.advance(pause)
        assert reasons(story) == ["max_duration"], "at 3600 s, of which it took 9 s to open"


# The last words


class LongWords(ToyCues):
    """An apology that takes longer to say than a session has to close."""

    def spoken(self, key: str, language: str) -> Sequence[Frame]:
        return sound("spoken", 175)


async def test_an_apology_at_the_end_of_the_chain_is_said_to_its_end_however_long_it_is() -> None:
    clock = LateClock()
    line = ScriptedLine(pace=clock)
    async with conversation(plan=ALONE, cues=LongWords(), line=line) as story:
        clock.real = story.clock
        story.dialogue.emit(FAILURE)
        await settle()
        await story.clock.advance(3.4)
        assert story.session.state == "closing"
        await story.clock.advance(0.3)
        assert story.session.state == "closed"
        assert line.played == pytest.approx(3.5)
        assert codes(story) == ["backend_step_failed", "backend_unavailable"]


async def test_a_line_that_hangs_holds_the_last_words_up_no_longer_than_they_are_and_three_seconds() -> None:
    line = ScriptedLine()
    async with conversation(plan=ALONE, cues=LongWords(), line=line) as story:
        line.hold()
        story.dialogue.emit(FAILURE)
        await settle()
        await story.clock.advance(6.6)
        assert story.session.state == "closed"


# Nobody there


async def test_nobody_is_away_twice_because_another_backend_took_over() -> None:
    async with two(TEXT) as story:
        await story.clock.advance(61.0)
        story.dialogue.emit(FAILURE)
        await settle()
        await story.clock.advance(61.0)
        assert (len(story.told("user.away")), len(story.told("user.back"))) == (1, 0)
        story.session.listen(None)
        await settle()
        assert (len(story.told("user.away")), len(story.told("user.back"))) == (1, 1)


async def test_somebody_who_comes_back_right_after_another_backend_took_over_is_back() -> None:
    async with two(TEXT) as story:
        await story.clock.advance(61.0)
        story.dialogue.emit(FAILURE)
        await settle()
        story.session.ask("hello")
        await settle()
        assert (len(story.told("user.away")), len(story.told("user.back"))) == (1, 1)


async def test_nobody_is_away_twice_because_something_was_announced() -> None:
    async with two(TEXT) as story:
        await story.clock.advance(61.0)
        story.session.say(new_announcement("Dinner is ready."))
        await settle()
        await story.clock.advance(70.0)
        assert (len(story.told("user.away")), len(story.told("user.back"))) == (1, 0)


class LateClock(ManualClock):
    """The clock of a conversation, for a line that is there before it."""

    real: ManualClock | None = None

    def monotonic(self) -> float:
        return self.real.monotonic() if self.real is not None else 0.0

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        assert self.real is not None
        return self.real.call_later(delay, callback)


class SlowToClear(ScriptedLine):
    """Clears when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.clearing = asyncio.Event()
        self.clearing.set()

    async def clear(self) -> None:
        await self.clearing.wait()
        await super().clear()
