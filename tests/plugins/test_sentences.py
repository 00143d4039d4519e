"""The sentences engine: what is understood, with which arguments, and what is not."""

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
from vonad_sentences import SentencesAgent, SentencesTurnDetector

from tests.plugins.fake_host import FakeHost
from vonad.engine import NotUnderstood, Outcome, Request, SkillDesk
from vonad.host import NoSettings
from vonad.sentences import Sentence, Sentences, sentences_of

HOUSE = Sentences(
    (
        sentences_of(
            "clock",
            [
                Sentence("(what time is it|what's the time)", what="time"),
                Sentence("(what's|what is) the date [today]", what="date"),
            ],
            {},
        ),
        sentences_of(
            "lamp",
            [
                Sentence("turn on [the] {thing}", state="on"),
                Sentence("turn on [the] {thing} in the {room}", state="on"),
            ],
            {"thing": ["lamp", "fan"], "room": {"kitchen": "room-1", "bath[ ]room": "room-2"}},
        ),
        sentences_of("timer", ["set a timer for {minutes} minutes"], {"minutes": range(1, 121)}),
    )
)


class Desk(SkillDesk):
    def __init__(self, speech: str = "done") -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.speech = speech

    async def call(self, name: str, arguments: Mapping[str, object]) -> Outcome:
        self.calls.append((name, dict(arguments)))
        return Outcome(self.speech)


async def said(folder: Path, text: str, desk: Desk, sentences: Sentences = HOUSE) -> list[str]:
    async with SentencesAgent(NoSettings(), FakeHost(folder, name="sentences")) as agent:
        return [piece async for piece in agent.answer(Request(text=text, language="en", sentences=sentences), desk)]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("what time is it", ("clock", {"what": "time"})),
        ("What time is it?", ("clock", {"what": "time"})),
        ("what is the time", ("clock", {"what": "time"})),
        ("whats the date today", ("clock", {"what": "date"})),
        ("What\u2019s the date", ("clock", {"what": "date"})),
        ("turn on the lamp", ("lamp", {"thing": "lamp", "state": "on"})),
        ("turn on fan in the bathroom", ("lamp", {"thing": "fan", "room": "room-2", "state": "on"})),
        ("turn on the lamp in the bath room", ("lamp", {"thing": "lamp", "room": "room-2", "state": "on"})),
        ("set a timer for ten minutes", ("timer", {"minutes": 10})),
        ("set a timer for 10 minutes", ("timer", {"minutes": 10})),
        ("set a timer for twenty one minutes", ("timer", {"minutes": 21})),
    ],
)
async def test_a_sentence_becomes_a_call_with_its_arguments(
    tmp_path: Path, text: str, call: tuple[str, dict[str, object]]
) -> None:
    desk = Desk()
    assert await said(tmp_path, text, desk) == ["done"]
    assert desk.calls == [call]


@pytest.mark.parametrize(
    "text", ["", "play the beatles", "set a timer for", "set a timer for 500 minutes", "turn on the sun", "the lamp"]
)
async def test_everything_else_is_somebody_elses_to_answer(tmp_path: Path, text: str) -> None:
    desk = Desk()
    with pytest.raises(NotUnderstood):
        await said(tmp_path, text, desk)
    assert desk.calls == []


async def test_a_silent_skill_is_a_silent_reply(tmp_path: Path) -> None:
    assert await said(tmp_path, "what time is it", Desk(speech="")) == []


@pytest.mark.parametrize(
    ("template", "named"),
    [("turn (on the lamp", "brackets"), ("turn on {nothing}", "nothing"), ("turn on <rule>", "rule")],
)
async def test_a_bad_template_leaves_out_only_itself_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, template: str, named: str
) -> None:
    sentences = Sentences((*HOUSE.skills, sentences_of("broken", [template, "good morning"], {})))
    desk = Desk()
    with caplog.at_level(logging.WARNING):
        await said(tmp_path, "good morning", desk, sentences)
        await said(tmp_path, "what time is it", desk, sentences)
    assert [name for name, _ in desk.calls] == ["broken", "clock"]
    assert f"skill broken: sentence {template!r} is left out" in caplog.text
    assert named in caplog.text


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("what time is it", "complete"),
        ("what time", "partial"),
        ("wha", "unknown"),
        ("what's the date", "open"),
        ("what's the date today", "complete"),
        ("turn on the lamp", "open"),
        ("turn on the lamp in the", "partial"),
        ("turn on the lamp in the bathroom", "complete"),
        ("set a timer for ten", "partial"),
        ("set a timer for ten minutes", "complete"),
        ("play the beatles", "unknown"),
        ("", "unknown"),
    ],
)
async def test_the_end_of_a_sentence_is_known_from_its_words(tmp_path: Path, words: str, verdict: str) -> None:
    async with SentencesTurnDetector(NoSettings(), FakeHost(tmp_path, name="sentences_turn")) as detector:
        assert detector.judge(words, sentences=HOUSE) == verdict
