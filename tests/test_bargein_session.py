"""Barge-in as conversations: a full-duplex satellite, a reply that plays, and somebody who speaks over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.conversation import Conversation, Hooks, conversation
from vonad.backend import BackendCapabilities, Overheard, ReplyDone, ReplyText
from vonad.control import Continue
from vonad.frame import Frame
from vonad.plan import BargeIn, Plan
from vonad.session.session import Session
from vonad.testing import ScriptedLine, quiet, settle, speech

REPLY = "It is noon and the sun is shining on the roof."
OVERHEARS = BackendCapabilities(overhears=True)


@asynccontextmanager
async def replying(
    capabilities: BackendCapabilities = OVERHEARS,
    *,
    plan: Plan | None = None,
    hooks: Hooks | None = None,
    full_duplex: bool = True,
    done: bool = True,
) -> AsyncIterator[Conversation]:
    """A question was asked, and ten seconds of answer play, of which three were heard. done: nothing more comes."""
    line = ScriptedLine(full_duplex=full_duplex)
    async with conversation(plan=plan, capabilities=capabilities, line=line, hooks=hooks) as story:
        line.hold()
        story.answer_with(REPLY, seconds=10.0)
        if not done:
            story.dialogue.on_say = lambda _: story.dialogue.emit(ReplyText(story.turn, REPLY), more(story, 10.0))
        await story.say_command()
        await story.understood("what time is it")
        assert story.session.state == "speaking"
        line.heard(3.0)
        yield story
        line.release()


async def say(story: Conversation, words: str, seconds: float = 0.6) -> None:
    """Somebody says something, and the backend overhears it."""
    await story.hear(*[speech(0.02)] * round(seconds * 50))
    story.dialogue.emit(Overheard(story.turn, words))
    await settle()


def more(story: Conversation, seconds: float) -> Frame:
    """More of the reply's sound."""
    return Frame(speech(seconds).samples, 16_000, turn=story.turn)


def captured_s(frames: list[Frame]) -> float:
    return sum(frame.seconds for frame in frames)


async def test_who_speaks_over_a_reply_is_listened_to_from_the_first_word() -> None:
    async with replying() as story:
        await story.hear(*[quiet(0.02)] * 100)
        await say(story, "turn on the lamp")
        assert story.line.clears == 1
        assert story.session.state == "listening"
        assert story.dialogue.told[-2:] == ["interrupt", "begin 2"]
        assert captured_s(story.dialogue.heard) == pytest.approx(0.5 + 0.6, abs=0.06)
        assert [e.data["source"] for e in story.told("interruption")] == ["speech"]
        await story.hear(*[quiet(0.02)] * 50)
        await story.understood("turn on the lamp", "It is on.")
        assert story.outcomes[0] == "interrupted" or story.outcomes[0] == "superseded"
        assert story.told("turn.ended")[0].data["heard_text"] == "It is noon"
        assert story.told("turn.final")[-1].data["text"] == "turn on the lamp"


async def test_the_next_turn_is_told_only_what_was_heard() -> None:
    async with replying() as story:
        await say(story, "turn on the lamp")
        assert [exchange.assistant for exchange in story.dialogue.history] == ["It is noon"]


async def test_a_cough_makes_the_reply_quieter_for_2_s_and_interrupts_nothing() -> None:
    async with replying(done=False) as story:
        await story.hear(*[speech(0.02)] * 12)
        story.dialogue.emit(more(story, 1.0))
        await story.hear(*[quiet(0.02)] * 110)
        story.dialogue.emit(more(story, 1.0))
        await settle()
        assert (story.session.state, story.line.clears) == ("speaking", 0)
        ducked, loud = story.line.sound[-20:-10], story.line.sound[-10:]
        assert max(frame.samples[-1] for frame in ducked) == 1_250
        assert min(frame.samples[-1] for frame in loud) == 5_000


async def test_a_stop_word_interrupts_at_once_and_nobody_answers_it() -> None:
    async with replying() as story:
        await say(story, "stop", seconds=0.3)
        assert story.line.clears == 1
        assert story.session.state == "listening"
        assert [e.data["source"] for e in story.told("interruption")] == ["stop_word"]
        await story.hear(*[quiet(0.02)] * 50)
        await story.understood("stop")
        assert story.session.state == "idle"
        assert story.backend.spoken == []
        assert [text for text in story.dialogue.told if text.startswith("say")] == ["say what time is it"]


