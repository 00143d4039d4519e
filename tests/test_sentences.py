"""Sentences as values."""

import pytest

from vonad import Sentence, Sentences, SkillSentences, VonadError, WordList
from vonad.sentences import sentences_of


def test_equal_sentences_are_one_key_so_that_engines_compile_once() -> None:
    first, second = (
        Sentences((sentences_of("lamp", ["turn on [the] {lamp}", Sentence("lights", all="yes")], {"lamp": ["hall"]}),))
        for _ in range(2)
    )

    assert first == second
    assert len({first, second}) == 1
    assert first != Sentences((sentences_of("lamp", ["lights"], {}),))


def test_fixed_arguments_tell_equal_templates_apart() -> None:
    assert Sentence("what day is it", what="day") != Sentence("what day is it", what="date")
    assert Sentence("a", x="1", y="2") == Sentence("a", y="2", x="1")
    assert Sentence("a") != "a"
    assert repr(Sentence("a", what="day")) == "Sentence('a', what='day')"


def test_lists_may_be_words_words_with_meanings_or_numbers() -> None:
    group = sentences_of(
        "lamp",
        ["{lamp} {level} {color}"],
        {"lamp": ["hall", "desk"], "color": {"crimson": "red"}, "level": range(0, 101, 10)},
    )

    assert group == SkillSentences(
        "lamp",
        (Sentence("{lamp} {level} {color}"),),
        (
            WordList("lamp", (("hall", "hall"), ("desk", "desk"))),
            WordList("color", (("crimson", "red"),)),
            WordList("level", span=(0, 100, 10)),
        ),
    )


def test_iterating_yields_every_sentence_with_its_skill() -> None:
    both = Sentences((sentences_of("a", ["one", "two"], {}), sentences_of("b", ["three"], {})))

    assert [(group.skill, sentence.template) for group, sentence in both] == [
        ("a", "one"),
        ("a", "two"),
        ("b", "three"),
    ]


def test_no_sentence_is_falsy() -> None:
    assert not Sentences()
    assert not Sentences((sentences_of("quiet", [], {}),))
    assert Sentences((sentences_of("a", ["one"], {}),))


@pytest.mark.parametrize("name", ["", "Lamp", "2lamps", "lamp-on", "lämp", "a" * 65, "lamp\n"])
def test_a_name_no_engine_could_spell_is_refused(name: str) -> None:
    with pytest.raises(VonadError, match="lower case letters") as refused:
        sentences_of(name, [], {})
    assert refused.value.code == "invalid_config"
    with pytest.raises(VonadError, match="lower case letters"):
        sentences_of("lamp", [], {name: ["x"]})


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(VonadError, match=r"'level'.*empty"):
        sentences_of("lamp", [], {"level": range(5, 5)})
