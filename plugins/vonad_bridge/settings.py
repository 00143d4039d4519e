"""What can be set of the bridge, and what a dialogue is made of."""

from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from vonad import Host


class Settings(BaseModel):
    """Engines by name, in order: one that fails, or has nothing to say, hands over to the next."""

    model_config = ConfigDict(extra="forbid")

    stt: list[str] = Field(default=["pocketsphinx"], description="Engines that recognise speech, in order.")
    agent: list[str] = Field(default=["sentences"], description="Engines that answer text, in order.")
    tts: list[str] = Field(default=["espeak"], description="Engines that speak, in order.")
    fillers: list[str] = Field(
        default=["One moment.", "Let me see."],
        description='Short sentences that bridge a wait, one after the other; for filler = "backend_generated".',
    )


class Eavesdropping(Protocol):
    """Somebody who is overheard while a reply plays."""

    def make_way(self) -> None:
        """Give the recogniser back."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """The engines by name, and where they are borrowed.

    eaves: who is only overheard just now, by recogniser, the longest first.
    """

    host: Host
    settings: Settings
    eaves: dict[str, list[Eavesdropping]] = field(default_factory=dict)
