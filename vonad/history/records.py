"""What the history is given and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """How a turn ended.

    transcript:     as recognised; None when there is none.
    user_text:      what was answered, if a policy changed it.
    generated_text: the whole reply; heard_text: what of it was heard.
    stages:         milliseconds from the start of the turn to each stage.
    degraded:       another backend answered than the one that was planned.
    audio_gap:      some of its sound was lost on the way in.
    """

    outcome: str
    transcript: str | None = None
    user_text: str | None = None
    generated_text: str = ""
    heard_text: str = ""
    backend: str | None = None
    stages: Mapping[str, float]
    first_audio_ms: float | None = None
    endpoint: str | None = None
    usage: Mapping[str, int] | None = None
    degraded: bool = False
    audio_gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """A turn as people read it. ts: when it began, UTC, ISO 8601 with milliseconds; outcome: None while it runs."""

    turn_id: str
    session_id: str
    satellite: str | None
    ts: str
    transcript: str | None
    reply: str | None
    heard: str | None
    outcome: str | None
    skills: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillRun:
    """One attempt to run a skill. outcome: started while it runs, then done, failed, timeout, rejected, asked (the user
    was, and the yes is another attempt), cancelled or unknown (a crash came between)."""

    call_id: str
    name: str
    risk: str
    arguments: str
    ts: str
    outcome: str
    duration_ms: float | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackRecord:
    """How a session left its backend. outcome: completed, failed (no other opened), refused (policy wanted none) or
    cancelled (the session ended meanwhile); to_backend: the one that answers since; None: there is none."""

    reason: str
    from_backend: str
    to_backend: str | None
    outcome: str
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackRun(FallbackRecord):
    """The same, as it is read."""

    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDetail(TurnView):
    """All that is known of a turn."""

    conversation_id: str
    number: int
    source: str
    ended: str | None
    user_text: str | None
    backend: str | None
    stages: dict[str, float]
    first_audio_ms: float | None
    endpoint: str | None
    usage: dict[str, int] | None
    degraded: bool
    audio_gap: bool
    attempts: list[SkillRun]
    fallbacks: list[FallbackRun]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session that is over, as it is kept. reason: why it ended; turn: how many it had; tokens: what they took."""

    session_id: str
    conversation_id: str
    satellite: str | None
    backend: str
    created: str
    reason: str
    turn: int
    tokens: int
    degraded: bool
    last_transcript: str
    last_reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeRecord:
    """A wake that came. reason: why it was refused, in a word, and detail, in a sentence; empty when accepted."""

    satellite: str | None
    source: str
    phrase: str | None = None
    score: float | None = None
    accepted: bool
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeView:
    """A wake as people read it. reason: why it was refused, empty when it was accepted."""

    ts: str
    satellite: str | None
    source: str
    phrase: str | None
    score: float | None
    accepted: bool
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownAction:
    """A skill that had begun when vonad crashed: it may or may not have acted. It is reported, never run again."""

    call_id: str
    turn_id: str
    satellite: str | None
    name: str
    risk: str
    arguments: str
    ts: str


def iso(moment_ms: int) -> str:
    """A stored moment as UTC, ISO 8601 with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=moment_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(time: datetime) -> int:
    """A time as it is stored: milliseconds since 1970. A naive one is taken as UTC."""
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1)
