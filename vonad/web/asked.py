"""What goes in as JSON, as the API's description shows it. Unknown keys are refused."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from vonad import plan

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


def _yes_or_no(value: object) -> object:
    """A query's only words for it: anything else might be meant otherwise."""
    if str(value) in ("true", "false") or isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_has_words)]
RequestId = Annotated[str, Field(min_length=1, max_length=128)]
Time = Annotated[datetime, BeforeValidator(_time, json_schema_input_type=float | str)]
YesOrNo = Annotated[bool, BeforeValidator(_yes_or_no, json_schema_input_type=bool)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[Finite, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Schema = Annotated[
    dict[str, object], Field(description="a JSON Schema: the reply is JSON that fits it, and is not spoken")
]
OnBusy = Literal["refuse", "queue"]
Patience = Literal["relaxed", "default", "aggressive"]


class Asked(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Style(Asked):
    """How a voice should sound: a number is from 0 to 1, and 0.5 is as the voice is."""

    pace: Share = 0.5
    warmth: Share = 0.5
    expressiveness: Share = 0.5
    formality: Share | None = None
    voice: Name | None = Field(default=None, description="the engine's name of one")

    def wanted(self) -> plan.Style:
        """As the service takes it."""
        return plan.Style(**self.model_dump())


class Budget(Asked):
    """What each turn may cost; null: no limit."""

    tokens: Annotated[int, Field(ge=1, le=10**9)] | None = None
    seconds: Annotated[Finite, Field(gt=0, le=86_400)] | None = None
    skill_calls: Annotated[int, Field(ge=0, le=10_000)] | None = 8

    def wanted(self) -> plan.Budget:
        """As the service takes it."""
        return plan.Budget(**self.model_dump())


class NewSession(Asked):
    """A session without a satellite is text only: nothing is played. What is left out is as it is set."""

    satellite: Name | None = None
    initial_turn: Literal["run_immediately", "defer"] = "defer"
    text: Text | None = Field(default=None, description="what the first turn answers: with run_immediately only")
    backend: Name | None = Field(default=None, description="the only one that answers")
    resume: RequestId | None = Field(default=None, description="a conversation to go on with, or a session in it")
    style: Style | None = None
    follow_up: bool | None = Field(default=None, description="whether to listen again after replies")
    barge_in: bool | None = Field(default=None, description="whether who speaks while a reply plays interrupts it")
    endpointing: Patience | None = None
    greeting: Annotated[str, Field(max_length=1_000)] | None = Field(default=None, description="empty: none")
    skills: Annotated[list[Name], Field(max_length=256)] | None = Field(
        default=None, description="the only ones that may run"
    )
    budget: Budget | None = None
    output_schema: Schema | None = None
    metadata: Annotated[dict[Name, Annotated[str, Field(max_length=1_000)]], Field(max_length=32)] = Field(
        default_factory=dict, description="noted about the session, for policy and whoever reads it"
    )

    def overrides(self) -> plan.Overrides:
        """What is wanted otherwise than it is set."""
        return plan.Overrides(
            backend=self.backend,
            style=None if self.style is None else self.style.wanted(),
            follow_up=self.follow_up,
            barge_in=self.barge_in,
            endpointing=self.endpointing,
            greeting=self.greeting,
            budget=None if self.budget is None else self.budget.wanted(),
            skills=None if self.skills is None else tuple(self.skills),
            metadata=self.metadata,
        )


class NewTurn(Asked):
    """Something the user says. on_busy: `queue` has one turn wait for the one that runs."""

    text: Text
    on_busy: OnBusy = "refuse"
    follow_up: bool | None = Field(default=None, description="whether to listen afterwards")
    budget: Budget | None = Field(default=None, description="of this turn alone")
    output_schema: Schema | None = None


class Injected(Asked):
    """Something from outside that the conversation should know. Nobody trusts the payload: a model reads it."""

    source: Name = Field(description="who says so")
    payload: dict[str, object] = Field(default_factory=dict)
    spoken_summary: Text | None = Field(default=None, description="what to say of it aloud; needed with interrupt")
    mode: plan.InjectMode = Field(
        default="queue", description="queue: with the next turn; steer: into the running one; interrupt: in its place"
    )


class WakeUp(Asked):
    """Opens the microphone; with `text` the turn starts from text. `phrase` marks a detector's wake."""

    id: RequestId | None = Field(default=None, description="an id seen in the last 60 s is a duplicate")
    phrase: Name | None = None
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    speaker_score: Annotated[float, Field(ge=0, le=1)] | None = None
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
    on_busy: OnBusy = "refuse"


class Announcement(Asked):
    """Spoken at the satellite when it is its turn; `interrupt` cuts what plays."""

    text: Text
    id: RequestId | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    interrupt: bool = False
    interruptible: bool = Field(default=True, description="whether who speaks cuts it short; `stop` always does")
    preannounce: bool = Field(default=False, description="a chime comes first")
    durable: bool = Field(default=False, description="waits for the satellite, over a restart too, until it was said")
    style: Style | None = None
    volume: Share = Field(default=1.0, description="of the voice's own loudness")