async def test_who_says_more_than_stop_is_answered() -> None:
    async with replying() as story:
        await say(story, "stop", seconds=0.3)
        await story.hear(*[speech(0.02)] * 50, *[quiet(0.02)] * 50)
        await story.understood("stop turn on the lamp", "It is on.")
        assert "say stop turn on the lamp" in story.dialogue.told


async def test_a_reply_that_leaks_back_does_not_interrupt_itself() -> None:
    async with replying() as story:
        await say(story, "noon and the sun is")
        await say(story, "shining on the roof", seconds=2.0)
        assert (story.session.state, story.line.clears) == ("speaking", 0)


async def test_seconds_alone_interrupt_a_backend_that_cannot_overhear() -> None:
    async with replying(BackendCapabilities()) as story:
        await story.hear(*[speech(0.02)] * 30)
        assert story.session.state == "listening"
        assert story.dialogue.overheard == []


async def test_on_a_half_duplex_line_speech_interrupts_nothing() -> None:
    async with replying(BackendCapabilities(), full_duplex=False) as story:
        assert not story.session.attentive
        await story.hear(*[speech(0.02)] * 100)
        assert (story.session.state, story.line.clears) == ("speaking", 0)


async def test_with_barge_in_off_speech_interrupts_nothing() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), barge_in=BargeIn(enabled=False))
    async with replying(BackendCapabilities(), plan=plan) as story:
        await story.hear(*[speech(0.02)] * 100)
        assert (story.session.state, story.line.clears) == ("speaking", 0)


async def test_a_session_is_attentive_while_its_reply_may_be_interrupted() -> None:
    async with replying() as story:
        assert story.session.attentive
        assert not story.session.listening
        story.line.release()
        await settle()
        assert story.session.state == "idle"
        assert not story.session.attentive


async def test_vona_interruption_counter_then_output_cleared_before_policy_sees_it() -> None:
    """Row: interruption | counter, then output cleared *before* policy sees it."""
    hooks, seen = Hooks(), list[tuple[str, int, int]]()
    stories: list[Conversation] = []

    def control(event: object) -> Continue:
        if stories:
            floor = stories[0].session._floor
            seen.append((type(event).__name__, floor.metrics.interruptions, stories[0].line.clears))
        return Continue()

    hooks.control = control
    async with replying(hooks=hooks) as story:
        stories.append(story)
        await say(story, "turn on the lamp")
        await story.hear(*[quiet(0.02)] * 50)
        await story.understood("turn on the lamp")
    assert seen
    assert all((counted, cleared) == (1, 1) for _, counted, cleared in seen)


async def test_output_is_cleared_before_anybody_is_told() -> None:
    cleared: list[tuple[str, int]] = []

    def watch(session: Session) -> None:
        floor = session._floor
        tell = floor.tell

        def told(type_: str, data: dict[str, object], **more: int | None) -> None:
            if type_ in {"interruption", "playback.cleared"} and isinstance(floor.line, ScriptedLine):
                cleared.append((type_, floor.line.clears))
            tell(type_, data, **more)

        floor.tell = told  # type: ignore[method-assign, assignment]

    line = ScriptedLine(full_duplex=True)
    async with conversation(capabilities=OVERHEARS, line=line, before=watch) as story:
        line.hold()
        story.answer_with(REPLY, seconds=10.0)
        await story.say_command()
        await story.understood("what time is it")
        await say(story, "turn on the lamp")
        assert cleared == [("playback.cleared", 1), ("interruption", 1)]
        line.release()


