"""Commands: one decode function for each thing that can be asked for over MQTT. No I/O."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from vonad.errors import VonadError
from vonad.mqtt.payload import Fields, Surface
from vonad.plan import ContextEvent, InjectMode, Wake


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("text without NUL")
    return text


def _writable(payload: dict[str, object]) -> dict[str, object]:
    """What can be written down again, and shown to a model."""
    try:
        text = json.dumps(payload, ensure_ascii=False)
        text.encode()
    except (UnicodeError, RecursionError):
        raise ValueError("valid Unicode, not nested too deeply") from None
    if "\\u0000" in text:
        raise ValueError("text without NUL")
    return payload


OnBusy = Literal["refuse", "queue"]
Word = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_without_nul)]
Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True), AfterValidator(_without_nul)]


@dataclass(frozen=True, slots=True)
class Text:
    """A turn as if spoken."""

    text: str
    id: str | None = None
    on_busy: OnBusy = "refuse"


@dataclass(frozen=True, slots=True)
class Say:
    """An announcement."""

    text: str
    id: str | None = None
    priority: int = 0
    interrupt: bool = False
    preannounce: bool = False
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Inject:
    """What a conversation should know."""

    event: ContextEvent
    mode: InjectMode = "queue"
    id: str | None = None


class _Named(Fields):
    model_config = ConfigDict(extra="ignore")

    id: Word | None = None


class _WakeFields(Fields):
    id: Word | None = None
    phrase: Word | None = None
    score: float | None = Field(None, ge=0, le=1)
    speaker_score: float | None = Field(None, ge=0, le=1)
    ts: float | Word | None = None
    age_ms: float | None = Field(None, ge=0)
    expires_s: float | None = Field(None, ge=0)
    backend: Word | None = None
    text: Words | None = None
    follow_up: bool | None = None


class _TextFields(Fields):
    text: Words
    id: Word | None = None
    on_busy: OnBusy = "refuse"


class _SayFields(Fields):
    text: Words
    id: Word | None = None
    priority: int = Field(0, ge=-100, le=100)
    interrupt: bool = False
    preannounce: bool = False
    durable: bool = False


class _InjectFields(Fields):
    source: Word
    spoken_summary: Words | None = None
    payload: Annotated[dict[str, object], AfterValidator(_writable)] = Field(default_factory=dict)
    mode: InjectMode = "queue"
    id: Word | None = None


_ANY = Surface("MQTT", _Named)
_WAKE = Surface("MQTT wake", _WakeFields)
_TEXT = Surface("MQTT text", _TextFields)
_SAY = Surface("MQTT say", _SayFields)
_INJECT = Surface("MQTT inject", _InjectFields)
_STOP = Surface("MQTT stop", Fields)


def decode_wake(satellite: str, payload: bytes, *, at: float, retained: bool) -> Wake:
    """A wake. Empty or `{}`: the microphone opens; plain text: the phrase a detector heard. Raises malformed.

    at: monotonic seconds of its arrival.
    """
    said = _WAKE.read(payload)
    if isinstance(said, str):
        if len(said) > 128:
            raise _WAKE.malformed("a long phrase", f"{len(said)} characters", "at most 128")
        return Wake(satellite=satellite, source="mqtt", at=at, phrase=said or None, retained=retained)
    return Wake(
        satellite=satellite,
        source="mqtt",
        at=at,
        id=said.id,
        phrase=said.phrase,
        score=said.score,
        speaker_score=said.speaker_score,
        ts=_moment(said.ts),
        age_ms=said.age_ms,
        expires_s=said.expires_s,
        backend=said.backend,
        text=said.text,
        follow_up=said.follow_up,
        retained=retained,
    )


def decode_text(payload: bytes) -> Text:
    """Plain text or `{text, id, on_busy}`. Raises malformed."""
    said = _TEXT.read(payload)
    return Text(_some(_TEXT, said)) if isinstance(said, str) else Text(said.text, said.id, said.on_busy)


def decode_say(payload: bytes) -> Say:
    """Plain text or `{text, id, priority, interrupt, preannounce, durable}`. Raises malformed."""
    said = _SAY.read(payload)
    if isinstance(said, str):
        return Say(_some(_SAY, said))
    return Say(
        said.text,
        said.id,
        said.priority,
        interrupt=said.interrupt,
        preannounce=said.preannounce,
        durable=said.durable,
    )


def decode_inject(payload: bytes) -> Inject:
    """`{source, spoken_summary, payload, mode, id}`. Raises malformed."""
    said = _INJECT.read(payload)
    if isinstance(said, str):
        raise _INJECT.malformed("no JSON object", "payload", "a JSON object with source")
    event = ContextEvent(source=said.source, payload=said.payload, spoken_summary=said.spoken_summary)
    return Inject(event, said.mode, said.id)


def decode_stop(payload: bytes) -> None:
    """Empty, `{}`, or any plain text such as a button sends. Raises malformed."""
    _STOP.read(payload)


def request_id(payload: bytes) -> str | None:
    """By what name its sender knows a request that cannot be served; None where even that cannot be read."""
    try:
        said = _ANY.read(payload)
    except VonadError:
        return None
    return None if isinstance(said, str) else said.id


def _some(surface: Surface[_TextFields] | Surface[_SayFields], text: str) -> str:
    if not text:
        raise surface.malformed("empty", "payload", "text, or a JSON object with text")
    return text


def _moment(ts: float | str | None) -> datetime | None:
    """Epoch seconds, or ISO 8601; without an offset that is this machine's local time."""
    if ts is None:
        return None
    try:
        if isinstance(ts, str):
            return datetime.fromisoformat(ts).astimezone(UTC)
        return datetime.fromtimestamp(ts, UTC)
    except (ValueError, OverflowError, OSError):
        allowed = "epoch seconds (not milliseconds), or ISO 8601 such as 2026-01-31T08:00:00Z"
        raise _WAKE.malformed("not a time", "'ts'", allowed) from None
