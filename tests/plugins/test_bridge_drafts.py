"""Answers that are begun before the user has finished: held back until they are confirmed, or thrown away."""

from pathlib import Path

from vonad_bridge.answering import HELD
from vonad_bridge.outlet import REPLIES

from tests.plugins.bridge_house import DOWN, Brain, Ear, Throat, talk
from vonad import ContextEvent, Frame, ReplyDone, ReplyFailed, ReplyText, SkillRequest, Transcript
from vonad.testing import settle, speech


async def test_beluga_preemptive_generation_a_draft_is_made_sound_included_and_held_until_it_is_confirmed(
    tmp_path: Path,
) -> None:
    throat = Throat()
    async with talk(tmp_path, agent={"brain": Brain("It is noon. ", "And hot.")}, tts={"throat": throat}) as story:
        await story.begin()
        await story.dialogue.prepare("what time is it")
        await settle()
        assert throat.spoken == ["It is noon.", "And hot."]
        assert story.said == []
        await story.dialogue.confirm()
        await settle()
        assert [type(reply) for reply in story.said] == [ReplyText, Frame, ReplyText, Frame, ReplyDone]
        assert story.texts() == ["It is noon.", "And hot."]


async def test_a_draft_confirmed_half_way_goes_on_in_order(tmp_path: Path) -> None:
    brain = Brain("One. ", "Two. ", "Three.")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        brain.more = type(brain.more)(2)
        await story.begin()
        await story.dialogue.prepare("count")
        await settle()
        await story.dialogue.confirm()
        await settle()
        assert story.texts() == ["One.", "Two."]
        brain.more.release()
        await settle()
        assert story.texts() == ["One.", "Two.", "Three."]
        assert story.said[-1] == ReplyDone(1)


async def test_listening_goes_on_beside_a_draft(tmp_path: Path) -> None:
    ear = Ear("what time is it")
    async with talk(tmp_path, stt={"ear": ear}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.5))
        await story.dialogue.prepare("what time")
        await settle()
        await story.dialogue.hear(speech(0.5))
        await story.dialogue.commit()
        await settle()
        assert story.said == [
            Transcript(1, "0.5"),
            Transcript(1, "1.0"),
            Transcript(1, "what time is it", final=True),
        ]
        assert ear.began == 1


async def test_saying_the_final_text_throws_the_draft_away_and_replaces_listening(tmp_path: Path) -> None:
    brain, ear = Brain("Hi.", tokens=10), Ear("hello")
    async with talk(tmp_path, stt={"ear": ear}, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.hear(speech(0.1))
        await story.dialogue.prepare("hell")
        await settle()
        await story.dialogue.say("hello")
        await settle()
        assert [request.text for request in brain.requests] == ["hell", "hello"]
        assert story.texts() == ["Hi."]
        assert ear.closed == 1
        assert story.said[-1] == ReplyDone(1, usage={"tokens": 20})


async def test_the_same_text_keeps_a_draft_and_another_replaces_it(tmp_path: Path) -> None:
    brain = Brain("Hi.")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.prepare("turn on the lamp")
        await settle()
        await story.dialogue.prepare("turn on the lamp")
        await settle()
        assert len(brain.requests) == 1
        await story.dialogue.prepare("turn on the lamp in the kitchen")
        await story.dialogue.confirm()
        await settle()
        assert [request.text for request in brain.requests][-1] == "turn on the lamp in the kitchen"
        assert story.texts() == ["Hi."]
        assert story.said.count(ReplyDone(1)) == 1


async def test_a_draft_asks_for_its_skills_early_and_uses_what_comes_of_them(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"brain": Brain(skill="clock")}) as story:
        await story.begin()
        await story.dialogue.prepare("what time is it")
        await settle()
        [wish] = story.said
        assert isinstance(wish, SkillRequest)
        assert wish.early
        await story.settle_wish("It is noon.")
        await settle()
        assert story.texts() == []
        await story.dialogue.confirm()
        await settle()
        assert story.texts() == ["It is noon."]


async def test_a_skill_that_a_confirmed_draft_wants_is_not_early(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"brain": Brain(skill="clock")}) as story:
        await story.begin()
        await story.dialogue.prepare("what time is it")
        await story.dialogue.confirm()
        await settle()
        assert [wish.early for wish in story.wishes()] == [False]


async def test_beluga_preemptive_generation_no_skill_with_side_effects_a_wish_nobody_has_taken_goes_with_its_draft(
    tmp_path: Path,
) -> None:
    brain = Brain(skill="lamp")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        story.take.clear()
        await story.dialogue.hear(speech(0.1))
        await settle()  # the words are being taken: what comes after them waits
        await story.dialogue.prepare("lamp on")
        await settle()
        assert len(brain.requests) == 1
        brain.skill = None
        await story.dialogue.say("lamp on please")
        story.take.set()
        await settle()
        assert story.wishes() == []


