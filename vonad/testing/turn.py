"""A turn detector that knows its sentences by heart."""

from typing import Literal

from vonad.engine import TurnDetector
from vonad.sentences import Sentences


class ScriptedTurnDetector(TurnDetector):
    """Judges words by whole sentences: complete, or open when another goes on from there, or partial.

    judged: everything it was asked, in order.
    """

    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences
        self.judged: list[str] = []

    def judge(
        self, words: str, *, sentences: Sentences, language: str
    ) -> Literal["complete", "open", "partial", "unknown"]:
        self.judged.append(words)
        longer = bool(words) and any(sentence.startswith(f"{words} ") for sentence in self.sentences)
        if words in self.sentences:
            return "open" if longer else "complete"
        return "partial" if longer else "unknown"
