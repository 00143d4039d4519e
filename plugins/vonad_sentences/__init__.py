"""Sentences: understands exactly what the skills say can be said. No model, no cloud, on hassil's templates."""

from collections.abc import AsyncIterator
from typing import Literal

from vonad import (
    Agent,
    Component,
    NoSettings,
    NotUnderstood,
    Registrar,
    Request,
    Sentences,
    SkillDesk,
    TurnDetector,
    hookimpl,
)
from vonad_sentences.grammar import Grammars
from vonad_sentences.prefix import reach

VONAD_API = ">=1,<2"


class SentencesAgent(Component[NoSettings], Agent):
    """Calls the skill whose sentence was said, and says what the skill says."""

    async def __aenter__(self) -> "SentencesAgent":
        self._grammars = Grammars(self.host.log)
        return self

    async def answer(self, request: Request, desk: SkillDesk) -> AsyncIterator[str]:
        match = self._grammars.of(request.sentences, request.language).match(request.text)
        if match is None:
            raise NotUnderstood
        outcome = await desk.call(match.skill, match.arguments)
        if outcome.speech:
            yield outcome.speech


class SentencesTurnDetector(Component[NoSettings], TurnDetector):
    """Knows from the templates whether somebody has finished."""

    async def __aenter__(self) -> "SentencesTurnDetector":
        self._grammars = Grammars(self.host.log)
        return self

    def judge(self, words: str, *, sentences: Sentences) -> Literal["complete", "open", "partial", "unknown"]:
        found: set[str] = set()
        for expression, lists in self._grammars.of(sentences, self.host.language).expressions:
            found |= reach(expression, lists, words, self.host.language)
        if "whole" in found:
            return "open" if "beginning" in found else "complete"
        return "partial" if "beginning" in found else "unknown"


@hookimpl
def register_engines(registrar: Registrar) -> None:
    """Offer both; the detector of turns is a kind of its own."""
    registrar.add("sentences", SentencesAgent, role="agent")
    registrar.add("sentences_turn", SentencesTurnDetector, role="turn")
