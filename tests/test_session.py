"""One conversation, from wake to silence, and what can go wrong on the way."""

import pytest

from tests.conversation import FAILURE, Conversation, Hooks, conversation
from vonad.backend import BackendCapabilities, EndOfSpeech, ReplyDone, ReplyFailed, ReplyText, Transcript
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Plan, Wake
from vonad.session.announcement import new_announcement
from vonad.session.machine import State
from vonad.session.session import Session
from vonad.testing import ScriptedBackend, ScriptedLine, quiet, settle, speech

TEXT = Plan(satellite=None, backends=("scripted",), purpose="idle")


async def test_a_spoken_question_is_answered_aloud() -> None:
    async with conversation() as story:
        assert story.states == ["listening"]
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        assert story.states == ["listening", "processing", "speaking", "idle"]
        assert story.outcomes == ["completed"]
        [ended] = story.told("turn.ended")
        assert ended.data["generated_text"] == ended.data["heard_text"] == "It is noon."
        assert sum(frame.seconds for frame in story.line.sound) == pytest.approx(1.0)


async def test_first_audio_is_measured_from_the_last_speech_sample() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.clock.advance(0.05)
        await story.understood("what time is it", "It is noon.")
        [ended] = story.told("turn.ended")
        assert ended.data["endpoint"] == "silence"
        assert 700 <= float(str(ended.data["first_audio_ms"])) <= 950


async def test_nobody_speaks_and_the_turn_ends_silently() -> None:
    async with conversation() as story:
        await story.hear(*[quiet(0.5)] * 17)
        assert story.states == ["listening", "idle"]
        assert story.outcomes == ["empty"]
        assert story.told("turn.ended")[0].data["endpoint"] == "no_speech"
        assert story.line.sound == []


async def test_a_cough_is_no_speech() -> None:
    async with conversation() as story:
        await story.hear(quiet(0.5), speech(0.064), *[quiet(0.5)] * 17)
        assert story.outcomes == ["empty"]


async def test_speech_that_does_not_stop_ends_at_the_maximum() -> None:
    async with conversation() as story:
        await story.hear(*[speech(0.5)] * 61)
        assert story.states == ["listening", "processing"]
        assert story.told("session.state")[-1].data["reason"] == "max_length"


async def test_frames_that_stop_coming_do_not_leave_the_microphone_open() -> None:
    async with conversation() as story:
        await story.clock.advance(10.5)
        assert story.states == ["listening", "idle"]


async def test_frames_that_stop_coming_in_mid_sentence_end_the_turn() -> None:
    async with conversation() as story:
        await story.hear(speech(0.5))
        await story.clock.advance(2.1)
        assert story.states[:2] == ["listening", "processing"]
        assert story.told("session.state")[2].data["reason"] == "silence"


@pytest.mark.parametrize("heard", ["", " \n"])
async def test_what_no_recogniser_accepts_ends_in_an_apology(heard: str) -> None:
    async with conversation() as story:
        await story.say_command()
        story.dialogue.emit(Transcript(1, heard, final=True))
        await settle()
        assert story.states == ["listening", "processing", "speaking", "idle"]
        assert story.outcomes == ["not_understood"]
        assert story.backend.spoken == ["Sorry, I did not get that."]


async def test_what_no_agent_understands_ends_in_an_apology() -> None:
    async with conversation() as story:
        await story.say_command()
        story.dialogue.on_say = lambda _: story.dialogue.emit(ReplyDone(1, understood=False))
        await story.understood("play the beatles")
        assert story.outcomes == ["not_understood"]
        assert story.told("reply.complete")[0].data["text"] == "Sorry, I did not get that."


async def test_a_reply_that_fails_is_apologised_for_and_the_session_goes_on() -> None:
    async with conversation() as story:
        await story.say_command()
        story.dialogue.emit(ReplyFailed(1, FAILURE))
        await settle()
        assert story.outcomes == ["failed"]
        assert story.backend.spoken == ["Sorry, something went wrong."]
        assert story.session.state is State.IDLE


async def test_a_recogniser_that_fails_while_one_speaks_ends_the_turn_in_an_apology() -> None:
    async with conversation() as story:
        await story.hear(speech(0.5))
        story.dialogue.emit(ReplyFailed(1, FAILURE))
        await settle()
        assert story.states == ["listening", "processing", "speaking", "idle"]
        assert story.outcomes == ["failed"]


async def test_a_backend_without_an_answer_is_given_up_after_its_time() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.clock.advance(31)
        assert story.backend.spoken == ["Sorry, something went wrong."]
        assert story.outcomes == ["failed"]
        assert "interrupt" in story.dialogue.told


