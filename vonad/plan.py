"""From a wake to a session: what was asked (Wake), what will be done (Plan), or why nothing will (Refusal)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

SATELLITE_ID = re.compile(r"[a-z0-9_-]{1,64}")
"""What satellites are called."""

Purpose = Literal["listen", "text", "say", "idle"]
"""What a session opens for."""

REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "retained": "the broker kept it from earlier: wakes must not be published with retain",
        "stale": "its time is too long ago, or ahead of our clock",
        "duplicate": "a wake with this id was seen in the last 60 s",
        "malformed": "its payload is not what the contract says",
        "unknown_satellite": "no satellite of this name is connected",
        "rate": "this satellite asked for too many turns in a minute",
        "busy": "the microphone is already open",
        "playback": "the satellite was speaking the wake word itself",
        "cooldown": "the wake word came again within the cooldown",
        "overload": "no more sessions fit",
        "hook_denied": "a plugin's policy refused it",
    }
)
"""Why a wake is refused, each with its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """A request to open a satellite's microphone, or with `text` to take a turn from text.

    source:   who asks: mqtt, api, detector, device.
    at:       monotonic seconds of its arrival.
    phrase:   set by detectors only: such a wake passes the whole gate; one without is explicit.
    score:    the detector's 0..1.
    ts:       when it was made, by its maker's clock.
    age_ms:   how old its maker says it is.
    expires_s: how long after `ts` it is worth acting on; the limit of the settings otherwise.
    retained: the broker delivered it as a retained message.
    """

    satellite: str
    source: str
    at: float
    id: str | None = None
    phrase: str | None = None
    score: float | None = None
    ts: datetime | None = None
    age_ms: float | None = None
    expires_s: float | None = None
    backend: str | None = None
    text: str | None = None
    follow_up: bool | None = None
    retained: bool = False

    @property
    def explicit(self) -> bool:
        """Somebody asked, no detector guessed."""
        return self.phrase is None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing will be done. reason: one of REFUSALS; detail: the values behind it."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpointing:
    """When the user's turn is over, in seconds of sound.

    silence_s:   quiet after speech.
    no_speech_s: quiet from the beginning.
    maximum_s:   speech that does not stop.
    """

    silence_s: float = 0.6
    no_speech_s: float = 8.0
    maximum_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a voice should sound, each 0..1; engines do what they can."""

    pace: float = 0.5
    warmth: float = 0.5
    expressiveness: float = 0.5
    voice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a session will be.

    satellite: None for a session of text only: nothing is heard or played.
    backends:  names, in order.
    follow_up: listen again after a reply: auto means when the reply asks.
    """

    satellite: str | None
    backends: tuple[str, ...]
    language: str = "en"
    purpose: Purpose = "listen"
    text: str | None = None
    follow_up: Literal["auto", "always", "never"] = "auto"
    endpointing: Endpointing = field(default_factory=Endpointing)
    style: Style = field(default_factory=Style)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session as others see it: a snapshot that never waits for a running turn."""

    session_id: str
    conversation_id: str
    satellite: str | None
    state: str
    turn: int
    backend: str
    created: str
    degraded: bool = False
    last_transcript: str = ""
    last_reply: str = ""
