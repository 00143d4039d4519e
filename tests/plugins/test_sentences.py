"""The agent and the turn detector: what a text asks for, however it is written, and whether it is all there."""

import logging
import timeit
from collections.abc import Mapping

import pytest
import vonad_clock
import vonad_sentences
import vonad_words
from vonad_sentences.book import NUMBERS, Book
from vonad_sentences.engine import BOOKS, SentencesAgent, SentencesTurnDetector
from vonad_sentences.wording import template_wording, wording

from tests.plugins.fake_host import FakeHost
from vonad import (
    NoSettings,
    NotUnderstood,
    Outcome,
    Request,
    Sentence,
    Sentences,
    SkillDesk,
    SkillSentences,
    WordList,
)

THINGS = WordList(
    "thing",
    values=(
        ("lamp", "light.lamp"),
        ("kitchen light[s]", "light.kitchen"),
        ("Hue 21", "light.hue"),
        ("Zoé's TV-set", "media.tv"),
        ("Lamp (old", "light.old"),
        ("bed[ ]room", "light.bed"),
    ),
)
HOUSE = Sentences(
    (
        SkillSentences("clock", tuple(vonad_clock.Clock.sentences)),
        SkillSentences("words", tuple(vonad_words.Words.sentences)),
        SkillSentences(
            "lamp",
            (
                Sentence("(turn|switch) on [the] {thing} [in the {room}]", state="on"),
                Sentence("turn off [the] {thing:whatItIs}", state="off"),
                Sentence("dim [the] {thing} to {0..100:level}%"),
            ),
            (THINGS, WordList("room", values=(("kitchen", "kitchen"),))),
        ),
        SkillSentences(
            "timer",
            (Sentence("set a timer for {minutes} minute[s]"), Sentence("what['s] left")),
            (WordList("minutes", span=(1, 120, 1)),),
        ),
        SkillSentences("countdown", (Sentence("count from {start}"),), (WordList("start", span=(10, 2, -2)),)),
    )
)


class Desk(SkillDesk):
    """Keeps the calls; every skill says what it was told to say."""

    def __init__(self, speech: str = "Done.") -> None:
        self.calls: list[tuple[str, Mapping[str, object]]] = []
        self.speech = speech

    async def call(self, name: str, arguments: Mapping[str, object]) -> Outcome:
        self.calls.append((name, arguments))
        return Outcome(self.speech)


@pytest.fixture
async def agent(tmp_path):
    async with SentencesAgent(NoSettings(), FakeHost(tmp_path)) as agent:
        yield agent


@pytest.fixture
async def detector(tmp_path):
    async with SentencesTurnDetector(NoSettings(), FakeHost(tmp_path)) as detector:
        yield detector


async def answer(agent: SentencesAgent, text: str, desk: Desk, sentences: Sentences = HOUSE, language: str = "en"):
    return [piece async for piece in agent.answer(Request(text=text, language=language, sentences=sentences), desk)]


async def asked(agent: SentencesAgent, text: str, sentences: Sentences = HOUSE, language: str = "en"):
    """The one call that a text makes."""
    desk = Desk()
    await answer(agent, text, desk, sentences, language)
    (call,) = desk.calls
    return call


