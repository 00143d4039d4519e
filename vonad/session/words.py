"""Words: what two texts are compared by, whatever their case, punctuation and spaces."""

import re

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHE = re.compile(r"['\u2019]")


def words(text: str) -> tuple[str, ...]:
    """Its words without case and punctuation; an apostrophe parts none."""
    return tuple(_WORD.findall(_APOSTROPHE.sub("", text.casefold())))
