"""Cuts a reply that arrives in pieces into sentences: the first is spoken while the last is not known yet."""

import re

ENDS = re.compile(r"(?<=[.!?…:;\u3002\uff01\uff1f])[\"')\]]*\s+|\n+")
"""Where a sentence may end: punctuation with space behind it, or a new line."""

ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|St|Prof|e\.g|i\.e|a\.m|p\.m|etc|vs|No|approx)\.$", re.IGNORECASE
)
"""A full stop behind these ends no sentence."""

LONGEST = 400
"""Characters after which a sentence without an end is cut at a space: nobody waits longer for the first sound."""


class SentenceSplitter:
    """Push pieces, get whole sentences; nothing is skipped."""

    def __init__(self) -> None:
        self._rest = ""

    def push(self, piece: str) -> list[str]:
        """The sentences that are complete with this piece."""
        self._rest += piece
        sentences: list[str] = []
        start = 0
        for end in ENDS.finditer(self._rest):
            sentence = self._rest[start : end.start()].strip()
            if sentence and not ABBREVIATION.search(sentence):
                sentences.append(self._rest[start : end.end()].strip())
                start = end.end()
        self._rest = self._rest[start:]
        while len(self._rest) > LONGEST:
            cut = self._rest.rfind(" ", 1, LONGEST) if " " in self._rest[1:LONGEST] else LONGEST
            sentences.append(self._rest[:cut].strip())
            self._rest = self._rest[cut:]
        return sentences

    def flush(self) -> list[str]:
        """What is left, as the last sentence."""
        rest, self._rest = self._rest.strip(), ""
        return [rest] if rest else []
