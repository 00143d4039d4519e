"""The two engines: an agent and a turn detector that know the same sentences."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from logging import Logger
from typing import Literal

from vonad import (
    Agent,
    Component,
    NoSettings,
    NotUnderstood,
    Request,
    Sentences,
    SkillDesk,
    TurnDetector,
)
from vonad_sentences.book import Book

BOOKS = 8
"""Books that are kept: the house's own in its languages, and those of questions being asked."""


class Shelf:
    """Compiled books, the last used ones. A fault of a sentence is told once."""

    def __init__(self, log: Logger) -> None:
        self._books: OrderedDict[tuple[Sentences, str], Book] = OrderedDict()
        self._last: tuple[Sentences, str, Book] | None = None
        self._log = log
        self._told: set[str] = set()

    def book(self, sentences: Sentences, language: str) -> Book:
        """The book of these sentences."""
        if self._last is not None and self._last[0] is sentences and self._last[1] == language:
            return self._last[2]  # to hash the sentences of a house takes longer than to judge words by them
        key = (sentences, language)
        if key not in self._books:
            while len(self._books) >= BOOKS:
                self._books.popitem(last=False)
            self._books[key] = Book(sentences, language, self._tell)
        self._books.move_to_end(key)
        self._last = (sentences, language, self._books[key])
        return self._books[key]

    def _tell(self, fault: str) -> None:
        if fault not in self._told:
            self._told.add(fault)
            self._log.warning("%s", fault)


class SentencesAgent(Component[NoSettings], Agent):
    """Answers what a skill has a sentence for."""

    streams = 64

    async def __aenter__(self) -> "SentencesAgent":
        self._shelf = Shelf(self.host.log)
        return self

    async def answer(self, request: Request, desk: SkillDesk) -> AsyncIterator[str]:
        """What the skill says. Raises NotUnderstood for a text that is no sentence."""
        understood = self._shelf.book(request.sentences, request.language).understand(request.text)
        if understood is None:
            raise NotUnderstood(request.text)
        outcome = await desk.call(understood.skill, understood.arguments)
        if outcome.speech:
            yield outcome.speech


class SentencesTurnDetector(Component[NoSettings], TurnDetector):
    """Compares the words so far with every sentence."""

    streams = 64

    async def __aenter__(self) -> "SentencesTurnDetector":
        self._shelf = Shelf(self.host.log)
        return self

    def judge(
        self, words: str, *, sentences: Sentences, language: str
    ) -> Literal["complete", "open", "partial", "unknown"]:
        """unknown also for no words at all."""
        progress = self._shelf.book(sentences, language).progress(words)
        if progress.whole:
            return "complete" if progress.decided else "open"
        return "partial" if progress.open else "unknown"
