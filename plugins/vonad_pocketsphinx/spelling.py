"""Text as it is spoken: lower case words without punctuation, numbers written out. English."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from hassil.numbers import get_rbnf_engine

LONGEST = 9
"""Digits of a number; longer ones, and those that begin with zero, are spoken digit by digit."""

_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*'?")
_SYMBOLS = {"&": " and ", "%": " percent ", "+": " plus ", "°": " degrees "}


def spoken(text: str) -> list[str]:
    """The words of a text. Symbols that nobody pronounces, emoji among them, are nothing."""
    text = unicodedata.normalize("NFC", text).replace("\u2019", "'").lower()
    for symbol, name in _SYMBOLS.items():
        text = text.replace(symbol, name)
    return [word for token in _TOKEN.findall(text) for word in _words(token)]


def numbers(value: int) -> Iterator[list[str]]:
    """The ways to say a whole number: one hundred five, one hundred and five, a hundred and five."""
    plain = _spelled(value)
    ways = [plain]
    if "hundred" in plain and plain[-1] != "hundred":
        last = len(plain) - plain[::-1].index("hundred")
        if plain[last] not in {"thousand", "million"}:
            ways.append([*plain[:last], "and", *plain[last:]])
    for way in ways:
        yield way
        if way[0] == "one" and len(way) > 1:
            yield ["a", *way[1:]]


def _words(token: str) -> list[str]:
    if not token.isdecimal():
        return [token]
    if len(token) > LONGEST or (len(token) > 1 and int(token[0]) == 0):
        return [word for digit in token for word in _spelled(int(digit))]
    return _spelled(int(token))


@lru_cache(maxsize=4096)
def _spelled_text(value: int) -> str:
    return get_rbnf_engine("en").format_number(value).text.replace("-", " ")


def _spelled(value: int) -> list[str]:
    return _spelled_text(value).split()
