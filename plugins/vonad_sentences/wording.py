"""One way to write what can be written in several: templates and texts are brought into it before they are matched.

Lower case, no punctuation, no hyphens, numbers as words, and in English "what is" for "what's".
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from hassil.numbers import get_rbnf_engine

LONGEST = 9
"""Digits of a number; longer ones, and those that begin with zero, are spoken digit by digit."""

PADDING: Mapping[str, frozenset[str]] = MappingProxyType({"en": frozenset({"now", "please", "right", "then"})})
"""Words that people add without a pause or not at all, by language; nobody who leaves them out wants to say more."""

_SYMBOLS = {"&": " and ", "%": " percent ", "+": " plus ", "°": " degrees "}
_WORD = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*'?")
_TEMPLATE = re.compile(rf"(?P<name>\{{[^{{}}]*\}}|<[^<>]*>)|(?P<word>{_WORD.pattern})|\\.|[^\w\s'()\[\]|;{{}}<>]|_")
"""Names in a template; its words; what is neither of them nor syntax."""

_OPENING, _CLOSING = tuple("([{<"), tuple(")]}>")
_AND = re.compile(r"\b(hundred|thousand|million) and (?=[a-z])")
_A = re.compile(r"\ba (hundred|thousand|million)\b")

_BEGUN = re.compile(r"\b(?:(?P<one>a)|(?P<more>hundred|thousand|million) and)$")

_IS = ("what", "who", "where", "when", "how", "why", "that", "there", "here", "it", "he", "she")
_NOT = ("do", "does", "did", "is", "are", "was", "were", "could", "would", "should", "have", "has", "had")
_SHORT = {
    **{f"{word}'s": f"{word} is" for word in _IS},
    **{f"{word}s": f"{word} is" for word in ("what", "where", "how", "that", "there")},
    **{f"{word}n't": f"{word} not" for word in _NOT},
    **{f"{word}nt": f"{word} not" for word in ("do", "does", "did", "is", "are", "was", "could", "would", "should")},
    **{f"{word}'re": f"{word} are" for word in ("you", "we", "they", "what", "where")},
    **{f"{word}'ll": f"{word} will" for word in ("i", "you", "we", "they", "it", "he", "she", "that")},
    **{f"{word}'ve": f"{word} have" for word in ("i", "you", "we", "they")},
    **{f"{word}'d": f"{word} would" for word in ("i", "you", "we", "they", "he", "she")},
    "i'm": "i am",
    "im": "i am",
    "let's": "let us",
    "can't": "can not",
    "cant": "can not",
    "cannot": "can not",
    "won't": "will not",
    "wont": "will not",
    "shan't": "shall not",
}


def wording(text: str, language: str, *, short: bool = False) -> str:
    """The words of a text, one space between.

    short: leave contractions as they are: a template may make them of pieces, `what['s]`.
    """
    words = (_written_out(word, language, short=short) for word in _WORD.findall(_plain(text).lower()))
    return _joined(" ".join(words), language)


def template_wording(template: str, language: str) -> str:
    """A template with its words written so; its syntax, the names of its lists and parts of words stay."""

    def written(found: re.Match[str]) -> str:
        if found["name"]:
            return found["name"]
        before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
        if not found["word"]:
            return " "
        word = found["word"].lower()
        if before in _CLOSING or after in _OPENING:
            return word
        gap = " " if before.isalnum() else ""  # between letters and digits
        return gap + _written_out(word, language, short=False)

    return _joined(_TEMPLATE.sub(written, _plain(template)), language)


def number_begun(words: str, language: str) -> str | None:
    """Words that end within a number, "a" hundred or hundred "and" five, with what of it is sure; else None."""
    begun = _BEGUN.search(words) if _english(language) else None
    return words[: begun.start()] + (begun["more"] or "one") if begun is not None else None


@lru_cache(maxsize=4096)
def number_words(value: int, language: str) -> str | None:
    """A whole number in words; None where the language's are not known."""
    try:
        text = get_rbnf_engine(language).format_number(value).text
    except ValueError:
        return None
    return " ".join(_WORD.findall(text.lower()))


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFC", text).replace("\u2019", "'")
    for symbol, name in _SYMBOLS.items():
        text = text.replace(symbol, name)
    return text


def _written_out(word: str, language: str, *, short: bool) -> str:
    if word.isdecimal():
        digits = len(word) > LONGEST or (len(word) > 1 and int(word[0]) == 0)
        return " ".join(number_words(int(part), language) or part for part in (word if digits else [word]))
    return word if short or not _english(language) else _SHORT.get(word, word)


def _joined(text: str, language: str) -> str:
    return _A.sub(r"one \1", _AND.sub(r"\1 ", text)) if _english(language) else text


def _english(language: str) -> bool:
    return language.partition("-")[0] == "en"