async def test_a_reply_that_stalls_in_the_middle_does_not_hold_the_session() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("tell me a story")
        story.dialogue.emit(ReplyText(1, "Once upon a time"), Frame(speech(1.0).samples, 16_000, turn=1))
        await settle()
        assert story.session.state is State.SPEAKING
        await story.clock.advance(16)
        assert story.session.state is State.IDLE
        assert story.outcomes == ["failed"]


async def test_a_dialogue_that_breaks_closes_the_session_with_its_code() -> None:
    async with conversation() as story:
        story.dialogue.emit(FAILURE)
        await settle()
        assert [e.data["reason"] for e in story.told("session.closed")] == ["error(backend_unavailable)"]


async def test_a_backend_that_cannot_start_closes_the_session_exactly_once() -> None:
    backend = ScriptedBackend()
    backend.failure = VonadError("backend_start_failed", "no")
    async with conversation(backend=backend) as story:
        pass
    assert [e.data["reason"] for e in story.told("session.closed")] == ["error(backend_start_failed)"]


async def test_late_words_of_an_older_turn_are_not_heard() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        story.session.listen(None)
        await settle()
        story.dialogue.emit(ReplyText(1, "late"), Frame(speech(1.0).samples, 16_000, turn=1), ReplyDone(1))
        await settle()
        assert story.session.state is State.LISTENING
        assert sum(frame.seconds for frame in story.line.sound) == pytest.approx(1.0)


async def test_a_question_reopens_the_microphone_after_the_confirmed_drain() -> None:
    async with conversation() as story:
        await story.say_command()
        story.line.hold()
        await story.understood("set a timer", "For how long?")
        await story.clock.advance(2)
        assert story.session.state is State.SPEAKING
        story.line.release()
        await settle()
        assert story.session.state is State.SPEAKING
        await story.clock.advance(0.3)
        assert story.states[-2:] == ["speaking", "listening"]
        assert story.told("turn.started")[-1].data["source"] == "follow_up"
        assert story.line.shown[-1] == ("listening", None)


async def test_a_follow_up_that_nobody_uses_ends_silently() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("set a timer", "For how long?")
        await story.clock.advance(0.3)
        await story.hear(*[quiet(0.5)] * 17)
        assert story.outcomes == ["completed", "empty"]
        assert story.session.state is State.IDLE


async def test_stop_ends_a_reply_at_once_and_keeps_what_was_heard() -> None:
    async with conversation() as story:
        await story.say_command()
        story.line.hold()
        await story.understood("tell me", "one two three four")
        story.line.heard(0.5)
        assert story.session.stop()
        await settle()
        assert story.states[-2:] == ["interrupted", "idle"]
        assert story.line.clears == 1
        [ended] = story.told("turn.ended")
        assert (ended.data["outcome"], ended.data["heard_text"]) == ("interrupted", "one two")
        assert ended.data["generated_text"] == "one two three four"


class Interrupted(ScriptedLine):
    """Looks around when it is to fall silent. broken_hush: it cannot do so at once."""

    def __init__(self, *, broken_hush: bool = False) -> None:
        super().__init__()
        self.story: Conversation | None = None
        self.seen: list[tuple[str, int]] = []
        self._broken_hush = broken_hush

    def hush(self) -> None:
        assert self.story is not None
        self.seen.append((self.story.session.state, self.clears))
        if self._broken_hush:
            raise RuntimeError("no such command")
        super().hush()


