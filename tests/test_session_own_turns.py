"""What a session says of itself, and who opens and closes its microphone by hand."""

from tests.conversation import conversation
from vonad.backend import ReplyDone, ReplyText
from vonad.frame import Frame
from vonad.plan import Plan
from vonad.session.announcement import new_announcement
from vonad.testing import settle, speech


async def test_cyberverse_startup_greeting_is_said_once_and_then_the_session_listens() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), greeting="Hello.")
    async with conversation(plan=plan) as story:
        await story.clock.advance(1.0)
        assert story.states == ["speaking", "listening"]
        assert story.backend.spoken == ["Hello."]
        assert [event.data["source"] for event in story.told("turn.started")] == ["greeting", "follow_up"]
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        assert story.backend.spoken == ["Hello."]


async def test_cyberverse_startup_greeting_by_a_hidden_prompt_is_never_stored_as_the_user_s_text() -> None:
    prompt = "Greet the user in one sentence."
    plan = Plan(satellite="desk", backends=("scripted",), greeting_prompt=prompt)
    async with conversation(plan=plan) as story:
        assert story.dialogue.told == ["begin 1", f"say {prompt}"]
        sound = Frame(speech(0.5).samples, 16_000, turn=1)
        story.dialogue.emit(ReplyText(1, "Good evening!"), sound, ReplyDone(1))
        await story.clock.advance(1.0)
        [ended] = story.told("turn.ended")
        assert (ended.data["generated_text"], ended.data["outcome"]) == ("Good evening!", "completed")
        assert story.told("turn.final") == []
        assert story.states[-1] == "listening"
        await settle()
        assert [(e.user, e.assistant) for e in story.dialogue.history] == [("", "Good evening!")]


async def test_a_backend_without_a_greeting_is_not_apologised_for() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), greeting_prompt="Greet the user.")
    async with conversation(plan=plan) as story:
        story.dialogue.emit(ReplyDone(1, understood=False))
        await story.clock.advance(1.0)
        assert (story.backend.spoken, story.states[-1]) == ([], "listening")


async def test_a_session_of_text_greets_nobody() -> None:
    plan = Plan(satellite=None, backends=("scripted",), purpose="idle", greeting="Hello.")
    async with conversation(plan=plan, text_only=True) as story:
        assert story.states == ["idle"]


async def test_endpoint_released_whoever_holds_the_microphone_open_lets_go() -> None:
    async with conversation() as story:
        await story.hear(*[speech(0.1)] * 6)
        story.session.release()
        await settle()
        assert story.session.state == "processing"
        await story.understood("what time is it", "It is noon.")
        assert story.told("turn.ended")[0].data["endpoint"] == "released"
        story.session.release()
        assert story.session.state == "idle"


async def test_sound_that_was_lost_on_the_way_is_told_with_the_turn() -> None:
    async with conversation() as story:
        await story.hear(*[speech(0.1)] * 3)
        story.line.captured.dropped += 2
        await story.hear(*[speech(0.1)] * 5)
        story.session.release()
        await settle()
        await story.understood("what time is it", "It is noon.")
        assert story.told("turn.ended")[0].data["audio_gap"] is True


async def test_an_announcement_that_interrupts_just_before_the_follow_up_leaves_the_question_open() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), follow_up="always")
    async with conversation(plan=plan) as story:
        await story.say_command()
        await story.understood("turn on the lamp", "Shall I?")
        await story.clock.advance(0.1)
        story.session.say(new_announcement("Dinner is ready.", interrupt=True))
        await settle()
        await story.clock.advance(2.0)
        assert story.outcomes == ["completed", "completed"]
        assert story.session.state == "listening"
