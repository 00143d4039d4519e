"""Exchanges: what was said and heard in a conversation, made into the pairs that a later session begins with."""

from collections.abc import Sequence
from dataclasses import dataclass

from vonad.engine import Exchange

KEPT = 4
"""The last exchanges, which a summary leaves as they were."""


@dataclass(frozen=True, slots=True)
class SummedUp:
    """A conversation so far, but for the last KEPT exchanges up to a turn. up_to: the number of that turn's row."""

    summary: str
    up_to: int


def paired(lines: Sequence[tuple[int, str, str]], limit: int, summed_up: SummedUp | None = None) -> list[Exchange]:
    """The last pairs of question and answer.

    lines: (number of the row, what the user said, what was heard of the reply), oldest first.

    What the user said in several turns before an answer came is one question; what was never answered is left out. What
    the house said unasked belongs to the answer before it.
    """
    pairs: list[tuple[int, Exchange]] = []
    unanswered: list[str] = []
    for row, user, assistant in lines:
        if user:
            unanswered.append(user)
        if not assistant:
            continue
        if user:
            pairs.append((row, Exchange(" ".join(unanswered), assistant)))
            unanswered = []
        elif pairs:
            first, last = pairs[-1]
            pairs[-1] = (first, Exchange(last.user, f"{last.assistant} {assistant}"))
    if summed_up is None:
        return [pair for _, pair in pairs[-limit:]] if limit else []
    before = [pair for row, pair in pairs if row <= summed_up.up_to]
    since = [pair for row, pair in pairs if row > summed_up.up_to]
    told = [*before[-KEPT:], *since][-max(0, limit - 1) :] if limit > 1 else []
    return [Exchange("", summed_up.summary, summary=True), *told] if limit else []