@pytest.mark.parametrize("broken", [False, True])
async def test_an_interrupted_satellite_falls_silent_before_anything_else_happens(
    broken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    line = Interrupted(broken_hush=broken)
    async with conversation(line=line) as story:
        line.story = story
        await story.say_command()
        line.hold()
        await story.understood("tell me", "one two three four")
        story.session.listen(Wake(satellite="desk", source="button", at=story.clock.monotonic()))
        assert (line.seen, line.clears) == ([("speaking", 0)], 0), "told at once, without a task of its own"
        await settle()
        assert (line.clears, story.states[-2:]) == (1, ["interrupted", "listening"])
    assert ("could not fall silent at once" in caplog.text) is broken


async def test_stop_closes_an_open_microphone() -> None:
    async with conversation() as story:
        assert story.session.stop()
        await settle()
        assert story.states == ["listening", "idle"]
        assert story.told("turn.ended")[0].data["endpoint"] == "cancelled"
        assert not story.session.stop()


async def test_cyberverse_preemption_a_wake_cuts_a_reply_short_and_listens() -> None:
    async with conversation() as story:
        await story.say_command()
        story.line.hold()
        await story.understood("tell me", "one two three four")
        wake = Wake(satellite="desk", source="mqtt", at=0.0)
        story.session.listen(wake)
        await settle()
        assert story.states[-3:] == ["speaking", "interrupted", "listening"]
        assert story.outcomes == ["superseded"]
        assert story.line.shown[-1] == ("listening", wake)


async def test_the_next_turn_is_told_what_was_heard() -> None:
    async with conversation() as story:
        await story.say_command()
        story.line.hold()
        await story.understood("tell me", "one two three four")
        story.line.heard(0.5)
        story.session.stop()
        await settle()
        story.session.listen(None)
        await settle()
        [exchange] = story.dialogue.history
        assert (exchange.user, exchange.assistant) == ("tell me", "one two")


async def test_a_text_session_answers_without_sound() -> None:
    async with conversation(plan=TEXT, text_only=True) as story:
        story.answer_with("It is noon.")
        turn = story.session.ask("what time is it")
        await settle()
        assert await turn.ended == "completed"
        assert turn.reply == "It is noon."
        assert not story.dialogue.brief.aloud
        assert story.states == ["idle", "processing", "idle"]


async def test_a_text_turn_is_refused_while_another_runs() -> None:
    async with conversation(plan=TEXT, text_only=True) as story:
        story.session.ask("first")
        with pytest.raises(VonadError, match="is processing") as refused:
            story.session.ask("second")
        assert refused.value.code == "session_busy"


async def test_text_is_answered_aloud_on_a_satellite() -> None:
    async with conversation(plan=Plan(satellite="desk", backends=("scripted",), purpose="idle")) as story:
        story.answer_with("It is noon.")
        story.session.ask("what time is it")
        await settle()
        assert story.states == ["idle", "processing", "speaking", "idle"]
        assert story.line.sound


async def test_an_announcement_opens_speaks_and_closes() -> None:
    announcement = []

    def queue(session: Session) -> None:
        announcement.append(new_announcement("dinner is ready", id="a1"))
        session.say(announcement[0])

    plan = Plan(satellite="desk", backends=("scripted",), purpose="say")
    async with conversation(plan=plan, before=queue) as story:
        assert story.states == ["speaking", "idle", "closing", "closed"]
        assert await announcement[0].done
        [finished] = story.told("say.finished")
        assert finished.data == {"id": "a1", "ok": True, "reason": "", "state": "finished"}


async def test_an_announcement_waits_for_the_end_of_a_reply() -> None:
    async with conversation() as story:
        await story.say_command()
        story.line.hold()
        await story.understood("what time is it", "It is noon.")
        story.session.say(new_announcement("dinner is ready"))
        await settle()
        assert story.backend.spoken == []
        story.line.release()
        await settle()
        assert story.backend.spoken == ["dinner is ready"]
        assert story.states[-4:] == ["speaking", "idle", "speaking", "idle"]


async def test_an_announcement_takes_an_unused_microphone_and_gives_it_back() -> None:
    async with conversation() as story:
        story.session.say(new_announcement("dinner is ready"))
        await settle()
        await story.clock.advance(0.3)
        assert story.states == ["listening", "speaking", "listening"]


async def test_an_urgent_announcement_interrupts() -> None:
    async with conversation() as story:
        await story.say_command()
        story.line.hold()
        await story.understood("what time is it", "It is noon.")
        story.line.release()
        story.line.hold()
        story.session.say(new_announcement("fire", interrupt=True))
        await settle()
        assert story.outcomes[0] == "interrupted"
        assert story.backend.spoken == ["fire"]


async def test_too_many_announcements_are_refused() -> None:
    async with conversation() as story:
        await story.hear(speech(0.5))
        for number in range(16):
            story.session.say(new_announcement(str(number)))
        with pytest.raises(VonadError, match="16 announcements wait") as refused:
            story.session.say(new_announcement("one more"))
        assert refused.value.code == "overload"


async def test_a_satellite_that_does_not_take_sound_fails_the_announcement_and_not_the_session() -> None:
    line = ScriptedLine()
    line.broken = True
    plan = Plan(satellite="desk", backends=("scripted",), purpose="idle")
    async with conversation(plan=plan, line=line) as story:
        announcement = new_announcement("dinner is ready")
        story.session.say(announcement)
        await settle()
        assert not await announcement.done
        assert story.session.state is State.IDLE


async def test_a_satellite_that_never_confirms_is_waited_for_with_a_limit() -> None:
    async with conversation() as story:
        await story.say_command()
        story.line.hold()
        await story.understood("what time is it", "It is noon.")
        await story.clock.advance(7)
        assert story.session.state is State.IDLE
        assert story.told("playback.finished")[0].data["ok"] is False


async def test_an_idle_session_closes_after_its_time() -> None:
    async with conversation(plan=TEXT, text_only=True) as story:
        await story.clock.advance(301)
        assert [e.data["reason"] for e in story.told("session.closed")] == ["idle_timeout"]


async def test_no_session_lasts_for_ever() -> None:
    async with conversation(plan=TEXT, text_only=True) as story:
        for _ in range(20):
            await story.clock.advance(200)
            if story.session.over:
                break
            story.answer_with("yes")
            story.session.ask("are you there")
            await settle()
        assert [e.data["reason"] for e in story.told("session.closed")] == ["max_duration"]


async def test_closing_in_mid_reply_ends_its_turn_and_clears_the_line() -> None:
    async with conversation() as story:
        await story.say_command()
        story.line.hold()
        await story.understood("what time is it", "It is noon.")
        story.session.close("user_ended")
        await settle()
        assert story.outcomes == ["interrupted"]
        assert story.line.clears == 1
        assert [e.data["reason"] for e in story.told("session.closed")] == ["user_ended"]
        types = [event.type for event in story.events]
        assert types.index("turn.ended") < types.index("session.closed")


async def test_cyberverse_two_pipelines_omni_a_backend_that_hears_the_end_of_a_turn_itself_is_believed() -> None:
    capabilities = BackendCapabilities(turn_detection=True, hears=True)
    async with conversation(capabilities=capabilities) as story:
        await story.hear(speech(0.5), quiet(5.0))
        assert story.states == ["listening"]
        story.dialogue.emit(EndOfSpeech(1, "semantic"), Transcript(1, "hello", final=True))
        story.dialogue.emit(ReplyText(1, "Hi."), Frame(speech(0.3).samples, 16_000, turn=1), ReplyDone(1))
        await settle()
        assert story.states == ["listening", "processing", "speaking", "idle"]
        assert "say hello" not in story.dialogue.told
        assert story.outcomes == ["completed"]


async def test_policy_may_change_what_was_said_and_the_history_keeps_both() -> None:
    hooks = Hooks()
    hooks.user_text = lambda text: text.replace("lamp", "light")
    async with conversation(hooks=hooks) as story:
        await story.say_command()
        await story.understood("turn on the lamp", "Done.")
        assert "say turn on the light" in story.dialogue.told
        assert story.told("transcript.final")[0].data["text"] == "turn on the lamp"
        assert story.told("turn.final")[0].data["text"] == "turn on the light"


async def test_a_policy_that_raises_refuses_the_turn() -> None:
    hooks = Hooks()

    def broken(text: str) -> object:
        raise RuntimeError("oops")

    hooks.user_text = broken
    async with conversation(hooks=hooks) as story:
        await story.say_command()
        await story.understood("turn on the lamp", "Done.")
        assert story.outcomes == ["failed"]
        assert not [told for told in story.dialogue.told if told.startswith("say")]


async def test_states_are_told_in_order_and_never_twice() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
    changes = story.told("session.state")
    assert all(change.data["state"] != change.data["previous"] for change in changes)
    assert [c.data["previous"] for c in changes[1:]] == [c.data["state"] for c in changes[:-1]]
    seqs = [event.seq for event in story.events]
    assert seqs == sorted(set(seqs))


async def test_the_first_words_before_the_microphone_opened_are_heard() -> None:
    past = [speech(0.2)]
    async with conversation(plan=Plan(satellite="desk", backends=("scripted",), purpose="idle")) as story:
        story.session._course._past = lambda: tuple(past)
        story.session.listen(None)
        await settle()
        assert len(story.dialogue.heard) == 1


async def test_a_wake_while_it_thinks_still_tells_the_line_what_opened_the_microphone() -> None:
    async with conversation() as story:
        await story.say_command()
        wake = Wake(satellite="desk", source="mqtt", at=0.0)
        story.session.listen(wake)
        await settle()
        assert story.states[-3:] == ["processing", "interrupted", "listening"]
        assert story.line.shown[-1] == ("listening", wake)


async def test_an_impossible_verb_changes_nothing() -> None:
    async with conversation() as story:
        turn = story.session.turn
        with pytest.raises(VonadError) as refused:
            story.session.ask("what time is it")
        assert refused.value.code == "session_busy"
        assert story.session.turn is turn
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        assert story.outcomes == ["completed"]