@pytest.mark.parametrize(
    ("text", "skill", "arguments"),
    [
        ("what time is it", "clock", {"what": "time"}),
        ("  What TIME is it?! ", "clock", {"what": "time"}),
        ("what's the date today", "clock", {"what": "date"}),
        ("What\u2019s the date?", "clock", {"what": "date"}),
        ("whats the date", "clock", {"what": "date"}),
        ("what is the date", "clock", {"what": "date"}),
        ("what is todays date", "clock", {"what": "date"}),
        ("Never mind.", "words", {"meaning": "stop"}),
        ("turn on the lamp", "lamp", {"thing": "light.lamp", "state": "on"}),
        ("switch on the lamp in the kitchen", "lamp", {"thing": "light.lamp", "room": "kitchen", "state": "on"}),
        ("turn on Kitchen Lights", "lamp", {"thing": "light.kitchen", "state": "on"}),
        ("turn off hue twenty-one", "lamp", {"whatItIs": "light.hue", "state": "off"}),
        ("turn off hue twenty one", "lamp", {"whatItIs": "light.hue", "state": "off"}),
        ("turn off Hue 21", "lamp", {"whatItIs": "light.hue", "state": "off"}),
        ("turn off zoé's tv set", "lamp", {"whatItIs": "media.tv", "state": "off"}),
        ("turn off Zoe\u0301\u2019s TV-set", "lamp", {"whatItIs": "media.tv", "state": "off"}),
        ("turn off the lamp (old)", "lamp", {"whatItIs": "light.old", "state": "off"}),
        ("turn off bedroom", "lamp", {"whatItIs": "light.bed", "state": "off"}),
        ("dim the lamp to 55%", "lamp", {"thing": "light.lamp", "level": 55}),
        ("dim the lamp to fifty five percent", "lamp", {"thing": "light.lamp", "level": 55}),
        ("set a timer for 10 minutes", "timer", {"minutes": 10}),
        ("set a timer for ten minutes", "timer", {"minutes": 10}),
        ("set a timer for twenty-five minutes", "timer", {"minutes": 25}),
        ("set a timer for one minute", "timer", {"minutes": 1}),
        ("set a timer for a hundred and twenty minutes", "timer", {"minutes": 120}),
        ("set a timer for one hundred five minutes", "timer", {"minutes": 105}),
        ("what left", "timer", {}),
        ("what's left", "timer", {}),
        ("count from 8", "countdown", {"start": 8}),
    ],
)
async def test_a_text_is_understood_however_it_is_written(agent, text, skill, arguments):
    assert await asked(agent, text) == (skill, arguments)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?!",
        "🎉",
        "play the beatles",
        "turn on",
        "turn on the",
        "turn on the lamp please do",
        "set a timer for 121 minutes",
        "set a timer for zero minutes",
        "set a timer for minutes",
        "count from nine",
        "turn on the kitchen",
        "stop stop",
        "turn on the lamp " * 500,
        "\ud800",
    ],
)
async def test_what_no_sentence_says_is_not_understood(agent, text):
    desk = Desk()

    with pytest.raises(NotUnderstood):
        await answer(agent, text, desk)
    assert desk.calls == []


async def test_what_the_skill_says_is_the_reply(agent):
    assert await answer(agent, "what time is it", Desk("It is three.")) == ["It is three."]
    assert await answer(agent, "stop", Desk("")) == []


async def test_lists_are_their_skills_own(agent):
    def lights(name: str, *words: str) -> SkillSentences:
        return SkillSentences(
            name, (Sentence("open [the] {thing}"),), (WordList("thing", values=tuple((word, word) for word in words)),)
        )

    both = Sentences((lights("doors", "door", "gate"), lights("books", "book")))

    assert await asked(agent, "open the gate", both) == ("doors", {"thing": "gate"})
    assert await asked(agent, "open book", both) == ("books", {"thing": "book"})


async def test_of_equal_sentences_the_first_skill_is_asked(agent):
    several = Sentences(tuple(SkillSentences(name, (Sentence("go on"),)) for name in ("zebra", "ant", "bee")))

    assert await asked(agent, "go on", several) == ("zebra", {})


async def test_other_languages_have_their_own_numbers(agent):
    german = Sentences(
        (
            SkillSentences(
                "timer",
                (Sentence("stelle [einen] Timer auf {minutes} Minuten"), Sentence("mach das Küchenlicht an", what="k")),
                (WordList("minutes", span=(1, 60, 1)),),
            ),
        )
    )

    assert await asked(agent, "Stelle Timer auf einundzwanzig Minuten!", german, "de") == ("timer", {"minutes": 21})
    assert await asked(agent, "stelle einen timer auf 21 minuten", german, "de-AT") == ("timer", {"minutes": 21})
    assert await asked(agent, "mach das KÜCHENLICHT an", german, "xx") == ("timer", {"what": "k"})
    assert await asked(agent, "stelle timer auf 21 minuten", german, "xx") == ("timer", {"minutes": 21})


FAULTY = Sentences(
    (
        SkillSentences(
            "broken",
            (
                Sentence("turn (on"),
                Sentence("open {nope}"),
                Sentence("open {nothing}"),
                Sentence("use <rule> here"),
                Sentence("count {many}"),
                Sentence(""),
                Sentence("this works"),
            ),
            (WordList("nothing"), WordList("many", span=(0, NUMBERS, 1))),
        ),
        SkillSentences("whole", (Sentence("so does this"),)),
    )
)


