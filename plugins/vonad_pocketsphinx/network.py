"""Networks of words: what may follow what. Templates make them; a grammar is the smallest one that says the same."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

NOTHING = ""
"""The word of a step that takes no word."""


class Network:
    """States joined by words, from the state 0 to `end`. Without loops: every sentence comes to an end."""

    def __init__(self) -> None:
        self.steps: list[list[tuple[str, int]]] = [[], []]
        self.end = 1

    def state(self) -> int:
        """A new state."""
        self.steps.append([])
        return len(self.steps) - 1

    def join(self, start: int, words: Sequence[str], end: int) -> None:
        """Let these words, one after the other, lead from `start` to `end`."""
        for word in words[:-1]:
            following = self.state()
            self.steps[start].append((word, following))
            start = following
        self.steps[start].append((words[-1] if words else NOTHING, end))

    def words(self) -> set[str]:
        """All that occur."""
        return {word for steps in self.steps for word, _ in steps if word}

    def silence(self, words: Collection[str]) -> None:
        """Take every step away that needs one of these words."""
        self.steps = [[step for step in steps if step[0] not in words] for steps in self.steps]

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """These states, and those reached from them without a word."""
        found = set(states)
        waiting = list(found)
        while waiting:
            for word, target in self.steps[waiting.pop()]:
                if word == NOTHING and target not in found:
                    found.add(target)
                    waiting.append(target)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Grammar:
    """The smallest deterministic network: in each state a word leads to one other state. It begins in `start`.

    steps: for each state, word → next state.
    ends:  states in which a sentence is whole.
    """

    steps: tuple[dict[str, int], ...]
    ends: frozenset[int]
    start: int

    def __bool__(self) -> bool:
        return bool(self.steps[self.start])

    def accepts(self, words: Iterable[str]) -> bool:
        """Whether these words are a whole sentence."""
        return self._after(words) in self.ends

    def begins(self, words: Iterable[str]) -> bool:
        """Whether a sentence begins with these words."""
        return self._after(words) is not None

    def _after(self, words: Iterable[str]) -> int | None:
        state: int | None = self.start
        for word in words:
            if state is None:
                break
            state = self.steps[state].get(word)
        return state

    def sentences(self) -> Iterator[tuple[str, ...]]:
        """Every sentence there is: for tests, of small grammars."""
        waiting: list[tuple[int, tuple[str, ...]]] = [(self.start, ())]
        while waiting:
            state, words = waiting.pop()
            if state in self.ends:
                yield words
            waiting.extend((target, (*words, word)) for word, target in self.steps[state].items())


def grammar(networks: Sequence[Network]) -> Grammar:
    """All sentences of these networks together; the sentence without words is none of them."""
    steps, whole = _deterministic(networks)
    return _smallest(steps, whole)


def _deterministic(networks: Sequence[Network]) -> tuple[list[dict[str, int]], list[bool]]:
    """The subset construction. State 0 is the start; what leads nowhere is still in it."""
    start = frozenset((number, state) for number, network in enumerate(networks) for state in network.closure([0]))
    numbers: dict[frozenset[tuple[int, int]], int] = {start: 0}
    steps: list[dict[str, int]] = []
    whole: list[bool] = []
    order = [start]
    for subset in order:  # grows while it is walked
        whole.append(bool(order[0] is not subset) and any(networks[n].end == state for n, state in subset))
        targets: dict[str, set[tuple[int, int]]] = {}
        for number, state in subset:
            for word, target in networks[number].steps[state]:
                if word != NOTHING:
                    targets.setdefault(word, set()).add((number, target))
        row: dict[str, int] = {}
        for word, reached in targets.items():
            closed = frozenset(
                (number, state)
                for number in {number for number, _ in reached}
                for state in networks[number].closure(state for of, state in reached if of == number)
            )
            if closed not in numbers:
                numbers[closed] = len(order)
                order.append(closed)
            row[word] = numbers[closed]
        steps.append(row)
    return steps, whole


def _smallest(steps: list[dict[str, int]], whole: list[bool]) -> Grammar:
    """States from which the same can be said become one; from which nothing can, none. Works because nothing loops."""
    kept: list[dict[str, int]] = []
    ends: set[int] = set()
    same: dict[tuple[bool, frozenset[tuple[str, int]]], int] = {}
    number: dict[int, int | None] = {}
    for state in _last_first(steps):
        row = {word: target for word, old in steps[state].items() if (target := number[old]) is not None}
        if not row and not whole[state] and state != 0:
            number[state] = None
            continue
        key = (whole[state], frozenset(row.items()))
        if key not in same:
            same[key] = len(kept)
            if whole[state]:
                ends.add(len(kept))
            kept.append(row)
        number[state] = same[key]
    start = number[0]
    assert start is not None
    return Grammar(tuple(kept), frozenset(ends), start)


def _last_first(steps: list[dict[str, int]]) -> Iterator[int]:
    """States after all that follow them."""
    done = [False] * len(steps)
    stack: list[tuple[int, Iterator[int]]] = [(0, iter(steps[0].values()))]
    done[0] = True
    while stack:
        state, following = stack[-1]
        for target in following:
            if not done[target]:
                done[target] = True
                stack.append((target, iter(steps[target].values())))
                break
        else:
            stack.pop()
            yield state
