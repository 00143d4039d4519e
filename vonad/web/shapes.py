"""What goes in and out as JSON, as the API's description shows it. Unknown keys are refused."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LONGEST_TEXT = 16_384
"""Characters of something said: what MQTT takes as well."""


def _has_words(text: str) -> str:
    if not text.strip():
        raise ValueError("there are no words in it")
    return text


def _time(value: object) -> object:
    """Seconds since 1970, or ISO 8601; without a zone it is UTC."""
    for read in (_iso, _epoch):
        with suppress(ValueError, TypeError, OverflowError, OSError):
            return read(value)
    raise ValueError("a time is seconds since 1970, or ISO 8601")


def _iso(value: object) -> datetime:
    if not isinstance(value, str):
        raise TypeError
    ts = datetime.fromisoformat(value)
    return ts if ts.tzinfo else ts.replace(tzinfo=UTC)


def _epoch(value: object) -> datetime:
    """In a query also numbers are strings."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return datetime.fromtimestamp(float(value), UTC)


Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_has_words)]
RequestId = Annotated[str, Field(min_length=1, max_length=128)]
Time = Annotated[datetime, BeforeValidator(_time, json_schema_input_type=float | str)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class Asked(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewSession(Asked):
    """A session without a satellite is text only: nothing is played."""

    satellite: Name | None = None
    initial_turn: Literal["run_immediately", "defer"] = "defer"
    text: Text | None = Field(default=None, description="what the first turn answers")
    backend: Name | None = None


class NewTurn(Asked):
    """Something the user says."""

    text: Text


class WakeUp(Asked):
    """Opens the microphone; with `text` the turn starts from text. `phrase` marks a detector's wake."""

    id: RequestId | None = Field(default=None, description="an id seen in the last 60 s is a duplicate")
    phrase: Name | None = None
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    ts: Time | None = Field(default=None, description="seconds since 1970, or ISO 8601")
    age_ms: Annotated[Finite, Field(ge=0)] | None = None
    expires_s: Annotated[Finite, Field(gt=0)] | None = None
    backend: Name | None = None
    text: Text | None = None
    follow_up: bool | None = None


class Spoken(Asked):
    """A turn as if spoken at the satellite, answered aloud."""

    text: Text
    id: RequestId | None = None


class Announcement(Asked):
    """Spoken at the satellite when it is its turn; `interrupt` cuts what plays."""

    text: Text
    id: RequestId | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    interrupt: bool = False


class Answer(BaseModel):
    """A response's body."""

    model_config = ConfigDict(from_attributes=True)


class Session(Answer):
    """A session as it is now."""

    session_id: str
    conversation_id: str
    satellite: str | None
    state: str
    turn: int
    backend: str
    created: str
    degraded: bool
    last_transcript: str
    last_reply: str


class TurnStarted(Answer):
    """A turn that is being answered."""

    turn_id: str
    session_id: str | None = None


class Reply(Answer):
    """A turn that is over. heard: what of the reply was played."""

    turn_id: str
    session_id: str
    transcript: str
    reply: str
    heard: str
    outcome: str


class Satellite(Answer):
    """A satellite; state is idle, listening, processing or responding."""

    id: str
    name: str
    area: str | None
    state: str
    online: bool
    session_id: str | None
    transport: str


class Woken(Answer):
    """The wake was accepted."""

    accepted: bool
    session_id: str | None


class Queued(Answer):
    """The announcement waits for its turn."""

    id: str


class Said(Answer):
    """The announcement is over; ok: it was played to its end."""

    id: str
    ok: bool
    reason: str


class Stopped(Answer):
    """Whether there was anything to stop."""

    stopped: bool


class Past(Answer):
    """A turn of the history."""

    turn_id: str
    session_id: str
    satellite: str | None
    ts: str
    transcript: str | None
    reply: str | None
    heard: str | None
    outcome: str | None
    skills: object


class Skill(Answer):
    """A skill that runs now."""

    name: str
    description: str
    sentences: list[str]
    risk: str
    timeout_s: float
    plugin: str


class Plugin(Answer):
    """A plugin that was found; reason: why it does not run."""

    name: str
    origin: str
    version: str
    location: str
    offers: list[str]
    running: bool
    reason: str


class Deleted(Answer):
    """How many turns were really deleted."""

    deleted: int


class Reloaded(Answer):
    """What is different now, a sentence each."""

    changed: list[str]


class Health(Answer):
    """Whether all is well; parts: what is not, and why, only on the socket."""

    ok: bool
    ready: bool
    parts: dict[str, object] | None = None


class Ready(Answer):
    """Whether turns can be answered."""

    ready: bool
