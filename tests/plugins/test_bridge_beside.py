"""What the bridge does beside answering: fillers, context, what was spent, summaries, and what it says it can."""

from pathlib import Path

import pytest
from vonad_bridge.dialogue import CONTEXT
from vonad_bridge.settings import Settings

from tests.plugins.bridge_house import DOWN, PASSING, Brain, Historian, Throat, talk
from vonad import (
    BackendCapabilities,
    Brief,
    ContextEvent,
    Exchange,
    ReplyDone,
    ReplyFailed,
    Style,
    VonadError,
)
from vonad.testing import settle

PAST = (Exchange("hello", "Hi."), Exchange("thanks", "Any time."))


async def test_vona_filler_strategy_backend_generated_fillers_are_spoken_in_rotation_and_flagged(
    tmp_path: Path,
) -> None:
    throat, brain = Throat(), Brain("Hi.")
    async with talk(tmp_path, agent={"brain": brain}, tts={"throat": throat}) as story:
        brain.more = type(brain.more)(0)
        await story.begin(7)
        await story.dialogue.say("hello")
        for _ in range(3):
            await story.dialogue.fill()
            await settle()
        assert throat.spoken == ["One moment.", "Let me see.", "One moment."]
        assert [frame.turn for frame in story.sound(filler=True)] == [7, 7, 7]
        brain.more.release()
        await settle()
        assert story.texts() == ["Hi."]
        assert len(story.sound()) == 1
        assert story.said[-1] == ReplyDone(7)


async def test_a_filler_that_is_late_keeps_quiet_once_the_reply_sounds(tmp_path: Path) -> None:
    slow = Throat()
    slow.more = type(slow.more)(0)
    async with talk(tmp_path, tts={"slow": slow}) as story:
        await story.begin()
        await story.dialogue.fill()
        await settle()
        await story.dialogue.say("hello")
        await settle()
        filler, reply = slow.spoken
        assert (filler, reply) == ("One moment.", "Hi.")
        slow.more.release()
        slow.more.release()
        await settle()
        assert len(story.sound()) == 1
        await story.dialogue.fill()
        await settle()
        slow.more.release()
        await settle()
        assert len(story.sound(filler=True)) == 1


async def test_a_filler_that_fails_is_no_failure_of_the_turn(tmp_path: Path) -> None:
    async with talk(tmp_path, tts={"throat": Throat(failures=[DOWN])}) as story:
        await story.begin()
        await story.dialogue.fill()
        await settle()
        await story.dialogue.say("hello")
        await settle()
        assert story.sound(filler=True) == []
        assert story.said[-1] == ReplyDone(1)


async def test_an_interrupted_turn_is_filled_no_more(tmp_path: Path) -> None:
    throat = Throat()
    throat.more = type(throat.more)(0)
    async with talk(tmp_path, tts={"throat": throat}) as story:
        await story.begin()
        await story.dialogue.fill()
        await settle()
        await story.dialogue.interrupt()
        throat.more.release()
        await settle()
        assert story.said == []


async def test_a_text_session_is_filled_with_nothing(tmp_path: Path) -> None:
    throat = Throat()
    brief = Brief(session_id="s", satellite=None, language="en", aloud=False)
    async with talk(tmp_path, tts={"throat": throat}, brief=brief) as story:
        await story.begin()
        await story.dialogue.fill()
        await settle()
        assert throat.spoken == []


async def test_vona_external_context_event_is_known_to_the_calls_that_follow_the_newest_sixteen(tmp_path: Path) -> None:
    brain = Brain("Hi.")
    events = [ContextEvent(source="sensor", payload={"number": number}) for number in range(CONTEXT + 4)]
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.inject(events[0])
        await story.dialogue.say("hello")
        await settle()
        await story.begin(2)
        for event in events[1:]:
            await story.dialogue.inject(event)
        await story.dialogue.say("and now")
        await settle()
        assert [request.context for request in brain.requests] == [(events[0],), tuple(events[4:])]


