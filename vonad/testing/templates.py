"""What people might say to a skill: every template read, and one way to say each of its sentences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vonad.sentences import Sentence, SkillSentences, WordList

ENDS = {"(": ")", "[": "]", "{": "}", "<": ">"}


class TemplateError(ValueError):
    """Why a template cannot be read, as a sentence."""


@dataclass(frozen=True, slots=True)
class Said:
    """A text, and the arguments it stands for; numbers in it are digits."""

    text: str
    arguments: Mapping[str, object]


def said(skill: SkillSentences) -> Iterator[Said]:
    """For each sentence: as short as it can be, and with everything that may be left out. Raises TemplateError."""
    lists = {words.name: words for words in skill.lists}
    for sentence in skill.sentences:
        for whole in (False, True):
            yield _Reader(sentence, lists, whole=whole).said()


class _Reader:
    """Reads one template: (a|b) takes the first, or the last when it is to be whole; [x] nothing, or x."""

    def __init__(self, sentence: Sentence, lists: Mapping[str, WordList], *, whole: bool) -> None:
        self._template = sentence.template
        self._lists = lists
        self._whole = whole
        self._at = 0
        self._arguments: dict[str, object] = dict(sentence.fixed)

    def said(self) -> Said:
        words, arguments = self._alternatives("")
        return Said(" ".join(words.split()), {**arguments, **self._arguments})

    def _alternatives(self, end: str) -> tuple[str, dict[str, object]]:
        """Up to the bracket that ends it; the whole template when there is none."""
        ways = [self._sequence(end)]
        permuted = False
        while self._here() in {"|", ";"}:
            permuted = permuted or self._here() == ";"
            self._at += 1
            ways.append(self._sequence(end))
        if end and self._here() != end:
            raise TemplateError(f"{self._template!r}: a bracket is never closed with {end}")
        if not end and self._at < len(self._template):
            raise TemplateError(f"{self._template!r}: {self._here()} closes a bracket that was never opened")
        self._at += len(end)
        if permuted:
            return " ".join(words for words, _ in ways), {key: v for _, found in ways for key, v in found.items()}
        return ways[-1 if self._whole else 0]

    def _sequence(self, end: str) -> tuple[str, dict[str, object]]:
        words, arguments = "", dict[str, object]()
        while self._at < len(self._template) and self._here() not in {"|", ";", ")", "]", "}", ">"}:
            letter = self._here()
            self._at += 1
            if letter == "\\":
                words += self._here()
                self._at += 1
            elif letter == "<":
                raise TemplateError(f"{self._template!r}: there are no rules; write out what <…> stands for")
            elif letter == "{":
                text, name, value = self._list()
                words += text
                arguments[name] = value
            elif letter in ENDS:
                inner, found = self._alternatives(ENDS[letter])
                if letter == "(" or self._whole:
                    words += inner
                    arguments |= found
            else:
                words += letter
        return words, arguments

    def _list(self) -> tuple[str, str, object]:
        """(what is said, the argument it fills, with what)"""
        end = self._template.find("}", self._at)
        if end < 0:
            raise TemplateError(f"{self._template!r}: a bracket is never closed with }}")
        named, _, argument = self._template[self._at : end].partition(":")
        self._at = end + 1
        span = named.partition(",")[0]
        if ".." in span:  # numbers given in place: {1..10,minutes}
            first = span.partition("..")[0]
            return first, argument or named.partition(",")[2], int(first)
        if named not in self._lists:
            known = ", ".join(self._lists) or "none"
            raise TemplateError(f"{self._template!r}: there is no list {{{named}}}; the skill has: {known}")
        words = self._lists[named]
        if words.span is not None:
            first_, last, _ = words.span
            number = last if self._whole else first_
            return str(number), argument or named, number
        if not words.values:
            raise TemplateError(f"{self._template!r}: the list {{{named}}} is empty")
        text, meant = words.values[-1 if self._whole else 0]
        return text, argument or named, meant

    def _here(self) -> str:
        return self._template[self._at : self._at + 1]
