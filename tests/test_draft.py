"""Drafts: an answer prepared before the user has finished is used only where it answers what was said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation import Hooks
from tests.listening import Listening, listening
from vonad.plan import Plan, Preemptive
from vonad.session.draft import similarity, usable
from vonad.session.words import words
from vonad.testing import settle

TEXT = st.text(alphabet="abc'\u2019 ,.?!-_Äß\u0131I", max_size=30)
WORDS = st.lists(st.sampled_from(["turn", "on", "the", "lamp", "in", "kitchen"]), max_size=12)


def planned(preemptive: Preemptive) -> Plan:
    return Plan(satellite="desk", backends=("scripted", "other"), preemptive=preemptive)


async def drafted(story: Listening, text: str) -> None:
    story.draft.consider(story.turn, text)
    await settle()


# The strategies


@pytest.mark.parametrize(
    ("strategy", "final", "used"),
    [
        ("discard", "turn on the lamp", True),
        ("discard", "Turn on,  the LAMP!", True),
        ("discard", "turn on the lamps", False),
        ("discard", "turn on the lamp please", False),
        ("discard", "the lamp turn on", False),
        ("use_if_similar", "turn on the lamp", True),
        ("use_if_similar", "Please turn on the lamp", False),
        ("always_use", "something else", True),
        ("off", "turn on the lamp", False),
    ],
)
def test_beluga_preemptive_generation_strategies(strategy: Preemptive, final: str, used: bool) -> None:
    assert usable(strategy, "turn on the lamp", final) is used


def test_beluga_preemptive_generation_use_if_similar_is_more_than_0_8_of_the_words() -> None:
    assert similarity("one two three four five", "one two three four six") == pytest.approx(0.8)
    assert not usable("use_if_similar", "one two three four five", "one two three four six")
    assert usable("use_if_similar", "one two three four five six", "one two three four five seven")


@given(TEXT, TEXT)
def test_similarity_is_symmetric_and_between_0_and_1(one: str, other: str) -> None:
    assert 0.0 <= similarity(one, other) <= 1.0
    assert similarity(one, other) == similarity(other, one)


@given(TEXT)
def test_a_text_is_wholly_similar_to_itself_however_it_is_written(text: str) -> None:
    assert similarity(text, text) == 1.0
    assert similarity(text, f"  {text.replace(' ', '  ')}!") == 1.0


@given(WORDS, WORDS)
def test_texts_are_wholly_similar_only_with_the_same_words(one: list[str], other: list[str]) -> None:
    assert (similarity(" ".join(one), " ".join(other)) == 1.0) == (sorted(one) == sorted(other))


@given(WORDS, st.sampled_from(["turn", "on", "fan"]))
def test_a_word_more_makes_a_text_less_similar(said: list[str], more: str) -> None:
    assert similarity(" ".join(said), " ".join([*said, more])) < 1.0
    assert usable("discard", " ".join(said), " ".join([*said, more])) is False


@given(TEXT)
def test_words_have_no_case_spaces_or_punctuation(text: str) -> None:
    assert all(word and word == word.casefold() and " " not in word for word in words(text))
    assert words(text) == words(" ".join(words(text)))


def test_an_apostrophe_splits_no_word() -> None:
    assert words("What's the date?") == words("what\u2019s THE date") == ("whats", "the", "date")


# One draft of one turn


async def test_the_same_words_in_the_end_confirm_the_draft() -> None:
    async with listening() as story:
        await drafted(story, "turn on the lamp")
        assert story.dialogue.told[-1] == "prepare turn on the lamp"
        assert not story.draft.confirmed
        assert story.draft.settle(story.turn, "Turn on the lamp.")
        assert story.draft.confirmed


async def test_other_words_in_the_end_confirm_nothing() -> None:
    async with listening() as story:
        await drafted(story, "turn on the lamp")
        assert not story.draft.settle(story.turn, "turn on the lamp in the kitchen")
        assert not story.draft.confirmed


async def test_a_draft_is_settled_once() -> None:
    async with listening() as story:
        await drafted(story, "turn on the lamp")
        assert story.draft.settle(story.turn, "turn on the lamp")
        assert not story.draft.settle(story.turn, "turn on the lamp")


async def test_of_two_drafts_the_last_counts_whatever_the_strategy() -> None:
    async with listening(planned("always_use")) as story:
        await drafted(story, "turn on")
        await drafted(story, "turn on the lamp")
        assert story.dialogue.told[-2:] == ["prepare turn on", "prepare turn on the lamp"]
        assert story.draft.text == "turn on the lamp"
        assert story.draft.settle(story.turn, "something else")


async def test_without_a_draft_not_even_always_use_uses_one() -> None:
    async with listening(planned("always_use")) as story:
        assert not story.draft.settle(story.turn, "turn on the lamp")


async def test_a_draft_that_was_dropped_is_not_used() -> None:
    async with listening() as story:
        await drafted(story, "turn on the lamp")
        story.draft.drop()
        assert not story.draft.settle(story.turn, "turn on the lamp")


async def test_a_draft_of_an_earlier_turn_is_not_used() -> None:
    async with listening() as story:
        await drafted(story, "turn on the lamp")
        assert not story.draft.settle(story.floor.take("voice"), "turn on the lamp")


async def test_a_draft_of_a_backend_that_was_lost_is_not_used() -> None:
    async with listening() as story:
        await drafted(story, "turn on the lamp")
        story.floor.dialogue = None
        assert not story.draft.settle(story.turn, "turn on the lamp")


async def test_nothing_is_prepared_where_the_plan_does_not_want_it() -> None:
    async with listening(planned("off")) as story:
        await drafted(story, "turn on the lamp")
        assert story.draft.text is None


async def test_nothing_is_prepared_by_a_backend_that_cannot() -> None:
    async with listening(prepares=False) as story:
        await drafted(story, "turn on the lamp")
        assert story.draft.text is None


async def test_what_a_policy_makes_of_the_words_is_prepared_and_compared() -> None:
    hooks = Hooks()
    hooks.user_text = lambda text: text.replace("lamp", "lantern")
    async with listening(hooks=hooks) as story:
        await drafted(story, "turn on the lamp")
        assert story.dialogue.told[-1] == "prepare turn on the lantern"
        assert story.draft.settle(story.turn, "turn on the lantern")


async def test_words_that_a_policy_refuses_are_not_prepared() -> None:
    def refuse(text: str) -> object:
        raise RuntimeError(text)

    hooks = Hooks()
    hooks.user_text = refuse
    async with listening(hooks=hooks) as story:
        await drafted(story, "turn on the lamp")
        assert story.draft.text is None
