"""What a session works with: everything it is given, nothing it could reach further through."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from vonad.backend import Backend
from vonad.clock import Clock
from vonad.engine import Exchange, TurnDetector, VoiceActivityDetector
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
    falling_back_s: float = 5.0
    processing_s: float = 30.0
    speaking_s: float = 5.0
    """How much longer than its sound a reply may last."""
    away_s: float = 60.0
    idle_timeout_s: float = 300.0
    max_duration_s: float = 3600.0
    flush_s: float = 1.0
    closing_s: float = 3.0
    store_s: float = 10.0
    reopen_s: float = 0.3
    """From the confirmed end of a reply to the microphone of a follow-up: the room's echo."""
    missing_frames_s: float = 2.0
    """How much later than the samples say a wall clock ends a turn whose frames stopped coming."""
    cool_off_s: float = 60.0
    """For which a session does not go back to a backend that it left."""
    keep_alive_s: float = 30.0
    """Between signs of life of the backend; two that fail to come, and it is lost."""
    compaction_tokens: int = 8000
    """From this many on, a conversation is summed up but for its last turns; 0: never."""


CueName = Literal["wake", "heard", "error", "announce", "filler"]
"""When the microphone opens, the user's words have ended, nothing can be spoken, an announcement comes, a reply is long
in coming."""


class Backends(Protocol):
    """The backends of the house, each with its circuit breaker."""

    def get(self, name: str) -> Backend:
        """One that may be asked. Raises backend_unavailable; circuit_open while its breaker is open."""

    def rested(self, name: str) -> bool:
        """Whether it was not lost lately; one that was is asked only when no other is left."""

    def failed(self, name: str, why: str = "") -> None:
        """It was lost; why, for whoever looks after the house."""

    def succeeded(self, name: str) -> None:
        """It has answered a turn."""


class Cues(Protocol):
    """Short sounds that are ready before they are needed. Frames at any rate; none where a sound is off."""

    def cue(self, name: CueName) -> Sequence[Frame]:
        """A short sound."""

    def spoken(self, key: str, language: str) -> Sequence[Frame]:
        """One of PHRASES, spoken; nothing if no voice could be had so far."""


class Silent:
    """No sounds at all."""

    def cue(self, name: CueName) -> Sequence[Frame]:
        """Nothing."""
        return ()

    def spoken(self, key: str, language: str) -> Sequence[Frame]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a session is given.

    backends: those that its plan may name.
    voice:    speaks the house's own words.
    cues:     sounds and spoken phrases that are ready.
    detector: lends the voice activity detector for as long as one listens.
    judge:    lends what tells whether a sentence is complete; None: nothing does.
    group:    where work is done that may outlive the session by a moment: closing a dialogue that takes its time.
    history:  what was said before in this conversation.
    """

    clock: Clock
    publish: Callable[[Event], object]
    journal: Journal
    policy: Policy
    desk: Desk
    voice: Callable[[str, str, Style], AsyncIterator[Frame]]
    detector: Callable[[], AbstractAsyncContextManager[VoiceActivityDetector]]
    sentences: Callable[[], Sentences]
    backends: Backends
    group: asyncio.TaskGroup
    cues: Cues = field(default_factory=Silent)
    judge: Callable[[], AbstractAsyncContextManager[TurnDetector]] | None = None
    history: tuple[Exchange, ...] = ()
    limits: Limits = field(default_factory=Limits)


PHRASES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "not_understood": "Sorry, I did not get that.",
            "failed": "Sorry, something went wrong.",
            "not_allowed": "Sorry, I may not do that.",
            "unavailable": "Sorry, I cannot answer right now.",
            "budget_exceeded": "Sorry, that took more than I am allowed to spend.",
            "filler": "One moment.",
            "confirm_no": "Okay, I will not.",
        },
    }
)
"""The house's own words."""


def phrase(key: str, language: str) -> str:
    """A phrase in a language, else in English."""
    return PHRASES.get(language, PHRASES["en"]).get(key, PHRASES["en"][key])
