"""The voices there are, and which of them speaks a language."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from vonad import VonadError


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of eSpeak. identifier: "gmw/en-US"; languages: (rank, "en-us"), the lowest rank the better choice."""

    name: str
    identifier: str
    languages: tuple[tuple[int, str], ...]

    @property
    def tongues(self) -> frozenset[str]:
        """The languages without their regions."""
        return frozenset(_primary(code) for _, code in self.languages)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A voice and a variant of it ("f3", a timbre; "" for none), as eSpeak is asked for them."""

    voice: Voice
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.voice.identifier}+{self.variant}" if self.variant else self.voice.identifier


class Voices:
    """Finds voices by language and by name."""

    def __init__(self, voices: Sequence[Voice], variants: Collection[str]) -> None:
        self._variants = {variant.lower(): variant for variant in variants}
        self._named: dict[str, Voice] = {}
        self._ranked: dict[str, list[tuple[int, Voice]]] = {}
        for voice in voices:
            for name in (voice.name, voice.identifier, voice.identifier.rpartition("/")[2]):
                self._named.setdefault(name.lower(), voice)
            for rank, language in voice.languages:
                self._ranked.setdefault(language.lower(), []).append((rank, voice))

    @property
    def languages(self) -> Sequence[str]:
        """Those that can be spoken, without their regions."""
        return sorted({_primary(language) for language in self._ranked})

    def speaks(self, language: str) -> bool:
        """Whether there is a voice of this language, of whatever region."""
        return bool(self._of(language))

    def speaking(self, language: str) -> Voice:
        """The voice of a language: of its region if there is one. Raises capability_unsupported."""
        ranked = self._of(language)
        if not ranked:
            raise VonadError(
                "capability_unsupported",
                f"espeak has no voice for the language {language!r}; it speaks {', '.join(self.languages)}",
                op="espeak.speak",
                details={"language": language, "available": list(self.languages)},
            )
        return min(ranked, key=lambda entry: entry[0])[1]

    def _of(self, language: str) -> Sequence[tuple[int, Voice]]:
        code = language.strip().lower().replace("_", "-")
        return self._ranked.get(code) or self._ranked.get(_primary(code)) or ()

    def named(self, name: str) -> Chosen | None:
        """A voice by its name, identifier or language, with or without a variant: "en-us", "English (America)+f3"."""
        base, _, variant = name.strip().lower().partition("+")
        if variant and variant not in self._variants:
            return None
        voice = self._named.get(base)
        if voice is None and base in self._ranked:
            voice = self.speaking(base)
        return None if voice is None else Chosen(voice, self._variants.get(variant, ""))

    def like(self, name: str) -> Sequence[str]:
        """Names near one that is not known, for an error's remedy."""
        base, _, variant = name.strip().lower().partition("+")
        if variant and self.named(base):
            return [f"{base}+{near}" for near in _near(variant, self._variants)]
        return _near(base, {*self._ranked, *self._named})

    def choose(self, language: str, *wanted: str | None) -> Chosen:
        """The first wanted voice there is, if it speaks the language; else the language's own, in the wanted variant.

        Raises capability_unsupported for a language that nobody speaks.
        """
        own = self.speaking(language)
        found = (self.named(name) for name in wanted if name)
        chosen = next((voice for voice in found if voice), None)
        if chosen is None:
            return Chosen(own)
        if chosen.voice.tongues & own.tongues:
            return chosen
        return Chosen(own, chosen.variant)


def _primary(language: str) -> str:
    return re.split("[-_]", language.lower(), maxsplit=1)[0]


def _near(name: str, known: Collection[str]) -> Sequence[str]:
    return get_close_matches(name, sorted(known), n=3) or sorted(known)[:8]
