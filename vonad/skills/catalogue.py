"""The catalogue: the skills that run now, and everything that may be said to them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from vonad.errors import VonadError
from vonad.sentences import Sentences, SkillSentences, sentences_of
from vonad.skill import AnySkill, Risk


@dataclass(frozen=True, slots=True)
class Entry:
    """A skill that runs. plugin: where it comes from."""

    skill: AnySkill
    plugin: str
    sentences: SkillSentences


class Catalogue:
    """Skills by name, and their sentences as one value, made anew only when they change."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._sentences = Sentences()

    def add(self, skill: AnySkill, plugin: str) -> None:
        """A skill runs from now on.

        Raises plugin_conflict; invalid_config for names no engine could spell, and for Args that no call could fill.
        """
        if skill.name in self._entries:
            other = self._entries[skill.name].plugin
            raise VonadError("plugin_conflict", f"skill {skill.name!r} of {plugin} is already offered by {other}")
        if skill.Args is BaseModel:
            why = f"skill {skill.name!r} of {plugin}: its Args is BaseModel itself, of which there are no instances"
            raise VonadError("invalid_config", f"{why}: leave it out, or name a class made from it")
        entry = Entry(skill, plugin, sentences_of(skill.name, skill.sentences, skill.lists))
        self._entries[skill.name] = entry
        self._compose()

    def remove(self, name: str) -> None:
        """It runs no more."""
        self._entries.pop(name, None)
        self._compose()

    def get(self, name: str) -> Entry:
        """Raises skill_not_found, naming those there are."""
        if name not in self._entries:
            known = ", ".join(sorted(self._entries)) or "none"
            raise VonadError("skill_not_found", f"no skill {name!r} runs; there are: {known}", op="skill")
        return self._entries[name]

    def find(self, name: str) -> Entry | None:
        """The skill of this name, if it runs."""
        return self._entries.get(name)

    def risk(self, name: str) -> Risk | None:
        """Of the skill of this name; None: there is none."""
        entry = self._entries.get(name)
        return entry.skill.risk if entry is not None else None

    def timeout_s(self, name: str) -> float:
        """How long the skill of this name may run; 0: there is none."""
        entry = self._entries.get(name)
        return entry.skill.timeout_s if entry is not None else 0.0

    def only(self, names: Collection[str]) -> "Catalogue":
        """Those of these names, as they are now. Raises skill_not_found."""
        chosen = Catalogue()
        chosen._entries = {name: self.get(name) for name in names}
        chosen._compose()
        return chosen

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def sentences(self) -> Sentences:
        """Everything that may be said now."""
        return self._sentences

    def _compose(self) -> None:
        self._sentences = Sentences(tuple(entry.sentences for entry in self._entries.values()))
