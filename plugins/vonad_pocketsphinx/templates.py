"""Reads sentence templates (hassil's language) into networks of spoken words."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from hassil.expression import Alternative, Expression, Group, ListReference, Permutation, RuleReference, TextChunk
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError
from hassil.util import is_template

from vonad import WordList
from vonad_pocketsphinx.network import Network
from vonad_pocketsphinx.spelling import numbers, spoken

LARGEST = 50_000
"""Steps of one template; 300 names in each of 20 places are 12 000."""

GAP = " "
"""The piece between two words."""


class TemplateFault(Exception):  # noqa: N818  (a finding, told to the owner as a warning)
    """Why a template cannot be in the grammar, with the remedy."""


def read(template: str, lists: Mapping[str, WordList]) -> Network:
    """The network of a template. Raises TemplateFault."""
    letters = Letters(lists)
    try:
        expression = parse_sentence(template).expression
    except (ParseError, AssertionError, ValueError) as error:
        raise TemplateFault(f"it cannot be read ({error}); check its brackets") from error
    end = letters.write(expression, 0)
    return _words(letters.steps, end)


class Letters:
    """A template before its words are known: `bed[ ]room` is the pieces bed, a gap that may be missing, room."""

    def __init__(self, lists: Mapping[str, WordList]) -> None:
        self.steps: list[list[tuple[str, int]]] = [[]]
        self._lists = lists
        self._size = 0
        self._inside: tuple[str, ...] = ()

    def write(self, expression: Expression, start: int) -> int:
        """Add an expression after the state `start`; the state in which it ends."""
        if isinstance(expression, TextChunk):
            return self._text(expression.text, start)
        if isinstance(expression, Permutation):
            return self._permutation(expression.items, start)
        if isinstance(expression, Alternative):
            return self._one_of([[item] for item in expression.items], start)
        if isinstance(expression, Group):
            for item in expression.items:
                start = self.write(item, start)
            return start
        if isinstance(expression, ListReference):
            return self._list(expression, start)
        if isinstance(expression, RuleReference):
            raise TemplateFault(f"<{expression.rule_name}> is a rule, and there are none; write out what it stands for")
        raise TemplateFault(f"{type(expression).__name__} is not known here")

    def _text(self, text: str, start: int) -> int:
        for number, part in enumerate(text.split(GAP)):
            if number:
                start = self._step(start, GAP)
            if part:
                start = self._step(start, part)
        return start

    def _one_of(self, ways: Sequence[Sequence[Expression]], start: int) -> int:
        end = self._state()
        for way in ways:
            last = start
            for item in way:
                last = self.write(item, last)
            self._join(last, "", end)
        return end

    def _permutation(self, items: Sequence[Expression], start: int) -> int:
        if len(items) > 5:
            raise TemplateFault(f"{len(items)} parts in any order are too many; 5 can be used")
        return self._one_of(list(permutations(items)), start)

    def _list(self, reference: ListReference, start: int) -> int:
        name = reference.list_name
        span = reference.get_inline_range()
        words = WordList(name, span=span) if span else self._lists.get(name)
        if words is None:
            known = ", ".join(self._lists) or "none"
            raise TemplateFault(f"there is no list {{{name}}} (the skill has: {known})")
        if name in self._inside:
            raise TemplateFault(f"the list {{{name}}} is used in itself")
        self._inside = (*self._inside, name)
        end = self._one_of([[way] for way in _ways(words)], start)
        self._inside = self._inside[:-1]
        return end

    def _state(self) -> int:
        self.steps.append([])
        return len(self.steps) - 1

    def _step(self, start: int, piece: str) -> int:
        end = self._state()
        self._join(start, piece, end)
        return end

    def _join(self, start: int, piece: str, end: int) -> None:
        self._size += 1
        if self._size > LARGEST:
            raise TemplateFault(f"it has more than {LARGEST} parts; divide it, or shorten its lists")
        self.steps[start].append((piece, end))


def _ways(words: WordList) -> Iterator[Expression]:
    """What can be said for a list."""
    if words.span is not None:
        first, last, step = words.span
        values = range(first, last + (1 if step > 0 else -1), step)
        if len(values) > LARGEST // 10:
            raise TemplateFault(f"the list {{{words.name}}} has {len(values)} numbers; {LARGEST // 10} can be used")
        yield from (TextChunk(GAP.join(way)) for value in values for way in numbers(value))
    elif words.values:
        yield from (_value(said) for said, _ in words.values)
    else:
        raise TemplateFault(f"the list {{{words.name}}} has no words: a closed grammar needs all that may be said")


def _value(said: str) -> Expression:
    """A list's entry may be a template itself; a name that only looks like one is taken as it is written."""
    if is_template(said):
        try:
            return parse_sentence(said).expression
        except (ParseError, AssertionError, ValueError):
            pass
    return TextChunk(said)


def _words(pieces: list[list[tuple[str, int]]], end: int) -> Network:
    """Join pieces to words: a word ends at a gap or at the end."""
    network = Network()
    states = {0: 0}
    waiting = [0]
    size = 0
    while waiting:
        start = waiting.pop()
        for text, target in _words_from(pieces, start, end):
            size += 1
            if size > LARGEST:
                raise TemplateFault("too many words can be made of it; put spaces between its optional parts")
            if target is not None and target not in states:
                states[target] = network.state()
                waiting.append(target)
            network.join(states[start], spoken(text), network.end if target is None else states[target])
    return network


def _words_from(pieces: list[list[tuple[str, int]]], start: int, end: int) -> Iterator[tuple[str, int | None]]:
    """(text, the state behind its gap, or None for the end)"""
    waiting = [(start, "")]
    seen = set(waiting)
    while waiting:
        state, text = waiting.pop()
        if state == end:
            yield text, None
        for piece, target in pieces[state]:
            if piece == GAP and text:
                yield text, target
                continue
            longer = (target, text if piece == GAP else text + piece)
            if longer not in seen:
                seen.add(longer)
                waiting.append(longer)