async def test_a_faulty_sentence_is_left_out_alone_and_told_once(agent, caplog):
    assert await asked(agent, "this works", FAULTY) == ("broken", {})
    assert await asked(agent, "so does this", FAULTY, "en-GB") == ("whole", {})

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 5
    for template, mend in {
        "turn (on": "check its brackets",
        "open {nope}": "skill has: nothing. Add it to `lists`",
        "use <rule> here": "write out what it stands for",
        "count {many}": f"more than {NUMBERS} numbers; shorten it",
        "": "check its brackets",
    }.items():
        (warning,) = (text for text in warnings if f"skill broken: the sentence {template!r} is left out" in text)
        assert mend in warning


async def test_sentences_are_compiled_once_and_the_last_ones_kept(agent, monkeypatch):
    compiled = []
    made = Book.__init__
    monkeypatch.setattr(Book, "__init__", lambda book, *rest: compiled.append(rest[0]) or made(book, *rest))
    others = [Sentences((SkillSentences("s", (Sentence(f"say number {n}"),)),)) for n in range(BOOKS)]

    for _ in range(3):
        await asked(agent, "stop")
    assert compiled == [HOUSE]
    for number, other in enumerate(others):
        await asked(agent, f"say number {number}", other)
    await asked(agent, "stop")
    assert compiled == [HOUSE, *others, HOUSE]
    assert len(agent._shelf._books) == BOOKS


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("stop", "complete"),
        ("never mind", "complete"),
        ("what time is it now", "complete"),
        ("what's the date today", "complete"),
        ("turn on the lamp in the kitchen", "complete"),
        ("set a timer for twenty five minutes", "complete"),
        ("set a timer for a hundred and five minutes", "complete"),
        ("turn off the kitchen light", "complete"),
        ("What time is it?", "complete"),
        ("what's the date", "open"),
        ("turn on the lamp", "open"),
        ("turn on the kitchen light", "open"),
        ("what's left", "complete"),
        ("what left", "complete"),
        ("never", "partial"),
        ("what", "partial"),
        ("what is", "partial"),
        ("turn on", "partial"),
        ("turn on the kitchen", "partial"),
        ("turn on the lamp in", "partial"),
        ("set a timer for", "partial"),
        ("set a timer for twenty", "partial"),
        ("set a timer for 20", "partial"),
        ("set a timer for one hundred", "partial"),
        ("set a timer for a", "partial"),
        ("set a timer for a hundred and", "partial"),
        ("dim the lamp to fifty", "partial"),
        ("", "unknown"),
        ("...", "unknown"),
        ("banana", "unknown"),
        ("tur", "unknown"),
        ("turn on the la", "unknown"),
        ("turn on the lamp now", "unknown"),
        ("turn on a", "unknown"),
        ("count from a hundred and", "unknown"),
        ("set a timer for a hundred and thirty minutes", "unknown"),
    ],
)
async def test_the_turn_detector_knows_whether_a_sentence_is_over(detector, words, verdict):
    assert detector.judge(words, sentences=HOUSE, language="en") == verdict


GOES_ON = Sentences(
    (
        SkillSentences(
            "music",
            (
                Sentence("play {song} [please]"),
                Sentence("play {song} [(very|really) loud[ly]] [please] in the {room}"),
                Sentence("what is on [now]", when="now"),
                Sentence("what is on right now", when="now"),
                Sentence("what comes", when="next"),
                Sentence("what comes tomorrow", when="tomorrow"),
                Sentence("pause [it]"),
                Sentence("pause for {1..20:minutes} minutes"),
                Sentence("volume {0..100:level} [percent]"),
                Sentence("next [{song}]"),
            ),
            (
                WordList("song", values=(("jazz", "1"), ("jazz two", "2"), ("rain", "3"), ("rain song", "3"))),
                WordList("room", values=(("kitchen", "kitchen"),)),
            ),
        ),
        SkillSentences("words", (Sentence("stop [now]"), Sentence("be quiet"), Sentence("go"))),
        SkillSentences("alarm", (Sentence("stop the alarm"), Sentence("go [on]"), Sentence("be quiet please"))),
        SkillSentences("polite", (Sentence("(good|fine) [so far] [my dear]"), Sentence("(please;do) [it]"))),
    )
)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("what is on", "complete"),
        ("good", "open"),
        ("good so far", "open"),
        ("good so far my dear", "complete"),
        ("do please", "open"),
        ("volume fifty five", "open"),
        ("what comes", "open"),
        ("pause", "open"),
        ("volume fifty", "open"),
        ("volume a hundred", "open"),
        ("play rain", "open"),
        ("play jazz two", "open"),
        ("play rain song please", "open"),
        ("next rain", "open"),
        ("next jazz", "open"),
        ("next", "open"),
        ("stop", "open"),
        ("stop now", "complete"),
        ("be quiet", "open"),
        ("go", "open"),
        ("go on", "complete"),
        ("play", "partial"),
        ("volume", "partial"),
    ],
)
async def test_a_sentence_is_over_where_no_more_than_padding_may_follow_and_the_same_is_done(detector, words, verdict):
    assert detector.judge(words, sentences=GOES_ON, language="en") == verdict


