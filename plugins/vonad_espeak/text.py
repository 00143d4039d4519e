"""Text as eSpeak takes it: without the characters that command it, in pieces that it speaks in a few milliseconds."""

import re
from collections.abc import Iterator

LONGEST = 300
"""Characters of a piece. Between two pieces others get their turn, and a listener who is behind is waited for."""

_COMMANDS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u2028\u2029]")
_UNSEEN = re.compile(
    r"[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\ue000-\uf8ff]"
)
_GAPS = re.compile(r"\s+")
_CUTS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (r".*(?:[.!?…]['\")\]”’»]*\s|[。！？]|\n\s*\n)", r".*(?:[,;:)–—]\s|[、，；：])", r".*\s")  # noqa: RUF001
)
"""Where a piece may end, the best place first."""


def pieces(text: str) -> Iterator[str]:
    """What there is to speak, piece by piece; nothing for a text without anything visible."""
    at = 0
    while at < len(text):
        end = _end(text, at)
        piece = clean(text[at:end])
        at = end
        if piece:
            yield piece


def clean(text: str) -> str:
    """Without control characters (\\x01 begins a command of eSpeak, \\x00 ends the text) and unpaired surrogates."""
    return _GAPS.sub(_gap, _UNSEEN.sub("", _COMMANDS.sub(" ", text))).strip()


def _gap(gap: re.Match[str]) -> str:
    return "\n\n" if gap[0].count("\n") > 1 else " "


def _end(text: str, at: int) -> int:
    limit = at + LONGEST
    if limit >= len(text):
        return len(text)
    for cut in _CUTS:
        if found := cut.match(text, at, limit):
            return found.end()
    return limit