async def test_what_is_said_while_the_reply_is_being_silenced_is_not_lost() -> None:
    """Clearing takes a moment: what the ear captured meanwhile continues what broke in, without a gap or an echo."""
    line = SlowToClear()
    kept: list[Frame] = []

    def ear(session: Session) -> None:
        session._course._past = lambda: take(kept)

    async with conversation(capabilities=OVERHEARS, line=line, before=ear) as story:
        line.hold()
        story.answer_with(REPLY, seconds=10.0)
        await story.say_command()
        await story.understood("what time is it")
        for _ in range(30):
            at = story.clock.monotonic()
            kept.append(Frame(speech(0.02).samples, 16_000, at))
            await story.hear(speech(0.02))
        story.dialogue.emit(Overheard(story.turn, "turn on the lamp"))
        await settle()
        assert story.session.state == "interrupted"
        later = [Frame(speech(0.02).samples, 16_000, story.clock.monotonic() + 0.02 * n) for n in range(10)]
        kept += later
        line.cleared.set()
        await settle()
        assert story.session.state == "listening"
        times = [frame.at for frame in story.dialogue.heard]
        assert times == sorted(set(times))
        assert times[-1] == later[-1].at
        assert captured_s(story.dialogue.heard) == pytest.approx(
            0.1 + 0.6 + 0.2, abs=0.03
        )  # a moment before the speech too
        line.release()


def take(kept: list[Frame]) -> tuple[Frame, ...]:
    frames = tuple(kept)
    kept.clear()
    return frames


class SlowToClear(ScriptedLine):
    """Falls silent when it is told to."""

    def __init__(self) -> None:
        super().__init__(full_duplex=True)
        self.cleared = asyncio.Event()

    async def clear(self) -> None:
        await super().clear()
        await self.cleared.wait()


@pytest.mark.parametrize(("text", "answered"), [("sun or the rain", False), ("the rain", True)])
async def test_a_follow_up_that_only_repeats_our_last_words_counts_as_nothing_said(text: str, answered: bool) -> None:
    """Right behind our own words they are an echo; a moment later they are an answer."""
    async with conversation() as story:
        story.answer_with("Do you like the sun or the rain?")
        await story.say_command()
        await story.understood("ask me something")
        await story.clock.advance(0.31)
        assert story.session.state == "listening"
        wait = quiet(0.4 if answered else 0.0)
        await story.hear(wait, speech(0.3), *[quiet(0.1)] * 9)
        await story.understood(text, "I see.")
        assert ("say " + text in story.dialogue.told) is answered
        assert story.backend.spoken == []


async def test_a_reply_that_is_done_can_no_longer_be_interrupted() -> None:
    async with replying() as story:
        story.line.release()
        await settle()
        story.dialogue.emit(Overheard(story.turn, "turn on the lamp"), ReplyDone(story.turn))
        await settle()
        assert story.told("interruption") == []


async def test_who_is_speaking_when_a_reply_ends_by_itself_is_listened_to_without_a_follow_up() -> None:
    async with replying() as story:
        await story.hear(*[speech(0.02)] * 15)
        story.line.release()
        await settle()
        assert story.session.state == "listening"
        await story.hear(*[speech(0.02)] * 35, *[quiet(0.02)] * 40)
        assert captured_s(story.dialogue.heard) == pytest.approx(1.7, abs=0.2)
        await story.understood("turn on the lamp", "It is on.")
        assert story.dialogue.told[-1] == "say turn on the lamp"
        assert story.outcomes == ["completed", "completed"]


async def test_a_noise_when_a_reply_ends_by_itself_is_not_apologised_for() -> None:
    async with replying() as story:
        await story.hear(*[speech(0.02)] * 15)
        story.line.release()
        await settle()
        await story.hear(*[quiet(0.02)] * 40)
        await story.understood("")
        assert story.session.state == "idle"
        assert story.backend.spoken == []


async def test_who_was_overheard_to_repeat_the_reply_is_not_listened_to_when_it_ends() -> None:
    async with replying() as story:
        await story.hear(*[speech(0.02)] * 15)
        story.dialogue.emit(Overheard(story.turn, "shining on"))
        await settle()
        story.line.release()
        await settle()
        assert story.session.state == "idle"


async def test_whoever_is_told_of_an_interruption_hears_that_when_the_line_is_being_cleared_already() -> None:
    async with replying() as story:
        seen: list[int] = []

        async def watch() -> None:
            with story.session._means.publish.__self__.subscribe() as events:  # type: ignore[attr-defined]
                async for event in events:
                    if event.data.get("state") == "interrupted":
                        seen.append(story.line.clears)

        watching = asyncio.create_task(watch())
        await settle()
        story.session.stop()
        await settle()
        watching.cancel()
        assert seen == [1]
