"""How far a text reaches into a template: whole, or only the beginning of what could still be said."""

from collections.abc import Iterator, Mapping
from itertools import permutations

from hassil.expression import Alternative, Expression, Group, ListReference, Permutation, TextChunk
from hassil.intents import RangeSlotList, SlotList, TextSlotList
from hassil.numbers import get_rbnf_engine
from hassil.util import normalize_for_matching

Reach = set[str]

BEYOND = -1
"""The text ended before the template did: a beginning."""


def reach(expression: Expression, lists: Mapping[str, SlotList], words: str, language: str) -> Reach:
    """`whole` when the words are a sentence of this template, `beginning` when one goes on after them; or both."""
    text = " ".join(str(normalize_for_matching(words).text).lower().split())
    ends = set(_ends(expression, lists, f"{text} ", 0, language))
    found = {"whole"} if any(end >= len(text) for end in ends) else set()
    return found | ({"beginning"} if BEYOND in ends and text else set())


def _ends(expression: Expression, lists: Mapping[str, SlotList], text: str, start: int, language: str) -> Iterator[int]:
    """Where a match that begins at `start` can end; BEYOND where the text is used up before."""
    if start == BEYOND:
        yield BEYOND
    elif isinstance(expression, TextChunk):
        yield from _chunk(expression.text.lower(), text, start)
    elif isinstance(expression, Permutation):
        for order in permutations(expression.items):
            yield from _row(list(order), lists, text, start, language)
    elif isinstance(expression, Alternative):
        for item in expression.items:
            yield from _ends(item, lists, text, start, language)
    elif isinstance(expression, Group):
        yield from _row(expression.items, lists, text, start, language)
    elif isinstance(expression, ListReference):
        for value in _values(lists[expression.list_name], language):
            if isinstance(value, str):
                yield from _chunk(value.lower(), text, start)
            else:
                yield from _ends(value, lists, text, start, language)


def _row(items: list[Expression], lists: Mapping[str, SlotList], text: str, start: int, language: str) -> Iterator[int]:
    if not items:
        yield start
        return
    for end in set(_ends(items[0], lists, text, start, language)):
        if end == BEYOND:
            yield BEYOND
        else:
            yield from _row(items[1:], lists, text, end, language)


def _chunk(chunk: str, text: str, start: int) -> Iterator[int]:
    """Blanks of the template may be more than those of the text, where an optional word between them is missing."""
    at = start
    for character in chunk:
        if character == " " and (at == 0 or at >= len(text) or text[at - 1] == " "):
            continue
        if at >= len(text):
            yield BEYOND
            return
        if text[at] != character:
            return
        at += 1
    yield at


def _values(slot_list: SlotList, language: str) -> Iterator[str | Expression]:
    if isinstance(slot_list, TextSlotList):
        for value in slot_list.values:
            yield value.text_in
    elif isinstance(slot_list, RangeSlotList):
        for number in slot_list.get_numbers():
            yield str(number)
            yield from _spelled(number, language)


def _spelled(number: float, language: str) -> Iterator[str]:
    try:
        yield get_rbnf_engine(language).format_number(number).text.replace("-", " ")
    except ValueError:  # nobody has taught hassil to count in this language: digits only
        return
