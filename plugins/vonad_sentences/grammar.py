"""Grammars: the skills' sentences compiled for hassil, once for each value of Sentences and language."""

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hassil.expression import Expression, Group, ListReference, RuleReference
from hassil.intents import Intent, IntentData, Intents, RangeSlotList, SlotList, TextSlotList
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError
from hassil.recognize import recognize_best

from vonad import Sentence, Sentences, SkillSentences, WordList

KEPT = 8
"""Compiled grammars that are kept: the house's own, and those of questions that were asked lately."""

Lists = Mapping[str, SlotList]


@dataclass(frozen=True, slots=True)
class Match:
    """A sentence of a skill, with its arguments."""

    skill: str
    arguments: Mapping[str, object]


class Grammar:
    """What can be said. expressions: each template, with the lists that it may name."""

    def __init__(self, intents: Intents, expressions: list[tuple[Expression, Lists]], language: str) -> None:
        self.expressions = expressions
        self._intents = intents
        self._language = language

    def match(self, text: str) -> Match | None:
        """The sentence that a text is, whole; None when it is none."""
        for variant in variants(text):
            found = recognize_best(variant, self._intents, language=self._language, best_slot_name=None)
            if found is not None:
                arguments = {entity.name: entity.value for entity in found.entities_list}
                return Match(found.intent.name, arguments)
        return None


class Grammars:
    """Compiles, and keeps what was compiled lately."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._kept: OrderedDict[tuple[Sentences, str], Grammar] = OrderedDict()

    def of(self, sentences: Sentences, language: str) -> Grammar:
        """The grammar of these sentences; what cannot be compiled is left out, with a warning."""
        key = (sentences, language)
        if key not in self._kept:
            self._kept[key] = self._compile(sentences, language)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _compile(self, sentences: Sentences, language: str) -> Grammar:
        expressions: list[tuple[Expression, Lists]] = []
        intents: dict[str, Intent] = {}
        for group in sentences.skills:
            lists = {item.name: _slot_list(item) for item in group.lists}
            intent = intents.setdefault(group.skill, Intent(name=group.skill))
            for sentence in group.sentences:
                expression = self._parse(group, sentence, lists)
                if expression is not None:
                    expressions.append((expression, lists))
                    data = IntentData([sentence.template], slots=dict(sentence.fixed), slot_lists=dict(lists))
                    intent.data.append(data)
        return Grammar(Intents(language=language, intents=intents), expressions, language)

    def _parse(self, group: SkillSentences, sentence: Sentence, lists: Lists) -> Expression | None:
        """Hassil would fail over a bad template only when somebody speaks."""
        try:
            parsed = parse_sentence(sentence.template)
        except (ParseError, AssertionError, ValueError) as error:
            fault = f"it cannot be read ({error}): check its brackets"
        else:
            expression: Expression = parsed.expression
            parts = list(_parts(expression))
            rules = [part.rule_name for part in parts if isinstance(part, RuleReference)]
            unknown = [n for n in (p.list_name for p in parts if isinstance(p, ListReference)) if n not in lists]
            if rules:
                fault = f"<{rules[0]}> is a rule, and there are none: write out what it stands for"
            elif unknown:
                fault = f"it names the list {unknown[0]!r}: add it to the skill's lists"
            else:
                return expression
        self._log.warning("skill %s: sentence %r is left out: %s", group.skill, sentence.template, fault)
        return None


def _parts(expression: Expression) -> Iterator[Expression]:
    yield expression
    if isinstance(expression, Group):
        for item in expression.items:
            yield from _parts(item)


def _slot_list(item: WordList) -> SlotList:
    if item.span is not None:
        first, last, step = item.span
        return RangeSlotList(item.name, min(first, last), max(first, last), abs(step))
    return TextSlotList.from_tuples(item.values, name=item.name)


def variants(text: str) -> Iterator[str]:
    """A text as it is; with its short forms written out; with long ones shortened."""
    plain = " ".join(text.replace("\u2019", "'").split())
    yield plain
    for pattern, replacement in SHORT_FORMS:
        other = pattern.sub(replacement, plain)
        if other != plain:
            yield other


SHORT_FORMS = (
    (re.compile(r"\b(what|who|where|when|how|that|it|there|here)'s\b", re.IGNORECASE), r"\1 is"),
    (re.compile(r"\b(what|who|where|when|how|that|it|there|here) is\b", re.IGNORECASE), r"\1's"),
    (re.compile(r"\b(what|who|where|when|how)s\b", re.IGNORECASE), r"\1's"),
    (re.compile(r"\b(what|who|where|when|how)s\b", re.IGNORECASE), r"\1 is"),
    (re.compile(r"\bo clock\b", re.IGNORECASE), "o'clock"),
)
"""People write and recognisers print either."""
