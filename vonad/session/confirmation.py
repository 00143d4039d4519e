"""Confirmation: one skill call waits for the user's yes, which no model gets to say."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Protocol

from vonad.clock import Clock
from vonad.plan import Plan
from vonad.sentences import Sentences, sentences_of
from vonad.skills.pending import Pending

Verdict = Literal["yes", "no"]

GROUP = "vonad_confirmation"
"""What the sentences are filed under; no skill has this name."""

ANSWERS: Mapping[str, Mapping[Verdict, tuple[str, ...]]] = MappingProxyType(
    {
        "en": {
            "yes": (
                "yes",
                "yes please",
                "yes do it",
                "yes do that",
                "yes go ahead",
                "yeah",
                "yep",
                "sure",
                "do it",
                "go ahead",
                "please do",
                "okay do it",
                "confirm",
                "confirmed",
            ),
            "no": (
                "no",
                "no thanks",
                "no thank you",
                "no don't",
                "nope",
                "don't",
                "do not",
                "don't do it",
                "do not do it",
                "cancel",
                "cancel that",
                "stop",
                "never mind",
            ),
        },
        "de": {
            "yes": ("ja", "ja bitte", "ja mach das", "mach das", "jawohl", "bestätigt"),
            "no": ("nein", "nein danke", "lass es", "abbrechen", "stopp", "nicht"),
        },
        "fr": {
            "yes": ("oui", "oui s'il te plaît", "oui vas-y", "vas-y", "confirmer", "d'accord"),
            "no": ("non", "non merci", "annuler", "annule", "arrête", "stop"),
        },
        "es": {
            "yes": ("sí", "sí por favor", "sí hazlo", "hazlo", "adelante", "confirmar"),
            "no": ("no", "no gracias", "no lo hagas", "cancelar", "cancela", "para"),
        },
        "it": {
            "yes": ("sì", "sì grazie", "sì fallo", "fallo", "confermo", "d'accordo"),
            "no": ("no", "no grazie", "annulla", "non farlo", "stop", "lascia stare"),
        },
        "nl": {
            "yes": ("ja", "ja graag", "ja doe maar", "doe maar", "bevestig"),
            "no": ("nee", "nee bedankt", "niet doen", "annuleer", "stop", "laat maar"),
        },
    }
)
"""Whole answers, by language: only somebody who says just this has said yes."""

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


class Place(Protocol):
    """What it needs of the floor."""

    @property
    def clock(self) -> Clock:
        """When the answer comes."""

    @property
    def plan(self) -> Plan:
        """In which language."""


class Confirmation:
    """Holds what the user was asked last, for one answer and 20 s.

    pending: what runs if that is a yes; the desk takes it once, for this satellite and these arguments.
    """

    def __init__(self, floor: Place) -> None:
        self.pending: Pending | None = None
        self._asked_in = 0
        self._floor = floor
        self._made: tuple[Sentences, str, Sentences] | None = None

    def asked(self, pending: Pending, *, turn: int = 0) -> None:
        """The user is asked this now, in this turn, and nothing that was asked before."""
        self.pending, self._asked_in = pending, turn

    def drop(self) -> None:
        """The answer does not matter any more."""
        self.pending = None

    def over(self, turn: int) -> None:
        """A turn is over. The one behind the question was for the answer, whatever has become of it."""
        if turn != self._asked_in:
            self.drop()

    def answered(self, text: str, language: str) -> Verdict | None:
        """What the user makes of it; None: nothing was asked, or this is about something else, and the call is dropped.

        A yes that comes too late is a no.
        """
        pending, self.pending = self.pending, None
        if pending is None:
            return None
        said = _normal(text)
        answers = _answers(language)
        if said in answers["no"]:
            return "no"
        if said in answers["yes"]:
            return "yes" if self._floor.clock.monotonic() <= pending.until else "no"
        return None

    def sentences(self, base: Sentences) -> Sentences:
        """What may be said in a turn: while an answer is awaited, yes and no too."""
        if self.pending is None:
            return base
        if self._floor.clock.monotonic() > self.pending.until:
            self.pending = None
            return base
        language = self._floor.plan.language
        if self._made is None or self._made[0] is not base or self._made[1] != language:
            answers = ANSWERS.get(language, ANSWERS["en"])
            words = sentences_of(GROUP, (*answers["yes"], *answers["no"]), {})
            self._made = (base, language, Sentences((*base.skills, words)))
        return self._made[2]


def _answers(language: str) -> Mapping[Verdict, frozenset[str]]:
    return _NORMAL.get(language, _NORMAL["en"])


def _normal(text: str) -> str:
    """As it sounds: without case and punctuation."""
    return " ".join(_WORD.findall(text.casefold().replace("\u2019", "'")))


_NORMAL: Mapping[str, Mapping[Verdict, frozenset[str]]] = MappingProxyType(
    {
        language: {verdict: frozenset(map(_normal, said)) for verdict, said in answers.items()}
        for language, answers in ANSWERS.items()
    }
)
