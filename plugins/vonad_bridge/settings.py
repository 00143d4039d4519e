"""What can be set of the bridge, and what a dialogue is made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from vonad import Host

FILLERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": ("One moment.", "Let me see."),
        "de": ("Einen Moment.", "Mal sehen."),
        "es": ("Un momento.", "Vamos a ver."),
        "fr": ("Un instant.", "Voyons voir."),
        "it": ("Un momento.", "Vediamo."),
        "nl": ("Een ogenblik.", "Even kijken."),
    }
)
"""Short sentences that bridge a wait, by language."""


class Settings(BaseModel):
    """Engines by name, in order: one that fails, or has nothing to say, hands over to the next."""

    model_config = ConfigDict(extra="forbid")

    stt: list[str] = Field(default=["pocketsphinx"], description="Engines that recognise speech, in order.")
    agent: list[str] = Field(default=["sentences"], description="Engines that answer text, in order.")
    tts: list[str] = Field(default=["espeak"], description="Engines that speak, in order.")
    fillers: list[str] | None = Field(
        default=None,
        description='Short sentences that bridge a wait, one after the other; for filler = "backend_generated". '
        "Not set: some of its own, in the satellite's language.",
        examples=[["One moment.", "Let me see."]],
    )

    def bridging(self, language: str) -> Sequence[str]:
        """The fillers that fit a language; English ones where there are none."""
        if self.fillers is not None:
            return self.fillers
        return FILLERS.get(language.partition("-")[0].lower(), FILLERS["en"])


class Eavesdropping(Protocol):
    """Somebody who is overheard while a reply plays."""

    def make_way(self) -> None:
        """Give the recogniser back."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """The engines by name, and where they are borrowed.

    eaves: who is only overheard just now, by recogniser, the longest first.
    batch: recognisers that tell no words before the sound is over.
    wanted: how many turns wait for a recogniser: whoever is only overheard has it after them.
    """

    host: Host
    settings: Settings
    eaves: dict[str, list[Eavesdropping]] = field(default_factory=dict)
    batch: set[str] = field(default_factory=set)
    wanted: Counter[str] = field(default_factory=Counter)
