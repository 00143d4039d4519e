"""From templates to a grammar: what can be said, the smallest network that says it, and how its words sound."""

# ruff: noqa: RUF001  (the phonetic alphabet is made of letters that look like others)

import logging

import pytest
from vonad_pocketsphinx.ipa import arpabet
from vonad_pocketsphinx.lexicon import PHONES, Lexicon
from vonad_pocketsphinx.network import Grammar, grammar
from vonad_pocketsphinx.spelling import numbers, spoken
from vonad_pocketsphinx.templates import TemplateFault, read

from vonad import WordList

LISTS = {
    "thing": WordList(
        "thing", values=(("lamp", "l"), ("kitchen light[s]", "k"), ("Lamp (old", "o"), ("bed[ ]room", "b"))
    ),
    "minutes": WordList("minutes", span=(1, 3, 1)),
    "down": WordList("down", span=(10, 8, -1)),
    "none": WordList("none"),
    "many": WordList("many", span=(0, 100_000, 1)),
    "self": WordList("self", values=(("a {self}", "x"),)),
}


def made(*templates: str) -> Grammar:
    return grammar([read(template, LISTS) for template in templates])


def every(*templates: str) -> set[str]:
    return {" ".join(words) for words in made(*templates).sentences()}


@pytest.mark.parametrize(
    ("template", "sentences"),
    [
        ("stop", {"stop"}),
        ("what('s| is) it[ now]", {"what's it", "what is it", "what's it now", "what is it now"}),
        ("[please] stop [now]", {"stop", "please stop", "stop now", "please stop now"}),
        ("light[s]", {"light", "lights"}),
        ("bed[ ]room", {"bedroom", "bed room"}),
        ("{thing}", {"lamp", "kitchen light", "kitchen lights", "lamp old", "bedroom", "bed room"}),
        ("{minutes}-minute timer", {"one minute timer", "two minute timer", "three minute timer"}),
        ("{down}", {"ten", "nine", "eight"}),
        ("{20..22:level}%", {"twenty percent", "twenty one percent", "twenty two percent"}),
        ("(a;b)", {"a b", "b a"}),
        ("Radio 4, Zoé’s 💡!", {"radio four zoé's"}),
        ("[maybe]", {"maybe"}),
    ],
)  # fmt: skip
def test_a_template_says_what_it_means(template, sentences):
    assert every(template) == sentences


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("turn (on", "brackets"),
        ("turn {nope}", r"no list \{nope\}.*thing, minutes"),
        ("turn {none}", r"\{none\} has no words"),
        ("{many} things", "100001 numbers"),
        ("<rule> it", "write out what it stands for"),
        ("(a;b;c;d;e;f)", "any order"),
        ("{self}", "used in itself"),
        ("", "brackets"),
        ("".join(f"[{letter}]" for letter in "abcdefghijklmnopqrstuvwxyz"), "put spaces"),
        ("{thing} " * 8_000, "more than 50000 parts"),
    ],
)
def test_a_template_that_cannot_be_in_it_says_why(template, reason):
    with pytest.raises(TemplateFault, match=reason):
        read(template, LISTS)


def test_sentences_of_all_templates_are_one_small_network():
    both = made("turn on [the] {thing}", "turn off [the] {thing}", "switch (on|off) [the] {thing}")

    assert len(both.steps) == 8
    assert len(set(both.sentences())) == 48
    assert both.accepts(["switch", "off", "the", "bed", "room"])
    assert not both.accepts(["switch", "off", "the"])
    assert both.begins(["switch", "off", "the"])
    assert not both.begins(["switch", "the"])
    assert not both.accepts([])


def test_an_alternative_falls_silent_alone():
    network = read("turn on [the] {thing}", LISTS)
    network.silence({"kitchen", "room"})
    rest = grammar([network])

    assert {words[-1] for words in rest.sentences()} == {"lamp", "old", "bedroom"}


def test_a_grammar_may_be_empty():
    assert not grammar([])
    network = read("stop", LISTS)
    network.silence({"stop"})
    assert not grammar([network])


def test_numbers_are_said_in_every_way():
    ways = [" ".join(way) for way in numbers(125)]

    assert ways == [
        "one hundred twenty five",
        "a hundred twenty five",
        "one hundred and twenty five",
        "a hundred and twenty five",
    ]
    assert [" ".join(way) for way in numbers(100)] == ["one hundred", "a hundred"]
    assert [" ".join(way) for way in numbers(1)] == ["one"]
    assert [" ".join(way) for way in numbers(-5)] == ["minus five"]
    assert spoken("R2-D2 007 1234567890") == [
        "r",
        "two",
        "d",
        "two",
        "zero",
        "zero",
        "seven",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "zero",
    ]


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("ɹˈuːmbə", "R UW M B AH"),
        ("tʃˈɛkɪŋ", "CH EH K IH NG"),
        ("t͡ʃ", "CH"),
        ("ˈɔːɹeɪli", "AO R EY L IY"),
        ("bɔ̃ʒuʁ", "B AO N ZH UW R"),
        ("ˈaɪ̯ˌ", "AY"),
        ("", ""),
        ("ˈ ˌ ː ˥", ""),
    ],
)
def test_sounds_of_the_phonetic_alphabet_become_those_of_the_model(ipa, phones):
    assert arpabet(ipa) == phones
    assert set(phones.split()) <= PHONES


def test_a_dictionary_word_has_all_its_pronunciations(tmp_path):
    dictionary = tmp_path / "words.dict"
    dictionary.write_text("hat HH AE T\nwhat W AH T\nwhat(2) HH W AH T\nwhatever W AH T EH V ER\n")
    lexicon = Lexicon(dictionary, tmp_path / "none.txt", logging.getLogger())

    assert lexicon.find({"what", "whatsoever"}) == {"what": ("W AH T", "HH W AH T")}


def test_a_pronunciations_file_that_is_no_text_is_left_out(tmp_path, caplog):
    own = tmp_path / "own.txt"
    own.write_bytes(b"\xff\xfe\x00")
    dictionary = tmp_path / "words.dict"
    dictionary.write_text("a AH\n")

    assert Lexicon(dictionary, own, logging.getLogger()).find({"a"}) == {"a": ("AH",)}
    assert "own.txt cannot be read" in caplog.text
