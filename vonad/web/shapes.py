"""What comes out as JSON, as the API's description shows it."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A response's body."""

    model_config = ConfigDict(from_attributes=True)


class Session(Answer):
    """A session as it is now. tokens: what its turns took; degraded: another backend than the first answers; reason:
    why it was closed.
    """

    session_id: str
    conversation_id: str
    satellite: str | None
    state: str
    turn: int
    backend: str
    created: str
    degraded: bool
    tokens: int
    reason: str
    last_transcript: str
    last_reply: str
    metadata: dict[str, str]


class TurnStarted(Answer):
    """A turn that is being answered."""

    turn_id: str
    session_id: str


class Acknowledged(Answer):
    """What became of an injected event: queued, said, steered or interrupted."""

    happened: str


class Compacted(Answer):
    """About how many tokens the conversation was, and is."""

    before: int
    after: int


class Reply(Answer):
    """A turn that is over. heard: what of the reply was played; output: what it says, if it had to fit a schema;
    confirm: it asks for a yes, which the next turn in the session may be, within 20 s.
    """

    turn_id: str
    session_id: str
    transcript: str
    reply: str
    heard: str
    outcome: str
    output: object = None
    confirm: bool = False


class Created(Session):
    """A session that has opened. turn_id: of its first turn, if it has one from text; reply: with `wait`."""

    turn_id: str | None = None
    reply: Reply | None = None


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
    """The announcement is over; ok: it was played to its end; state: finished, cancelled or failed."""

    id: str
    ok: bool
    reason: str
    state: str


class Say(Answer):
    """An announcement; state: queued, playing, finished, cancelled or failed; reason: why."""

    id: str
    satellite: str
    text: str
    state: str
    reason: str
    priority: int
    durable: bool


class Cancelled(Answer):
    """Whether it was not over before."""

    cancelled: bool


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


class Step(Answer):
    """From one stage of a turn to the next. at_ms: when it was reached; owner: whose time it was."""

    stage: str
    at_ms: float
    took_ms: float
    owner: str


class Attempt(Answer):
    """An attempt to run a skill."""

    call_id: str
    name: str
    risk: str
    arguments: str
    ts: str
    outcome: str
    duration_ms: float | None
    detail: str | None


class Fallback(Answer):
    """A turn was taken from a backend. to_backend: the one that answered since; null: there was none."""

    reason: str
    from_backend: str
    to_backend: str | None
    outcome: str
    duration_ms: float
    ts: str


class Why(Answer):
    """Where a turn's time went. slowest: what was waited for longest; audio_gap: some of its sound was lost."""

    turn_id: str
    session_id: str
    satellite: str | None
    ts: str
    source: str
    outcome: str | None
    transcript: str | None
    backend: str | None
    degraded: bool
    audio_gap: bool
    endpoint: str | None
    first_audio_ms: float | None
    total_ms: float
    steps: list[Step]
    slowest: Step | None
    attempts: list[Attempt]
    fallbacks: list[Fallback]


class Skill(Answer):
    """A skill that runs now."""

    name: str
    description: str
    sentences: list[str]
    risk: str
    timeout_s: float
    plugin: str


class Plugin(Answer):
    """A plugin that was found; reason: why it does not run, or what is wrong with one that does."""

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
