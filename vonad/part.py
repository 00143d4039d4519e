"""A part: one component that the configuration names, open or with the reason why not."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from vonad.backend import Backend
from vonad.engine import (
    Agent,
    SpeechToText,
    TextToSpeech,
    TurnDetector,
    VoiceActivityDetector,
    WakeWordDetector,
)
from vonad.frontend import Frontend
from vonad.plugins.offer import Group, Offer
from vonad.resilience import Pool
from vonad.settings.tables import ComponentTable
from vonad.skill import Skill
from vonad.transport import Transport

CONTRACTS: Mapping[str, type] = {
    "stt": SpeechToText,
    "tts": TextToSpeech,
    "agent": Agent,
    "vad": VoiceActivityDetector,
    "turn": TurnDetector,
    "wake": WakeWordDetector,
    "backends": Backend,
    "skills": Skill,
    "transports": Transport,
    "frontends": Frontend,
}
"""What a component must be: by the role of an engine, by the group of any other."""


@dataclass(slots=True, eq=False)
class Part:
    """A component and how it fares.

    reason: why it does not run.
    code:   of the error behind that.
    pool:   its component, where that is an engine that runs, for whoever borrows it.
    leaves: a reload takes it out of the house.
    """

    group: Group
    name: str
    table: ComponentTable
    offer: Offer | None = None
    component: object | None = None
    pool: Pool[object] | None = None
    reason: str = ""
    code: str = ""
    leaves: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    stop: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    closed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def running(self) -> bool:
        """Whether it is open."""
        return self.component is not None

    @property
    def label(self) -> str:
        """As the configuration calls it."""
        return f"[{self.group}.{self.name}]"
