"""What check_skill takes a template to say is what the sentences engine understands by it."""

import pytest
from vonad_clock import Clock
from vonad_sentences.book import Book
from vonad_words import Words

from vonad.sentences import Sentence, Sentences, sentences_of
from vonad.testing import EchoSkill
from vonad.testing.templates import Said, TemplateError, said

ROOMS = {"kitchen": "kitchen", "living room": "living_room"}
LISTS = {"room": ROOMS, "state": ["on", "off"], "minutes": range(5, 61, 5)}

TEMPLATES = (
    "(turn|switch) {state} the {room} lamp",
    "(turn|switch) the [lamp in the] {room:place} {state}",
    Sentence("[please] set a timer for {minutes} minutes", kind="timer"),
    "light[s] (in the {room}|everywhere) [right] now",
    "count {1..9:number} times",
    "(the {room};lamp) please",
)


@pytest.mark.parametrize(
    ("sentences", "lists"),
    [(TEMPLATES, LISTS), *((skill.sentences, skill.lists) for skill in (Clock, Words, EchoSkill))],
    ids=["templates", "clock", "words", "echo"],
)
def test_every_example_of_a_sentence_is_understood_with_its_arguments(sentences, lists) -> None:
    skill = sentences_of("skill", sentences, lists)
    faults: list[str] = []
    book = Book(Sentences((skill,)), "en", faults.append)
    assert faults == []
    examples = list(said(skill))
    assert len(examples) == 2 * len(sentences)
    for example in examples:
        understood = book.understand(example.text)
        assert understood is not None, example
        assert {k: str(v) for k, v in understood.arguments.items()} == {
            k: str(v) for k, v in example.arguments.items()
        }, example.text


def test_an_example_is_as_short_as_can_be_and_then_with_everything() -> None:
    skill = sentences_of("lamp", ["[please] (turn|switch) {state} the {room:place}"], LISTS)
    assert list(said(skill)) == [
        Said("turn on the kitchen", {"state": "on", "place": "kitchen"}),
        Said("please switch off the living room", {"state": "off", "place": "living_room"}),
    ]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("turn (on", "a bracket is never closed"),
        ("turn on)", "closes a bracket that was never opened"),
        ("turn {on", "a bracket is never closed"),
        ("turn <on>", "there are no rules"),
        ("turn {nothing}", r"there is no list \{nothing\}; the skill has: room, state, minutes"),
    ],
)
def test_a_template_that_cannot_be_read_says_why(template: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        list(said(sentences_of("lamp", [template], LISTS)))
