"""What can be said in a turn, ready to be matched: finds the skill and the arguments that a text stands for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hassil.expression import Expression, Group, ListReference, RuleReference, TextChunk
from hassil.intents import Intent, IntentData, Intents, RangeSlotList, SlotList, TextSlotList, TextSlotValue
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError
from hassil.recognize import recognize_best
from hassil.util import is_template

from vonad import Sentence, Sentences, SkillSentences, WordList
from vonad_sentences.progress import Arguments, Follower, Meaning, Progress
from vonad_sentences.wording import number_begun, template_wording, wording

NUMBERS = 5_000
"""Numbers that a list may have: each is kept in words."""

LONGEST = 1_000
"""Characters: no sentence of a skill is longer, and long texts take long to match."""

FAULTS = (ParseError, AssertionError, ValueError)
"""What hassil raises for a template that it cannot read."""


class SentenceFault(Exception):  # noqa: N818  (a finding, told to the owner as a warning)
    """Why a sentence cannot be matched, with the remedy."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A skill that a text asks for, and with what."""

    skill: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Known:
    """A sentence that can be matched."""

    skill: str
    data: IntentData

    @property
    def expression(self) -> Expression:
        """Its template."""
        return self.data.sentences[0].expression

    def meaning(self, said: Arguments) -> Meaning:
        """What is asked for by somebody who says it with these arguments."""
        return self.skill, frozenset({**self.data.slots, **dict(said)}.items())


class Book:
    """The sentences of a turn.

    faulty: told of each sentence that has to be left out, as a sentence for the owner.
    """

    def __init__(self, sentences: Sentences, language: str, faulty: Callable[[str], None]) -> None:
        self._language = language
        self._known = list(_read(sentences, language, faulty))
        self._intents = Intents(
            language,
            # numbered, because hassil takes the first by name of those that match equally well
            {f"{number:06}": Intent(f"{number:06}", [known.data]) for number, known in enumerate(self._known)},
        )

    def understand(self, text: str) -> Understood | None:
        """What a text asks for; None when it is no sentence of these."""
        if len(text) > LONGEST:
            return None
        for words in self._readings(text):
            found = recognize_best(words, self._intents, language=self._language)
            if found is not None:
                arguments = {name: entity.value for name, entity in found.entities.items()}
                return Understood(self._known[int(found.intent.name)].skill, arguments)
        return None

    def progress(self, text: str) -> Progress:
        """How far a text has got along any of the sentences."""
        far = Progress()
        for words in self._readings(text):
            far |= self._follow(words)
            if (begun := number_begun(words, self._language)) is not None:
                far |= Progress(open=self._follow(begun).open)
        return far

    def _follow(self, words: str) -> Progress:
        whole: set[Meaning] = set()
        ahead: set[Meaning | None] = set()
        follower = Follower(words, self._language)
        for known in self._known:
            ends, goes_on = follower.follow(known.expression, known.data.slot_lists)
            whole.update(known.meaning(said) for said in ends)
            ahead.update(known.meaning(said) if said is not None else None for said in goes_on)
        return Progress(frozenset(whole), frozenset(ahead))

    def _readings(self, text: str) -> list[str]:
        """A text as the templates may be written, the likely way first; none: there are no words in it."""
        ways = (wording(text, self._language), wording(text, self._language, short=True))
        return [words for words in dict.fromkeys(ways) if words]


def _read(sentences: Sentences, language: str, faulty: Callable[[str], None]) -> Iterator[Known]:
    for group in sentences.skills:
        lists, faults = _lists(group, language)
        for sentence in group.sentences:
            try:
                yield Known(group.skill, _data(sentence, language, lists, faults))
            except SentenceFault as fault:
                faulty(f"skill {group.skill}: the sentence {sentence.template!r} is left out: {fault}")


def _data(sentence: Sentence, language: str, lists: Mapping[str, SlotList], faults: Mapping[str, str]) -> IntentData:
    data = IntentData(
        [template_wording(sentence.template, language)], slots=dict(sentence.fixed), slot_lists=dict(lists)
    )
    try:
        expression = data.sentences[0].expression
    except FAULTS as error:
        raise SentenceFault(f"it cannot be read ({error}); check its brackets") from error
    for reference in _references(expression):
        if isinstance(reference, RuleReference):
            raise SentenceFault(f"<{reference.rule_name}> is a rule, and there are none; write out what it stands for")
        name = reference.list_name
        if name in faults:
            raise SentenceFault(faults[name])
        if (span := reference.get_inline_range()) is not None:
            data.slot_lists[name] = _numbers(name, span)
        elif name not in lists:
            known = ", ".join(lists) or "none"
            raise SentenceFault(f"there is no list {{{name}}}; the skill has: {known}. Add it to `lists`")
    return data


def _references(expression: Expression) -> Iterator[ListReference | RuleReference]:
    if isinstance(expression, Group):
        for item in expression.items:
            yield from _references(item)
    elif isinstance(expression, ListReference | RuleReference):
        yield expression


def _lists(group: SkillSentences, language: str) -> tuple[dict[str, SlotList], dict[str, str]]:
    """(the lists of a skill, why others of them cannot be used)"""
    lists: dict[str, SlotList] = {}
    faults: dict[str, str] = {}
    for words in group.lists:
        try:
            lists[words.name] = _slot_list(words, language)
        except SentenceFault as fault:
            faults[words.name] = str(fault)
    return lists, faults


def _slot_list(words: WordList, language: str) -> SlotList:
    if words.span is not None:
        return _numbers(words.name, words.span)
    values = [TextSlotValue(_value(said, language), meant) for said, meant in words.values]
    return TextSlotList(words.name, values)


def _numbers(name: str, span: tuple[int, int, int]) -> SlotList:
    first, last, step = span
    if step < 0:
        first, last, step = last, first, -step
    if step == 0 or last < first:
        raise SentenceFault(f"the list {{{name}}} has no numbers ({first} to {last}); turn its ends round")
    if (last - first) // step >= NUMBERS:
        raise SentenceFault(f"the list {{{name}}} has more than {NUMBERS} numbers; shorten it, or take larger steps")
    return RangeSlotList(name, first, last, step)


def _value(said: str, language: str) -> Expression:
    """A list's entry may be a template itself; a name that only looks like one is taken as it is written."""
    if is_template(said):
        try:
            expression = parse_sentence(template_wording(said, language)).expression
        except FAULTS:
            pass
        else:
            if not any(True for _ in _references(expression)):
                return expression
    return TextChunk(wording(said, language))