async def test_meerkat_usage_tokens_are_told_at_once_and_summed_over_the_turn(tmp_path: Path) -> None:
    spent: list[int] = []
    brief = Brief(session_id="s", satellite="desk", language="en", aloud=True, spend=spent.append)
    first, second = Brain(tokens=3, failure=PASSING), Brain("Hi.", tokens=4)
    async with talk(tmp_path, agent={"first": first, "second": second}, brief=brief) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        assert spent == [3, 4]
        assert story.said[-1] == ReplyDone(1, usage={"tokens": 7})
        await story.begin(2)
        first.tokens = second.tokens = 0
        await story.dialogue.say("hello")
        await settle()
        assert story.said[-1] == ReplyDone(2)


async def test_a_turn_that_may_spend_no_more_fails_and_nobody_else_is_asked(tmp_path: Path) -> None:
    def spend(tokens: int) -> None:
        raise VonadError("budget_exceeded", f"{tokens} tokens are too many")

    brief = Brief(session_id="s", satellite="desk", language="en", aloud=True, spend=spend)
    second = Brain("Hi.")
    async with talk(tmp_path, agent={"first": Brain("Hi.", tokens=9), "second": second}, brief=brief) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await settle()
        [failed] = story.said
        assert isinstance(failed, ReplyFailed)
        assert failed.error.code == "budget_exceeded"
        assert second.requests == []


async def test_vona_speech_style_profile_is_handed_to_the_voice_for_replies_fillers_and_announcements(
    tmp_path: Path,
) -> None:
    style, throat = Style(pace=0.2, warmth=0.9, voice="en+f3"), Throat()
    brief = Brief(session_id="s", satellite="desk", language="en", aloud=True, style=style)
    async with talk(tmp_path, tts={"throat": throat}, brief=brief) as story:
        await story.begin()
        await story.dialogue.fill()
        await story.dialogue.say("hello")
        await settle()
        assert [frame async for frame in story.bridge.speak("Dinner!", language="en", style=style)]
        assert sorted(throat.spoken) == ["Dinner!", "Hi.", "One moment."]
        assert throat.styles == [style] * 3


async def test_the_first_agent_that_can_sums_up(tmp_path: Path) -> None:
    agents = {"plain": Brain(), "down": Historian(failures=[DOWN]), "able": Historian()}
    async with talk(tmp_path, agent=agents) as story:
        assert await story.bridge.summarise(PAST, language="de") == "2 turns in de"
        assert story.bridge.capabilities.summarises


async def test_when_no_agent_can_sum_up_the_bridge_says_so_from_then_on(tmp_path: Path) -> None:
    async with talk(tmp_path) as story:
        story.bridge.settings.agent.append("missing")
        async with story.bridge:
            assert story.bridge.capabilities.summarises  # nobody knows what that one can
        story.bridge.settings.agent.remove("missing")
        with pytest.raises(VonadError, match=r"no agent of .*brain.* can sum up") as refused:
            await story.bridge.summarise(PAST, language="en")
        assert refused.value.code == "capability_unsupported"
        assert not story.bridge.capabilities.summarises


async def test_an_agent_that_failed_to_sum_up_is_told_of(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"plain": Brain(), "down": Historian(failures=[DOWN])}) as story:
        with pytest.raises(VonadError, match="it is down"):
            await story.bridge.summarise(PAST, language="en")
        assert story.bridge.capabilities.summarises


async def test_vona_backend_capabilities_the_bridge_can_what_its_engines_can(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"plain": Brain(), "historian": Historian()}) as story:
        assert story.bridge.capabilities == BackendCapabilities(
            overhears=True,
            prepares=True,
            fills=True,
            context_injection=True,
            style_conditioning=True,
            structured_output=True,
            summarises=True,
        )
    async with talk(tmp_path, stt={}, tts={}, agent={}) as story:
        assert story.bridge.capabilities == BackendCapabilities()
    async with talk(tmp_path, fillers=[]) as story:
        assert not story.bridge.capabilities.fills
        assert not story.bridge.capabilities.summarises


def test_fillers_are_in_the_language_of_the_satellite_unless_they_are_set() -> None:
    assert Settings().bridging("de-AT") == ("Einen Moment.", "Mal sehen.")
    assert Settings().bridging("xx") == ("One moment.", "Let me see.")
    assert Settings(fillers=["Hm."]).bridging("de") == ["Hm."]
