"""What the recogniser can hear, the agent understands: two readings of the same templates must agree."""

import pytest
import vonad_clock
import vonad_words
from vonad_pocketsphinx.network import grammar
from vonad_pocketsphinx.templates import read
from vonad_sentences.book import Book

from vonad import Sentence, Sentences, SkillSentences, WordList

ODD = SkillSentences(
    "odd",
    (
        Sentence("[please] turn (on|off) [the] {thing} [in (the|a) room]"),
        Sentence("set {thing} to {98..112:level}%"),
        Sentence("what['s] (up|on) channel 4"),
        Sentence("(this;that) [and] (those|the others)"),
        Sentence("don't|can't stop"),
        Sentence("{minutes}-minute timer[s]"),
    ),
    (
        WordList(
            "thing",
            values=tuple(
                (word, word)
                for word in ("Hue 21", "bed[ ]room", "Zoé's TV-set", "Lamp (old", "naïve 007", "B&B", "+1", "R2-D2")
            ),
        ),
        WordList("minutes", span=(1, 121, 24)),
    ),
)
SKILLS = (
    SkillSentences("clock", tuple(vonad_clock.Clock.sentences)),
    SkillSentences("words", tuple(vonad_words.Words.sentences)),
    ODD,
)


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.skill)
def test_every_sentence_that_can_be_heard_is_understood(skill):
    lists = {words.name: words for words in skill.lists}
    book = Book(Sentences((skill,)), "en", pytest.fail)
    heard = list(grammar([read(sentence.template, lists) for sentence in skill.sentences]).sentences())

    assert heard
    for words in heard:
        text = " ".join(words)
        understood = book.understand(text)
        assert understood is not None, text
        assert understood.skill == skill.skill
        assert book.progress(text).whole, text
        assert book.progress(text.rpartition(" ")[0] or text).open or " " not in text, text
