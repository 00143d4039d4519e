"""Views: what the service shows of turns, satellites, announcements, skills, wakes. Values, as faces give them on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TurnResult:
    """A turn that is over."""

    turn_id: str
    session_id: str
    transcript: str
    reply: str
    heard: str
    outcome: str


@dataclass(frozen=True, slots=True)
class SatelliteView:
    """A satellite as others see it. state: idle, listening, processing or responding."""

    id: str
    name: str
    area: str | None
    state: str
    online: bool
    transport: str
    session_id: str | None


@dataclass(frozen=True, slots=True)
class AnnouncementView:
    """Something the house was asked to say. state: queued, playing, finished, cancelled or failed; reason: why."""

    id: str
    satellite: str
    text: str
    state: str
    reason: str
    priority: int
    durable: bool


@dataclass(frozen=True, slots=True)
class SkillView:
    """A skill as others see it."""

    name: str
    description: str
    sentences: tuple[str, ...]
    risk: str
    timeout_s: float
    plugin: str


@dataclass(frozen=True, slots=True)
class WakeAnswer:
    """What became of a wake. reason: one of REFUSALS when it was refused."""

    accepted: bool
    reason: str = ""
    detail: str = ""
    session_id: str | None = None
