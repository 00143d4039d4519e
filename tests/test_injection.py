"""What comes in from outside reaches whoever answers: with the next turn, in this one, or instead of it."""

import pytest

from tests.conversation import Conversation, conversation
from vonad.backend import BackendCapabilities, ReplyDone, ReplyText
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import ContextEvent, InjectMode, Plan
from vonad.testing import ScriptedBackend, settle, speech

DOOR = ContextEvent(source="door", payload={"open": True}, spoken_summary="The door is open.")
WORDLESS = ContextEvent(source="door", payload={"open": True})
IDLE = Plan(satellite="desk", backends=("scripted",), purpose="idle")
TAKES = BackendCapabilities(context_injection=True)


def applied(story: Conversation) -> list[tuple[object, object, object]]:
    return [(e.data["source"], e.data["mode"], e.data["applied"]) for e in story.told("context.injected")]


async def test_vona_external_context_event_queued_is_known_with_the_next_turn() -> None:
    async with conversation(plan=IDLE, capabilities=TAKES) as story:
        assert await story.session.inject(WORDLESS, "queue") == "queued"
        assert story.dialogue.context == []
        story.session.ask("is everything shut")
        await settle()
        assert story.dialogue.told == ["begin 1", "inject door", "say is everything shut"]
        assert applied(story) == [("door", "queue", "queued")]


async def test_vona_external_context_event_is_queued_for_a_backend_that_takes_none_as_part_of_what_was_said() -> None:
    async with conversation(plan=IDLE) as story:
        assert await story.session.inject(DOOR, "queue") == "said"
        await story.session.inject(WORDLESS, "queue")
        await story.clock.advance(3)
        story.session.ask("is everything shut")
        await settle()
        assert [exchange.user for exchange in story.dialogue.history if exchange.user] == [
            "(door says: The door is open.)",
            '(door says: {"open": true})',
        ]
        story.session.stop()
        await settle()
        story.session.ask("and now")
        await settle()
        assert not any("door" in exchange.user for exchange in story.dialogue.history)


async def test_vona_external_context_event_steers_a_running_turn() -> None:
    async with conversation(plan=IDLE, capabilities=TAKES) as story:
        story.session.ask("is everything shut")
        await settle()
        assert await story.session.inject(DOOR, "steer") == "steered"
        assert story.dialogue.context == [DOOR]
        assert story.session.state == "processing"
        await settle()
        assert applied(story) == [("door", "steer", "steered")]


async def test_vona_external_context_event_that_steers_an_idle_session_is_said() -> None:
    async with conversation(plan=IDLE, capabilities=TAKES) as story:
        assert await story.session.inject(DOOR, "steer") == "said"
        await story.clock.advance(3)
        assert story.backend.spoken == ["The door is open."]
        assert story.session.state == "idle"
        assert await story.session.inject(WORDLESS, "steer") == "steered"
        assert story.session.state == "idle"


async def test_vona_external_context_event_interrupts_the_reply_and_is_said_instead() -> None:
    async with conversation(plan=IDLE, capabilities=TAKES) as story:
        story.session.ask("tell me a story")
        await settle()
        assert await story.session.inject(DOOR, "interrupt") == "interrupted"
        await story.clock.advance(3)
        assert story.outcomes[0] == "interrupted"
        assert story.backend.spoken == ["The door is open."]
        story.session.ask("what did you say")
        await settle()
        assert story.dialogue.context == [DOOR]


async def test_context_that_interrupts_must_bring_what_is_said_in_place_of_the_reply() -> None:
    async with conversation(plan=IDLE, capabilities=TAKES) as story:
        story.session.ask("tell me a story")
        await settle()
        with pytest.raises(VonadError, match="needs a spoken_summary") as refused:
            await story.session.inject(WORDLESS, "interrupt")
        assert refused.value.code == "malformed"
        assert (story.session.state, applied(story)) == ("processing", [])
        story.session.stop()
        await settle()
        story.session.ask("what did you say")
        await settle()
        assert story.dialogue.context == []


