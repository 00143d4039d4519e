"""How far a text has got along a template: to its end, or to where it could go on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from hassil.expression import Alternative, Expression, Group, ListReference, Permutation, TextChunk
from hassil.intents import RangeSlotList, SlotList, TextSlotList

from vonad_sentences.wording import PADDING, number_words

Arguments = tuple[tuple[str, object], ...]
"""What lists have made of the words, as (name, value)."""

Meaning = tuple[str, frozenset[tuple[str, object]]]
"""A skill, and all of what it would be asked with."""

Place = tuple[int, Arguments]
"""Where in a text, and what it has come to mean by then."""

Rest = tuple[Sequence[Expression], int, "Rest | None"]
"""What of a template comes later: these items from this one on, and then the rest around them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a text is, or could become.

    whole: what it means as a sentence; nothing: it is none.
    open:  what could be meant by sentences that begin with it and go on; None: the words to come decide that, or say
           something that is waited for.
    """

    whole: frozenset[Meaning] = frozenset()
    open: frozenset[Meaning | None] = frozenset()

    def __or__(self, other: "Progress") -> "Progress":
        return Progress(self.whole | other.whole, self.open | other.open)

    @property
    def decided(self) -> bool:
        """Whether it is a sentence, and whatever may follow has the very same done."""
        return bool(self.whole) and (not self.open or (len(self.whole) == 1 and self.open == self.whole))


class Follower:
    """Follows templates along one text, which is in their wording and not empty."""

    def __init__(self, text: str, language: str) -> None:
        self._text = f"{text} "  # the last word is over
        self._language = language
        self._open: set[Arguments | None] = set()

    def follow(
        self, expression: Expression, lists: Mapping[str, SlotList]
    ) -> tuple[set[Arguments], set[Arguments | None]]:
        """(what the text means as this template, what it could mean gone on with; None: words to come decide that)"""
        self._open = set()
        ends = self._after(expression, {(0, ())}, lists, None)
        return {said for at, said in ends if at >= len(self._text) - 1}, self._open

    def _after(
        self, expression: Expression, places: set[Place], lists: Mapping[str, SlotList], rest: Rest | None
    ) -> set[Place]:
        """Where in the text the expression can end, when it begins at one of these places."""
        if not places:
            return places
        if isinstance(expression, TextChunk):
            return self._along(expression.text, places, rest)
        if isinstance(expression, Permutation):
            orders = permutations(expression.items) if len(expression.items) <= 5 else [expression.items]
            return {end for order in orders for end in self._sequence(order, places, lists, rest)}
        if isinstance(expression, Alternative):
            return {end for item in expression.items for end in self._after(item, places, lists, rest)}
        if isinstance(expression, Group):
            return self._sequence(expression.items, places, lists, rest)
        if isinstance(expression, ListReference):
            ends: set[Place] = set()
            for way, value in self._ways(lists[expression.list_name]):
                argument = (expression.slot_name, value)
                if isinstance(way, TextChunk):
                    ends |= self._along(way.text, places, rest, argument)
                else:
                    ends |= self._after(way, {(at, (*said, argument)) for at, said in places}, lists, rest)
            return ends
        return set()

    def _sequence(
        self, items: Sequence[Expression], places: set[Place], lists: Mapping[str, SlotList], rest: Rest | None
    ) -> set[Place]:
        for number, item in enumerate(items, 1):
            places = self._after(item, places, lists, (items, number, rest))
        return places

    def _along(self, chunk: str, places: set[Place], rest: Rest | None, *argument: tuple[str, object]) -> set[Place]:
        """Where a piece of template can end, which stands for this argument."""
        ends: set[Place] = set()
        for at, said in places:
            end = self._chunk(chunk, at)
            if isinstance(end, str):
                pads = end.split()[0] in PADDING.get(self._language, ())
                self._open.add((*said, *argument) if pads and not _chooses(rest) else None)
            elif end is not None:
                ends.add((end, (*said, *argument)))
        return ends

    def _chunk(self, chunk: str, at: int) -> int | str | None:
        """Where a piece of template ends that begins at `at`, or what of it is still to come; None: it differs.

        A gap is any spaces.
        """
        for number, letter in enumerate(chunk):
            begins = at == 0 or self._text[at - 1] == " "
            if letter.isspace():
                if not begins:
                    if self._text[at] != " ":
                        return None
                    at += 1
            elif at == len(self._text):
                return chunk[number:]
            elif self._text[at] != letter:
                return None
            else:
                at += 1
        return at

    def _ways(self, words: SlotList) -> Iterator[tuple[Expression, object]]:
        """(what may be said, what that means)"""
        if isinstance(words, TextSlotList):
            yield from ((value.text_in, value.value_out) for value in words.values)
        elif isinstance(words, RangeSlotList):
            for value in range(words.start, words.stop + 1, words.step):
                yield TextChunk(number_words(value, self._language) or str(value)), value


def _chooses(rest: Rest | None) -> bool:
    """Whether an argument may come out of what follows."""
    while rest is not None:
        items, number, rest = rest
        if _has_list(items[number:]):
            return True
    return False


def _has_list(items: Iterable[Expression]) -> bool:
    return any(isinstance(item, ListReference) or (isinstance(item, Group) and _has_list(item.items)) for item in items)
