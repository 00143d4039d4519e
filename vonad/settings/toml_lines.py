"""Where things stand in a TOML file: the line of each table and key, which tomllib does not tell."""

import re
from bisect import bisect_right
from collections.abc import Mapping

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
)
_BARE_KEY = re.compile(r"[^\s.=\[\]{}\"'#,]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_HEADER_END = re.compile(r"\]*")
_PUNCTUATION = re.compile(r"[\[\]{},=]")
_OPEN = {"[": 1, "{": 1, "]": -1, "}": -1}

Place = tuple[str, ...]
"""Names from the outermost table to a key."""


def lines_of(text: str) -> Mapping[Place, int]:
    """The line, from 1, of every table and key of a text that is valid TOML. Keys inside of arrays are left out."""
    return _Reader(text).read()


class _Reader:
    """One pass over a text known to be valid, so that everything that is not recognised can be stepped over."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[Place, int] = {}

    def read(self) -> dict[Place, int]:
        table: Place = ()
        while self._step(_BLANK) and self._at < len(self._text):
            start = self._at
            if self._text[self._at] == "[":
                self._at += 2 if self._text.startswith("[[", self._at) else 1
                table = self._key()
                self._note(table, start)
                self._step(_HEADER_END)
            else:
                self._pair(table)
        return self._lines

    def _pair(self, table: Place) -> None:
        start = self._at
        place = table + self._key()
        self._note(place, start)
        self._at += 1  # the equals sign
        self._step(_SPACE)
        if self._text.startswith("{", self._at):
            self._inline_table(place)
        else:
            self._value()

    def _inline_table(self, place: Place) -> None:
        self._at += 1
        while self._step(_BLANK) and self._at < len(self._text) and self._text[self._at] != "}":
            if self._text[self._at] == ",":
                self._at += 1
            else:
                self._pair(place)
        self._at += 1

    def _value(self) -> None:
        """Step over a value that is no inline table."""
        if not self._text.startswith("[", self._at):
            _ = self._step(_STRING) or self._step(_SCALAR)
            return
        depth = 0
        while self._at < len(self._text):
            self._step(_BLANK)
            if mark := _PUNCTUATION.match(self._text, self._at):
                depth += _OPEN.get(mark[0], 0)
                self._at = mark.end()
                if depth == 0:
                    return
            elif not (self._step(_STRING) or self._step(_BARE_KEY)):
                self._at += 1

    def _key(self) -> Place:
        names: list[str] = []
        while True:
            self._step(_SPACE)
            if quoted := _STRING.match(self._text, self._at):
                names.append(_unquoted(quoted[0]))
                self._at = quoted.end()
            elif bare := _BARE_KEY.match(self._text, self._at):
                names.append(bare[0])
                self._at = bare.end()
            self._step(_SPACE)
            if not self._text.startswith(".", self._at):
                return tuple(names)
            self._at += 1

    def _note(self, place: Place, at: int) -> None:
        line = bisect_right(self._starts, at)
        for depth in range(1, len(place) + 1):
            self._lines.setdefault(place[:depth], line)

    def _step(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match is not None


def _unquoted(quoted: str) -> str:
    if quoted[0] == "'":
        return quoted[1:-1]
    escapes = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}

    def plain(match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        return chr(int(digits, 16)) if digits else escapes.get(match[4], match[0])

    return re.sub(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))", plain, quoted[1:-1])