async def test_vona_backend_capabilities_are_checked_before_a_turn_is_steered() -> None:
    async with conversation(plan=IDLE) as story:
        with pytest.raises(VonadError, match="takes no context into a turn") as refused:
            await story.session.inject(WORDLESS, "steer")
        assert refused.value.code == "capability_unsupported"
        assert applied(story) == []


@pytest.mark.parametrize("mode", ["queue", "steer"])
async def test_what_an_event_brings_to_say_is_said_after_the_turn_that_runs(mode: InjectMode) -> None:
    async with conversation(plan=IDLE) as story:
        story.session.ask("tell me a story")
        await settle()
        assert await story.session.inject(DOOR, mode) == "queued"
        assert story.backend.spoken == []
        story.dialogue.emit(ReplyText(1, "Once."), Frame(speech(1.0).samples, 16_000, turn=1), ReplyDone(1))
        await story.clock.advance(5)
        assert story.outcomes == ["completed", "completed"]
        assert story.backend.spoken == ["The door is open."]
        story.session.ask("what did you say")
        await settle()
        assert "(door says: The door is open.)" in {exchange.user for exchange in story.dialogue.history}


@pytest.mark.parametrize("mode", ["queue", "steer", "interrupt"])
async def test_what_comes_into_an_idle_session_is_told_as_said_when_it_is_said(mode: InjectMode) -> None:
    async with conversation(plan=IDLE) as story:
        assert await story.session.inject(DOOR, mode) == "said"
        await settle()
        assert applied(story) == [("door", mode, "said")]
        await story.clock.advance(3)
        assert story.backend.spoken == ["The door is open."]


async def test_what_is_queued_in_a_session_of_text_alone_is_known_and_not_said() -> None:
    plan = Plan(satellite=None, backends=("scripted",), purpose="idle")
    async with conversation(plan=plan, text_only=True) as story:
        assert await story.session.inject(DOOR, "queue") == "queued"
        story.session.ask("is everything shut")
        await settle()
        assert [exchange.user for exchange in story.dialogue.history] == ["(door says: The door is open.)"]


async def test_no_more_waits_than_a_model_would_make_sense_of() -> None:
    async with conversation(plan=IDLE, capabilities=TAKES) as story:
        for _ in range(16):
            await story.session.inject(WORDLESS, "queue")
        with pytest.raises(VonadError, match="16 events waiting") as refused:
            await story.session.inject(DOOR, "queue")
        assert not story.told("playback.started"), "what is refused is not said either"
        assert (refused.value.code, refused.value.retryable) == ("overload", True)


async def test_a_backend_that_does_not_take_it_is_told_of_and_the_turn_goes_on() -> None:
    async with conversation(plan=IDLE, capabilities=TAKES) as story:
        story.dialogue.hang.add("inject")
        await story.session.inject(WORDLESS, "queue")
        story.session.ask("is everything shut")
        await story.clock.advance(1.1)
        assert [event.data["code"] for event in story.told("error")] == ["backend_inject_failed"]
        assert story.dialogue.told == ["begin 1", "say is everything shut"]
        story.dialogue.hang.clear()
        story.dialogue.failures["inject"] = VonadError("backend_inject_failed", "full")
        with pytest.raises(VonadError, match="full"):
            await story.session.inject(DOOR, "steer")


async def test_a_backend_that_takes_over_is_told_what_the_first_one_knew() -> None:
    second = ScriptedBackend(TAKES)
    plan = Plan(satellite="desk", backends=("scripted", "second"), purpose="idle")
    async with conversation(plan=plan, capabilities=TAKES, others={"second": second}) as story:
        await story.session.inject(DOOR, "steer")
        await story.clock.advance(3)
        story.dialogue.emit(VonadError("backend_step_failed", "it fell over"))
        await settle()
        story.session.ask("is everything shut")
        await settle()
        assert second.dialogue.context == [DOOR]
        await story.session.inject(WORDLESS, "queue")
        story.session.stop()
        await settle()
        story.session.ask("and now")
        await settle()
        assert second.dialogue.context == [DOOR, WORDLESS]
