"""What can be said to skills: templates and the lists they name, as hashable values that every engine shares."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vonad.errors import VonadError

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What skills and lists are called."""


class Sentence:
    """A template with arguments that it fixes: `Sentence("what day is it", what="day")`.

    template: hassil's language: `(a|b)` one of, `[x]` optional, `{list}` a word or words of a list, `{list:argument}`.
    """

    __slots__ = ("fixed", "template")

    def __init__(self, template: str, **fixed: str) -> None:
        self.template = template
        self.fixed: tuple[tuple[str, str], ...] = tuple(sorted(fixed.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sentence) and (self.template, self.fixed) == (other.template, other.fixed)

    def __hash__(self) -> int:
        return hash((self.template, self.fixed))

    def __repr__(self) -> str:
        return f"Sentence({self.template!r}{''.join(f', {k}={v!r}' for k, v in self.fixed)})"


@dataclass(frozen=True, slots=True)
class WordList:
    """A named list. Either `values` (what is said → what the skill gets) or a range of whole numbers, said as words.

    values: pairs of (spoken, meant).
    span:   (first, last, step), both ends included.
    """

    name: str
    values: tuple[tuple[str, str], ...] = ()
    span: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class SkillSentences:
    """The sentences of one skill, with the lists that only they see."""

    skill: str
    sentences: tuple[Sentence, ...]
    lists: tuple[WordList, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentences:
    """Everything that may be said in a turn. Hashable: engines cache what they compile from it."""

    skills: tuple[SkillSentences, ...] = ()

    def __bool__(self) -> bool:
        return any(group.sentences for group in self.skills)

    def __iter__(self) -> Iterator[tuple[SkillSentences, Sentence]]:
        for group in self.skills:
            for sentence in group.sentences:
                yield group, sentence


def sentences_of(
    skill: str,
    sentences: Sequence[str | Sentence],
    lists: Mapping[str, Sequence[str] | Mapping[str, str] | range],
) -> SkillSentences:
    """The value of a skill's declarations. Raises invalid_config for a name that no engine could spell."""
    for name in (skill, *lists):
        if not NAME.fullmatch(name):
            raise VonadError(
                "invalid_config",
                f"skill {skill!r}: the name {name!r} must be lower case letters, digits and _, beginning with a letter",
                op="sentences",
            )
    return SkillSentences(
        skill,
        tuple(item if isinstance(item, Sentence) else Sentence(item) for item in sentences),
        tuple(_word_list(name, values) for name, values in lists.items()),
    )


def _word_list(name: str, values: Sequence[str] | Mapping[str, str] | range) -> WordList:
    if isinstance(values, range):
        if not values:
            raise VonadError("invalid_config", f"list {name!r}: the range {values} is empty", op="sentences")
        return WordList(name, span=(values[0], values[-1], values.step))
    if isinstance(values, Mapping):
        return WordList(name, values=tuple(values.items()))
    return WordList(name, values=tuple((value, value) for value in values))
