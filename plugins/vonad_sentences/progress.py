"""How far a text has got along a template: to its end, or to where it could go on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

from hassil.expression import Alternative, Expression, Group, ListReference, Permutation, TextChunk
from hassil.intents import RangeSlotList, SlotList, TextSlotList

from vonad_sentences.wording import number_words


@dataclass(frozen=True, slots=True)
class Progress:
    """What a text is.

    whole: a sentence.
    open:  something that a sentence begins with, and goes on after.
    """

    whole: bool
    open: bool

    def __or__(self, other: "Progress") -> "Progress":
        return Progress(self.whole or other.whole, self.open or other.open)


class Follower:
    """Follows templates along one text, which is in their wording and not empty."""

    def __init__(self, text: str, language: str) -> None:
        self._text = f"{text} "  # the last word is over
        self._language = language
        self._open = False

    def follow(self, expression: Expression, lists: Mapping[str, SlotList]) -> Progress:
        """What the text is to this template."""
        self._open = False
        ends = self._after(expression, {0}, lists)
        return Progress(not ends.isdisjoint({len(self._text), len(self._text) - 1}), self._open)

    def _after(self, expression: Expression, starts: Iterable[int], lists: Mapping[str, SlotList]) -> set[int]:
        """Where in the text the expression can end, when it begins at one of these places."""
        places = set(starts)
        if not places:
            return places
        if isinstance(expression, TextChunk):
            return {end for start in places if (end := self._chunk(expression.text, start)) is not None}
        if isinstance(expression, Permutation):
            orders = permutations(expression.items) if len(expression.items) <= 5 else [expression.items]
            return {end for order in orders for end in self._sequence(order, places, lists)}
        if isinstance(expression, Alternative):
            return {end for item in expression.items for end in self._after(item, places, lists)}
        if isinstance(expression, Group):
            return self._sequence(expression.items, places, lists)
        if isinstance(expression, ListReference):
            ways = self._ways(lists[expression.list_name])
            return {end for way in ways for end in self._after(way, places, lists)}
        return set()

    def _sequence(self, items: Iterable[Expression], places: set[int], lists: Mapping[str, SlotList]) -> set[int]:
        for item in items:
            places = self._after(item, places, lists)
        return places

    def _chunk(self, chunk: str, at: int) -> int | None:
        """Where a piece of template ends that begins at `at`; None: it differs. A gap may be any number of spaces."""
        for letter in chunk:
            begins = at == 0 or self._text[at - 1] == " "
            if letter.isspace():
                if not begins:
                    if self._text[at] != " ":
                        return None
                    at += 1
            elif at == len(self._text):
                self._open = True
                return None
            elif self._text[at] != letter:
                return None
            else:
                at += 1
        return at

    def _ways(self, words: SlotList) -> Iterator[Expression]:
        if isinstance(words, TextSlotList):
            yield from (value.text_in for value in words.values)
        elif isinstance(words, RangeSlotList):
            for value in range(words.start, words.stop + 1, words.step):
                yield TextChunk(number_words(value, self._language) or str(value))
