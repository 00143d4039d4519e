"""What a session works with: everything it is given, nothing it could reach further through."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import MappingProxyType

from vonad.clock import Clock
from vonad.engine import Exchange, VoiceActivityDetector
from vonad.events import Event
from vonad.frame import Frame
from vonad.history import Journal
from vonad.plan import Style
from vonad.policy import Policy
from vonad.sentences import Sentences
from vonad.skills.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session may take for things, in seconds."""

    connecting_s: float = 10.0
    processing_s: float = 30.0
    idle_timeout_s: float = 300.0
    max_duration_s: float = 3600.0
    flush_s: float = 1.0
    closing_s: float = 3.0
    store_s: float = 10.0
    reopen_s: float = 0.3
    """From the confirmed end of a reply to the microphone of a follow-up: the room's echo."""
    missing_frames_s: float = 2.0
    """How much later than the samples say a wall clock ends a turn whose frames stopped coming."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """voice: speaks the house's own words. detector: lends the voice activity detector for as long as one listens."""

    clock: Clock
    publish: Callable[[Event], object]
    journal: Journal
    policy: Policy
    desk: Desk
    voice: Callable[[str, str, Style], AsyncIterator[Frame]]
    detector: Callable[[], AbstractAsyncContextManager[VoiceActivityDetector]]
    sentences: Callable[[], Sentences]
    history: tuple[Exchange, ...] = ()
    limits: Limits = field(default_factory=Limits)


PHRASES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "not_understood": "Sorry, I did not get that.",
            "failed": "Sorry, something went wrong.",
            "not_allowed": "Sorry, I may not do that.",
        },
    }
)
"""The house's own words."""


def phrase(key: str, language: str) -> str:
    """A phrase in a language, else in English."""
    return PHRASES.get(language, PHRASES["en"]).get(key, PHRASES["en"][key])