async def test_a_wish_nobody_has_taken_goes_with_the_draft_that_another_replaces(tmp_path: Path) -> None:
    brain = Brain(skill="lamp")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        story.take.clear()
        await story.dialogue.hear(speech(0.1))
        await settle()
        await story.dialogue.prepare("lamp on")
        await settle()
        await story.dialogue.prepare("lamp on please")
        await settle()
        story.take.set()
        await settle()
        assert len(brain.requests) == 2
        assert len(story.wishes()) == 1
        await story.settle_wish("It is on.")
        await story.dialogue.confirm()
        await settle()
        assert story.texts() == ["It is on."]


async def test_begin_and_interrupt_throw_a_draft_away(tmp_path: Path) -> None:
    async with talk(tmp_path) as story:
        for turn in (1, 2):
            await story.begin(turn)
            await story.dialogue.prepare("hello")
            await settle()
        await story.dialogue.interrupt()
        await settle()
        assert story.said == []
        await story.dialogue.confirm()
        await settle()
        [failed] = story.said
        assert isinstance(failed, ReplyFailed)
        assert failed.error.code == "invalid_state"


async def test_a_failed_draft_is_discarded_in_silence(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"brain": Brain("Hi.", failures=[DOWN])}) as story:
        await story.begin()
        await story.dialogue.prepare("hell")
        await settle()
        assert story.said == []
        await story.dialogue.say("hello")
        await settle()
        assert story.said[-1] == ReplyDone(1)


async def test_a_failed_draft_that_is_confirmed_fails_the_turn(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"brain": Brain(failures=[DOWN])}) as story:
        await story.begin()
        await story.dialogue.prepare("hello")
        await settle()
        await story.dialogue.confirm()
        await settle()
        assert story.said == [ReplyFailed(1, DOWN)]


async def test_a_draft_that_nobody_understood_says_so_once_it_is_confirmed(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"brain": Brain(knows=False)}) as story:
        await story.begin()
        await story.dialogue.prepare("mumble")
        await settle()
        assert story.said == []
        await story.dialogue.confirm()
        await settle()
        assert story.said == [ReplyDone(1, understood=False)]


async def test_a_draft_waits_at_its_bound_and_loses_nothing(tmp_path: Path) -> None:
    sentences = [f"Sentence {number}." for number in range(HELD)]
    brain = Brain(*(f"{sentence} " for sentence in sentences))
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.prepare("tell me everything")
        for _ in range(50):
            await settle()
        assert HELD // 2 <= brain.said < HELD  # a text and its sound are two
        await story.dialogue.confirm()
        for _ in range(50):
            await settle()
        assert story.texts() == sentences
        assert len(story.sound()) == HELD
        assert story.said[-1] == ReplyDone(1)


async def test_an_answer_waits_while_nobody_takes_what_it_says(tmp_path: Path) -> None:
    brain = Brain(*(f"Sentence {number}. " for number in range(REPLIES)))
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        story.take.clear()
        await story.dialogue.say("tell me everything")
        for _ in range(50):
            await settle()
        assert brain.said < REPLIES
        await story.dialogue.interrupt()
        story.take.set()
        await settle()
        assert len(story.said) == 1


async def test_what_comes_in_meanwhile_is_known_to_a_draft(tmp_path: Path) -> None:
    brain = Brain("Hi.")
    rings = ContextEvent(source="doorbell", payload={"ringing": True})
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.prepare("who is there")
        await settle()
        await story.dialogue.inject(rings)
        await story.dialogue.confirm()
        await settle()
        assert [request.context for request in brain.requests] == [(), (rings,)]
        assert story.texts() == ["Hi."]


async def test_a_draft_whose_skill_runs_is_not_begun_again_by_what_comes_in(tmp_path: Path) -> None:
    brain = Brain(skill="clock")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.prepare("what time is it")
        await settle()
        await story.dialogue.inject(ContextEvent(source="doorbell"))
        await settle()
        assert len(brain.requests) == len(story.wishes()) == 1


async def test_a_late_draft_does_not_replace_the_answer(tmp_path: Path) -> None:
    brain = Brain("Hi.")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await story.dialogue.say("hello")
        await story.dialogue.prepare("hell")
        await settle()
        assert [request.text for request in brain.requests] == ["hello"]
        assert story.said[-1] == ReplyDone(1)
