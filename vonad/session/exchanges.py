"""Exchanges: what a session remembers of itself, and how much of it a model has to read."""

from collections.abc import Sequence

from vonad.engine import Exchange

CHARACTERS = 4
"""In a token, about: models differ, and nothing here depends on more."""


def tokens(exchanges: Sequence[Exchange]) -> int:
    """About how many a model takes these for."""
    return sum(len(exchange.user) + len(exchange.assistant) for exchange in exchanges) // CHARACTERS


def remember(exchanges: Sequence[Exchange], latest: Exchange, most: int) -> list[Exchange]:
    """With the latest, at most so many: the oldest go, but for the one that sums up those that have gone before."""
    summary = list(exchanges[:1]) if exchanges and exchanges[0].summary else []
    rest = [*exchanges[len(summary) :], latest]
    return [*summary, *rest[-(most - len(summary)) :]]