@pytest.mark.parametrize(
    "words", ["what's the date today", "what's the date", "set a timer for twenty five", "turn on the kitchen light"]
)
async def test_words_are_judged_in_much_less_than_a_millisecond(detector, words):
    detector.judge(words, sentences=HOUSE, language="en")

    took = min(timeit.repeat(lambda: detector.judge(words, sentences=HOUSE, language="en"), number=1, repeat=50))

    assert took < 0.001, "it happens on the event loop, for each partial text"


async def test_without_sentences_nothing_is_known(agent, detector):
    with pytest.raises(NotUnderstood):
        await answer(agent, "what time is it", Desk(), Sentences())
    assert detector.judge("what time is it", sentences=Sentences(), language="en") == "unknown"


async def test_words_are_judged_in_the_language_that_is_spoken_and_not_in_the_house_s(detector):
    timer = Sentences((SkillSentences("t", (Sentence("timer {n}"),), (WordList("n", span=(1, 60, 1)),)),))

    assert detector.judge("timer zwanzig", sentences=timer, language="de") in {"complete", "open"}
    assert detector.judge("timer zwanzig", sentences=timer, language="en") == "unknown"


async def test_any_order_is_judged_too(detector):
    orders = Sentences((SkillSentences("s", (Sentence("(light;on;please)"),)),))

    assert detector.judge("on light", sentences=orders, language="en") == "partial"
    assert detector.judge("on please light", sentences=orders, language="en") == "complete"


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("what('s| is) the date?", "what('s| is) the date "),
        ("(What's|what is) it", "(what is|what is) it"),
        ("{minutes}-minute timer", "{minutes} minute timer"),
        ("channel 21", "channel twenty one"),
        ("{0..100:level}%", "{0..100:level} percent "),
        ("im[portant]", "im[portant]"),
        ("[CAN'T] {thing:whatItIs}", "[can not] {thing:whatItIs}"),
        ("Radio_4 💡 R2D2", "radio four   r two d two"),
    ],
)
def test_templates_are_written_as_texts_are(template, written):
    assert template_wording(template, "en") == written


def test_words_are_written_one_way():
    assert wording("A hundred and Five & a-half, O\u2019Clock %", "en") == "one hundred five and a half o'clock percent"
    assert wording("don't cannot i'm", "en") == "do not can not i am"
    assert wording("don't i'm", "en", short=True) == "don't i'm"
    assert wording("l'été 21", "fr") == "l'été vingt et un"
    assert wording("007 " + "4" * 10, "en") == "zero zero seven" + " four" * 10
    assert wording("007", "xx") == "0 0 7"
    assert len(wording("9" * 10_000, "de").split()) == 10_000


async def test_the_plugin_offers_an_agent_and_a_turn_detector(tmp_path):
    offered = {}

    class Registry:
        def add(self, kind, factory, *, settings, role):
            offered[kind] = (role, settings, factory)

    vonad_sentences.register_engines(Registry())

    assert {kind: role for kind, (role, *_) in offered.items()} == {"sentences": "agent", "sentences_turn": "turn"}
    for _, settings, factory in offered.values():
        async with factory(settings(), FakeHost(tmp_path)) as engine:
            assert engine.streams == 64
