"""Endings: of turns, of announcements and of sessions. What was heard is kept, and nothing stays open for ever."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.chimes import ToyCues, played
from tests.conversation import FAILURE, Conversation, Hooks, conversation
from vonad.backend import BackendCapabilities, ReplyDone, ReplyFailed, ReplyText, SpeechStarted, Transcript
from vonad.control import InjectContext
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.plan import ContextEvent, Plan
from vonad.session.announcement import Announcement, new_announcement
from vonad.session.session import Session
from vonad.skill import AnySkill, Call, NoArgs, SkillResult, skill
from vonad.skills.attempt import Settled
from vonad.testing import ScriptedBackend, ScriptedHost, ScriptedLine, quiet, settle, speech

QUESTION = "Shall I turn it on?"
APOLOGY = "Sorry, something went wrong."
IDLE = Plan(satellite="desk", backends=("scripted",), purpose="idle")
REALTIME = BackendCapabilities(hears=True, turn_detection=True)


def sound(turn: int, seconds: float = 1.0) -> Frame:
    """A piece of a reply."""
    return Frame(speech(seconds).samples, 16_000, turn=turn)


def stop(session: Session) -> None:
    session.stop()


def wake(session: Session) -> None:
    session.listen(None)


def close(session: Session) -> None:
    session.close("user_ended")


def ended(story: Conversation, number: int = 0) -> dict[str, object]:
    """What was told of the end of a turn."""
    return dict(story.told("turn.ended")[number].data)


@pytest.mark.parametrize("act", [stop, wake, close])
async def test_a_reply_that_was_heard_to_its_end_stays_heard_whatever_cuts_its_follow_up_short(
    act: Callable[[Session], None],
) -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("turn on the lamp", QUESTION)
        await story.clock.advance(0.1)
        act(story.session)
        await settle()
        assert (ended(story)["outcome"], ended(story)["heard_text"]) == ("completed", QUESTION)
        assert [(said.user, said.assistant) for said in story.session._floor.exchanges] == [
            ("turn on the lamp", QUESTION)
        ]


async def test_a_reply_without_a_sound_is_apologised_for() -> None:
    async with conversation() as story:
        await story.say_command()
        story.dialogue.on_say = lambda _: story.dialogue.emit(
            ReplyText(story.turn, "It is noon."), ReplyDone(story.turn)
        )
        await story.understood("what time is it")
        assert story.backend.spoken == [APOLOGY]
        assert (ended(story)["outcome"], ended(story)["heard_text"]) == ("failed", APOLOGY)


async def test_a_reply_of_nothing_at_all_is_apologised_for() -> None:
    async with conversation() as story:
        await story.say_command()
        story.dialogue.on_say = lambda _: story.dialogue.emit(ReplyDone(story.turn))
        await story.understood("what time is it")
        assert story.backend.spoken == [APOLOGY]
        assert story.outcomes == ["failed"]


async def test_a_text_that_nobody_spoke_may_be_answered_in_silence() -> None:
    async with conversation(plan=IDLE) as story:
        story.dialogue.on_say = lambda _: story.dialogue.emit(ReplyDone(story.turn))
        story.session.ask("hello")
        await settle()
        assert (story.backend.spoken, story.outcomes) == ([], ["completed"])


@pytest.mark.parametrize(("result", "apologies"), [(SkillResult(), 0), (SkillResult(payload={"n": 1}), 1)])
async def test_a_skill_that_has_nothing_to_say_and_nothing_to_be_read_ends_its_turn_in_silence(
    result: SkillResult, apologies: int
) -> None:
    async def run(args: NoArgs, call: Call) -> SkillResult:
        return result

    hush = skill(name="hush", description="Do it.")(run)(NoSettings(), ScriptedHost())
    async with conversation(skills=((hush, "tests"),)) as story:
        await story.say_command()
        await story.understood("hush")
        story.call_skill("hush")
        await settle()
        story.dialogue.emit(ReplyDone(story.turn))
        await settle()
        assert len(story.backend.spoken) == apologies


async def test_a_reply_that_breaks_off_has_its_sound() -> None:
    async with conversation(cues=ToyCues("error")) as story:
        await story.say_command()
        story.dialogue.on_say = lambda _: story.dialogue.emit(ReplyText(1, "It is"), sound(1, 0.1))
        await story.understood("what time is it")
        story.dialogue.emit(ReplyFailed(1, FAILURE))
        await settle()
        assert played(story.line) == ["voice", "error"]
        assert story.outcomes == ["failed"]


async def test_a_reply_that_stalls_has_its_sound() -> None:
    async with conversation(cues=ToyCues("error")) as story:
        await story.say_command()
        story.dialogue.on_say = lambda _: story.dialogue.emit(ReplyText(1, "It is"), sound(1, 0.1))
        await story.understood("what time is it")
        await story.clock.advance(11)
        assert played(story.line) == ["voice", "error"]
        assert story.outcomes == ["failed"]


async def test_who_speaks_to_a_backend_that_finds_the_end_itself_is_not_cut_off_as_nobody() -> None:
    async with conversation(capabilities=REALTIME) as story:
        story.dialogue.emit(SpeechStarted(1))
        await story.hear(*[speech(0.5)] * 25)
        assert story.states == ["listening"]
        story.session.say(new_announcement("Dinner is ready."))
        await settle()
        assert story.states == ["listening"]


async def test_words_so_far_are_somebody_who_speaks() -> None:
    async with conversation(capabilities=REALTIME) as story:
        story.dialogue.emit(Transcript(1, "turn on", final=False))
        await story.hear(*[speech(0.5)] * 25)
        assert story.states == ["listening"]


async def test_nobody_who_speaks_to_a_backend_that_finds_the_end_itself_ends_the_turn_all_the_same() -> None:
    async with conversation(capabilities=REALTIME) as story:
        await story.hear(*[quiet(0.5)] * 21)
        assert (story.states, ended(story)["endpoint"]) == (["listening", "idle"], "no_speech")


async def test_sound_that_comes_late_is_heard_to_its_end_all_the_same() -> None:
    async with conversation() as story:
        await story.clock.advance(4.0)
        await story.hear(*[quiet(0.1)] * 58)
        await story.say_command()
        assert story.states == ["listening", "processing"]


async def test_an_announcement_is_acknowledged_when_its_turn_is_in_the_history() -> None:
    async with conversation(plan=IDLE) as story:
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        story.session._means.journal.turn_ended = lambda turn_id, record: stored  # type: ignore[method-assign]
        dinner = new_announcement("Dinner is ready.")
        story.session.say(dinner)
        await settle()
        assert (story.session.state, dinner.over, story.told("say.finished")) == ("idle", False, [])
        stored.set_result(True)
        await settle()
        assert dinner.state == "finished"
        assert [event.type for event in story.events][-2:] == ["turn.ended", "say.finished"]


async def test_an_announcement_that_is_cut_is_told_of_after_what_cut_it() -> None:
    line = ScriptedLine()
    async with conversation(plan=IDLE, line=line) as story:
        line.hold()
        dinner = new_announcement("Dinner is ready.")
        story.session.say(dinner)
        await settle()
        story.session.stop()
        assert not dinner.cancel()
        await settle()
        told = [event.type for event in story.events]
        assert told.index("say.finished") > max(told.index("interruption"), told.index("turn.ended"))
        assert (dinner.state, dinner.reason) == ("cancelled", "interrupted")


@pytest.mark.parametrize("reason", ["superseded", "error(internal_error)"])
async def test_an_announcement_that_is_being_said_when_its_session_ends_is_said_again(reason: str) -> None:
    line = ScriptedLine()
    returned: list[Announcement] = []
    async with conversation(plan=IDLE, line=line) as story:
        dinner = new_announcement("Dinner is ready.")
        dinner.give_back = returned.append
        line.hold()
        story.session.say(dinner)
        await settle()
        story.session.close(reason)
        await settle()
        assert (returned, dinner.state, story.told("say.finished")) == ([dinner], "queued", [])


async def test_the_first_sound_is_told_of_when_the_session_speaks() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        told = [(event.type, event.data.get("state") or event.data.get("stage")) for event in story.events]
        assert told.index(("latency.mark", "playback_started")) > told.index(("session.state", "speaking"))


async def test_a_backend_that_is_lost_when_its_reply_has_been_heard_is_not_asked_again() -> None:
    second = ScriptedBackend()
    plan = Plan(satellite="desk", backends=("scripted", "second"))
    async with conversation(plan=plan, others={"second": second}) as story:
        await story.say_command()
        await story.understood("turn on the lamp", QUESTION)
        story.dialogue.emit(FAILURE)
        await story.clock.advance(1.0)
        assert (ended(story)["outcome"], ended(story)["heard_text"]) == ("completed", QUESTION)
        assert not [said for said in second.dialogue.told if said.startswith("say")]


async def test_announcements_that_come_before_a_follow_up_do_not_keep_the_microphone_shut() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        await story.say_command()
        line.hold()
        await story.understood("turn on the lamp", QUESTION)
        story.session.say(new_announcement("Dinner is ready."))
        story.session.say(new_announcement("It is getting cold."))
        line.release()
        await story.clock.advance(2.0)
        assert story.states == [
            *["listening", "processing", "speaking"],
            *["idle", "speaking", "idle", "speaking", "listening"],
        ]


async def test_the_microphone_that_announcements_closed_opens_after_the_last_of_them() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        line.hold()
        story.session.say(new_announcement("Dinner is ready."))
        story.session.say(new_announcement("It is getting cold."))
        await settle()
        line.release()
        await story.clock.advance(1.0)
        assert story.states == ["listening", "speaking", "idle", "speaking", "listening"]


async def test_a_microphone_that_was_to_open_after_an_announcement_that_was_stopped_opens_after_no_other() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        line.hold()
        story.session.say(new_announcement("Dinner is ready."))
        await settle()
        story.session.stop()
        line.release()
        await settle()
        story.session.say(new_announcement("It is getting cold."))
        await story.clock.advance(2.0)
        assert story.states == ["listening", "speaking", "interrupted", "idle", "speaking", "idle"]


async def test_a_session_that_opened_for_an_announcement_stays_with_whom_it_began_to_talk_to() -> None:
    line = ScriptedLine()
    line.hold()
    plan = replace(IDLE, purpose="say")
    async with conversation(
        plan=plan, line=line, before=lambda session: session.say(new_announcement("Dinner is ready."))
    ) as story:
        story.session.listen(None)
        await settle()
        line.release()
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        await story.clock.advance(1.0)
        assert story.session.state == "idle"


async def test_a_session_whose_announcement_was_cancelled_before_it_opened_closes() -> None:
    def before(session: Session) -> None:
        announcement = new_announcement("Dinner is ready.")
        session.say(announcement)
        announcement.cancel()

    async with conversation(plan=replace(IDLE, purpose="say"), before=before) as story:
        assert story.states == ["idle", "closing", "closed"]
        assert story.told("session.closed")[0].data["reason"] == "backend_finished"


async def test_a_satellite_that_does_not_confirm_is_silenced_and_no_microphone_opens() -> None:
    line = ScriptedLine()
    async with conversation(line=line) as story:
        await story.say_command()
        line.hold()
        await story.understood("turn on the lamp", QUESTION)
        await story.clock.advance(7.0)
        assert (story.states, line.clears) == (["listening", "processing", "speaking", "idle"], 1)
        assert story.outcomes == ["failed"]


async def test_a_satellite_that_takes_no_more_is_given_up_5_s_after_its_sound_and_silenced() -> None:
    class Stuck(ScriptedLine):
        async def play(self, frame: Frame) -> None:
            if len(self.sound) == 3:
                await asyncio.Event().wait()
            await super().play(frame)

    line = Stuck(position=False)
    async with conversation(line=line) as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        await story.clock.advance(5.2)
        assert story.states[-1] == "speaking"
        await story.clock.advance(1.2)
        assert (story.states[-1], story.outcomes, line.clears) == ("idle", ["failed"], 1)


async def test_a_reply_that_was_not_cleared_is_not_told_as_cleared() -> None:
    class Deaf(ScriptedLine):
        async def clear(self) -> None:
            raise VonadError("transport_clear_failed", "it goes on playing", op="clear")

    line = Deaf()
    async with conversation(line=line) as story:
        await story.say_command()
        line.hold()
        await story.understood("what time is it", "It is noon.")
        story.session.stop()
        await settle()
        assert not story.told("playback.cleared")
        assert story.told("error")[-1].data["code"] == "transport_clear_failed"
        assert len(story.told("interruption")) == 1
        line.release()


def slow(name: str, seconds: float) -> tuple[AnySkill, str]:
    """A skill that never ends by itself."""

    async def run(args: NoArgs, call: Call) -> str:
        return await asyncio.get_running_loop().create_future()

    return skill(name=name, description="Do it.", timeout_s=seconds)(run)(NoSettings(), ScriptedHost()), "tests"


async def test_a_skill_that_is_begun_while_another_runs_has_its_whole_time() -> None:
    async with conversation(skills=(slow("short", 10.0), slow("long", 60.0))) as story:
        await story.say_command()
        await story.understood("do both")
        story.call_skill("short")
        await settle()
        story.call_skill("long")
        await story.clock.advance(55.0)
        assert (story.session.state, story.backend.spoken) == ("executing_skill", [])
        await story.clock.advance(6.0)
        assert [event.data["name"] for event in story.told("skill.timeout")] == ["short", "long"]


@pytest.mark.parametrize("sounded", [True, False])
async def test_a_skill_that_is_not_even_timed_out_ends_in_a_failed_turn(*, sounded: bool) -> None:
    async def hangs(*args: object, **more: object) -> Settled:
        return await asyncio.get_running_loop().create_future()

    async with conversation(skills=(slow("short", 10.0),), cues=ToyCues("error")) as story:
        story.session._means.desk.run = hangs  # type: ignore[method-assign]
        await story.say_command()
        await story.understood("do it")
        if sounded:
            story.dialogue.emit(ReplyText(1, "Let me look."), sound(1))
            await settle()
        story.call_skill("short")
        await story.clock.advance(15.9)
        assert story.session.state == "executing_skill"
        await story.clock.advance(0.2)
        assert story.outcomes == ["failed"]
        assert story.session.state == "idle"
        assert played(story.line) == (["voice", "error"] if sounded else ["voice"])


async def test_away_and_back_are_told_once_whatever_is_announced_meanwhile() -> None:
    async with conversation(plan=IDLE) as story:
        for _ in range(3):
            await story.clock.advance(61)
            story.session.say(new_announcement("Dinner is ready."))
            await settle()
        story.session.listen(None)
        await settle()
        assert [event.type for event in story.events if event.type.startswith("user.")] == ["user.away", "user.back"]


async def test_announcements_stop_the_idle_clock_and_do_not_set_it_back() -> None:
    line = ScriptedLine()
    async with conversation(plan=IDLE, line=line) as story:
        await story.clock.advance(290)
        line.hold()
        story.session.say(new_announcement("Dinner is ready."))
        await story.clock.advance(5)
        line.release()
        await story.clock.advance(9.9)
        assert story.session.state == "idle"
        await story.clock.advance(0.2)
        assert story.told("session.closed")[0].data["reason"] == "idle_timeout"


async def test_a_session_ends_though_a_skill_does_not_let_itself_be_cancelled() -> None:
    leave = asyncio.Event()

    async def run(args: NoArgs, call: Call) -> str:
        while not leave.is_set():
            with suppress(asyncio.CancelledError):
                await leave.wait()
        return "At last."

    stubborn = skill(name="stubborn", description="Do it.")(run)(NoSettings(), ScriptedHost())
    async with conversation(skills=((stubborn, "tests"),)) as story:
        try:
            await story.say_command()
            await story.understood("do it")
            story.call_skill("stubborn")
            await settle()
            story.session.close("user_ended")
            await story.clock.advance(2.9)
            states = list(story.states)
        finally:
            leave.set()
        assert states[-1] == "closed"
        assert len(story.told("skill.result")) == 1


async def test_a_session_ends_though_its_backend_does_not_take_what_policy_wants_it_to_know() -> None:
    hooks = Hooks()
    known = InjectContext(ContextEvent(source="policy"))
    hooks.control = lambda event: known if isinstance(event, SpeechStarted) else None
    line = ScriptedLine()
    able = BackendCapabilities(context_injection=True)
    async with conversation(hooks=hooks, capabilities=able, line=line) as story:
        await story.say_command()
        line.hold()
        await story.understood("what time is it", "It is noon.")
        story.dialogue.hang.add("inject")
        story.session.stop()
        await story.clock.advance(1.1)
        assert story.told("error")[-1].data["code"] == "timeout"
        story.session.close("user_ended")
        await story.clock.advance(3.0)
        assert story.session.state == "closed"
        line.release()


async def test_a_session_ends_after_3_s_though_the_history_is_silent() -> None:
    async with conversation() as story:
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        story.session._means.journal.turn_ended = lambda turn_id, record: stored  # type: ignore[method-assign]
        story.session.close("user_ended")
        await story.clock.advance(2.9)
        assert story.session.state == "closing"
        await story.clock.advance(0.2)
        assert story.session.state == "closed"
        assert ended(story)["stored"] is False
        assert [event.type for event in story.events][-1] == "session.closed"


async def test_a_session_ends_after_3_s_though_neither_line_nor_backend_do() -> None:
    class Stuck(ScriptedLine):
        async def clear(self) -> None:
            await asyncio.Event().wait()

    async with conversation(line=Stuck()) as story:
        story.backend.hang = {"close"}
        story.session.close("user_ended")
        await story.clock.advance(3.1)
        assert story.session.state == "closed"
        for task in asyncio.all_tasks():
            if " backend " in task.get_name():
                task.cancel()
