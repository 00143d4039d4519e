"""The tables of vonad.toml: every setting with its default, its limits and the sentence that explains it."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationInfo, field_validator

from vonad.plan import SATELLITE_ID, Filling, Preemptive

FollowUp = Literal["auto", "always", "never"]
Patience = Literal["relaxed", "default", "aggressive"]
Name = Annotated[str, StringConstraints(pattern=f"^{SATELLITE_ID.pattern}$")]
"""What satellites, components and nodes may be called."""

_Text = Annotated[str, StringConstraints(min_length=1)]
_Interjection = Annotated[str, StringConstraints(pattern=r"^\p{L}[\p{L} '-]{0,39}$")]
_Language = Annotated[str, StringConstraints(pattern="^[a-z]{2,3}(-[A-Za-z]{2,4})?$")]
_TopicPrefix = Annotated[str, StringConstraints(pattern="^[^/+#$\\x00]+(/[^/+#\\x00]+)*$")]
_File = Annotated[Path, Field(strict=False)]  # strictly, a Path could not be written as text
_Port = Annotated[int, Field(ge=1, le=65535)]


class Table(BaseModel):
    """A table: nothing unknown in it, nothing converted, never changed, no values in error messages."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True, validate_default=True
    )


class Node(Table):
    """This installation."""

    id: Name | None = Field(
        default=None, description="Its name in topics; by default made once from the host name.", examples=["home"]
    )
    name: _Text | None = Field(
        default=None, description="Its name for people; by default the host name.", examples=["Home"]
    )
    language: _Language = Field(default="en", description="The language that is spoken, as an ISO 639 code.")
    timezone: str | None = Field(
        default=None, description="Time zone of what skills say; by default the system's.", examples=["Europe/Berlin"]
    )

    @field_validator("timezone")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ValueError, OSError, LookupError):
                raise ValueError(f"no such time zone: {name!r}; write it like Europe/Berlin") from None
        return name


class Mqtt(Table):
    """The connection to the MQTT broker."""

    enabled: bool = Field(default=True, description="Whether to speak MQTT at all.")
    host: _Text | None = Field(
        default=None,
        description="The broker; when not set, one on this machine is used, else the embedded one.",
        examples=["192.168.1.10"],
    )
    port: _Port = Field(default=1883, description="The broker's port; 8883 is usual with TLS.")
    username: _Text | None = Field(default=None, description="User name at the broker.", examples=["vonad"])
    password: SecretStr | None = Field(
        default=None,
        description="Password at the broker; only in a file that nobody else can read, better in password_file.",
        examples=["secret"],
    )
    password_file: _File | None = Field(
        default=None,
        description="File that holds the password and nothing else, readable by vonad alone; it wins over password.",
        examples=["mqtt_password"],
    )
    tls: bool = Field(default=False, description="Whether to encrypt, and to verify the broker's certificate.")
    ca_file: _File | None = Field(
        default=None,
        description="Certificate authorities to trust instead of the system's, as PEM.",
        examples=["ca.pem"],
    )
    prefix: _TopicPrefix = Field(default="vonad", description="What every topic begins with, before the node's id.")
    publish_text: Literal["off", "events", "retained"] = Field(
        default="events", description="Whether words are published: not at all, in events, or also kept by the broker."
    )
    keepalive_s: int = Field(default=10, ge=1, le=3600, description="Seconds between signs of life to the broker.")


class Web(Table):
    """The HTTP API on the network's side; the command line uses its own socket."""

    enabled: bool = Field(default=True, description="Whether to open the port.")
    port: _Port = Field(default=8470, description="Port on 127.0.0.1.")


class History(Table):
    """What is remembered of conversations."""

    enabled: bool = Field(default=True, description="Whether anything is kept.")
    retention_days: int = Field(
        default=30, ge=0, le=36500, description="Days after which conversations are deleted; 0 keeps them for ever."
    )


class SessionDefaults(Table):
    """Conversations, unless a satellite has its own settings."""

    backends: list[Name] = Field(
        default=["bridge"],
        min_length=1,
        description="Names of the backends that answer; the next is tried when one fails.",
    )
    maximum: int = Field(default=20, ge=1, le=1000, description="How many sessions may be open at once.")
    follow_up: FollowUp = Field(
        default="auto", description="Whether to listen again after a reply; auto: when the reply asks something."
    )
    vad: Name = Field(default="silero", description="Name of the engine that tells speech from noise.")
    pre_roll_s: float = Field(
        default=0.5, ge=0, le=5, description="Seconds of sound from before the wake that are heard too."
    )
    endpointing: Patience = Field(
        default="default", description="How soon a pause ends a turn: relaxed, default or aggressive."
    )
    silence_s: float | None = Field(
        default=None,
        ge=0.1,
        le=10,
        description="Seconds of quiet that end a turn, instead of the preset's; a whole sentence may end sooner.",
        examples=[0.7],
    )
    turn: Name | None = Field(
        default="sentences_turn",
        description="Name of the engine that tells whether a sentence is complete; it may be missing.",
    )
    no_speech_s: float = Field(default=8, ge=0.5, le=120, description="Seconds to wait for somebody to begin to speak.")
    maximum_s: float = Field(
        default=30, ge=1, le=600, description="Seconds after which somebody speaking is cut short."
    )
    processing_s: float = Field(
        default=30, ge=1, le=600, description="Seconds after which a reply that does not come fails."
    )
    preemptive: Preemptive = Field(
        default="discard",
        description="Which replies prepared before the user has finished are used: off (none is prepared), discard (the"
        " words stayed the same), use_if_similar, always_use.",
    )
    barge_in: bool = Field(
        default=True, description="Whether speaking interrupts a reply, where the satellite can hear while it plays."
    )
    barge_in_words: int = Field(default=3, ge=1, le=50, description="Words that interrupt a reply.")
    barge_in_speech_s: float = Field(default=0.5, ge=0, le=10, description="Seconds of speech that interrupt a reply.")
    barge_in_need: Literal["all", "any"] = Field(
        default="all", description="Whether words and seconds are both needed, or any of them."
    )
    barge_in_stop_words: list[_Interjection] | None = Field(
        default=None,
        max_length=32,
        description="Words that interrupt a reply at once, each alone, instead of those of the language.",
        examples=[["stop", "wait", "shut up"]],
    )
    barge_in_back_channels: list[_Interjection] | None = Field(
        default=None,
        max_length=32,
        description="Words that never interrupt a reply, instead of those of the language.",
        examples=[["okay", "mhm", "I see"]],
    )
    barge_in_resume_s: float = Field(
        default=2, ge=0.2, le=10, description="Seconds after which a reply is loud again that nobody has interrupted."
    )
    barge_in_margin_db: float = Field(
        default=6, ge=0, le=40, description="How much louder than its own echo a satellite must hear somebody, in dB."
    )
    filler: Filling = Field(
        default="none",
        description="What is played while a reply is long in coming: none, static_clip or backend_generated.",
    )
    filler_s: float = Field(default=1.5, ge=0.1, le=30, description="Seconds after which it is played.")
    greeting: _Text | None = Field(
        default=None, description="What a satellite says when a session opens.", examples=["Hello."]
    )
    greeting_prompt: _Text | None = Field(
        default=None,
        description="What a backend is asked, unheard, for a greeting of its own instead.",
        examples=["Greet the user in one or two sentences."],
    )
    turn_tokens: int | None = Field(
        default=None, ge=1, description="Tokens of models that one turn may take; not set: no limit.", examples=[8000]
    )
    turn_s: float | None = Field(
        default=None, gt=0, description="Seconds that answering one turn may take; not set: no limit.", examples=[60]
    )
    turn_skill_calls: int = Field(default=8, ge=1, le=100, description="Skill calls that one turn may take.")
    compaction_tokens: int = Field(
        default=8000,
        ge=0,
        description="Tokens from which on a conversation is summed up, but for its last 4 turns; 0: never.",
    )
    cool_off_s: float = Field(
        default=60, ge=1, le=86400, description="Seconds for which a backend that was lost is left alone."
    )
    keep_alive_s: float = Field(
        default=30, ge=5, le=300, description="Seconds between signs of life that a backend is asked for."
    )
    away_s: float = Field(
        default=60, ge=1, le=86400, description="Seconds without anybody's word after which the user counts as away."
    )
    idle_timeout_s: float = Field(
        default=300, ge=1, le=86400, description="Seconds without activity that end a session."
    )
    max_duration_s: float = Field(
        default=3600, ge=1, le=86400, description="Seconds after which a session ends in any case."
    )


class WakeDefaults(Table):
    """Wake words, and how wakes are judged."""

    engine: Name = Field(default="microwakeword", description="Name of the engine that listens for the wake words.")
    words: list[_Text] = Field(
        default=["okay_nabu"], description="The wake words; none: only buttons, MQTT and API wake."
    )
    candidate: float = Field(
        default=0.55,
        ge=0,
        le=1,
        description="How sure a detector must be of a wake word that counts if it comes again within 2 s.",
    )
    accept: float = Field(
        default=0.72,
        ge=0,
        le=1,
        description="How sure it must be of one that counts at once; engines with limits of their own (microwakeword)"
        " go by those.",
    )
    speaker: float = Field(
        default=0.78, ge=0, le=1, description="How sure it must be of who spoke, if it verifies speakers."
    )
    cooldown_s: float = Field(
        default=2, ge=0, le=60, description="Seconds after a turn in which a wake word is not believed."
    )
    max_age_s: float = Field(
        default=10, gt=0, le=3600, description="Seconds after which a wake that says its time is stale."
    )

    @field_validator("accept")
    @classmethod
    def _above_candidate(cls, accept: float, others: ValidationInfo) -> float:
        candidate = others.data.get("candidate", 0.0)
        if candidate > accept:
            raise ValueError(f"must be at least candidate, {candidate:g}: lower that, or raise accept above {accept:g}")
        return accept


class Policy(Table):
    """Limits, and which plugins may run."""

    turns_per_minute: int = Field(default=30, ge=0, le=10000, description="Turns each satellite may take; 0: no limit.")
    sessions_per_satellite: int = Field(
        default=2, ge=0, le=1000, description="Sessions open at once on each; 0: no limit."
    )
    plugins: list[_Text] | None = Field(
        default=None,
        description="Names of the only plugins that may be loaded; not set: all.",
        examples=[["bridge", "clock"]],
    )


class Log(Table):
    """What is logged."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least important messages that are shown; DEBUG shows what people say."
    )

    @field_validator("level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level


class Sounds(Table):
    """Short sounds: vonad's own, a WAV file of yours (a path from this file's folder), or none."""

    wake: _Text = Field(default="off", description="When the microphone opens: on, off or a WAV file.")
    heard: _Text = Field(default="off", description="When the user's words have ended: on, off or a WAV file.")
    error: _Text = Field(default="on", description="When not even an apology can be spoken: on, off or a WAV file.")
    announce: _Text = Field(
        default="on", description="Before an announcement that asks for it (preannounce): on, off or a WAV file."
    )
    filler: _Text = Field(
        default="on", description="While a reply is long in coming: on (spoken words), off or a WAV file."
    )


class SatelliteStyle(Table):
    """How replies sound."""

    pace: float | None = Field(default=None, ge=0, le=1, description="Slow 0 to fast 1.", examples=[0.5])
    warmth: float | None = Field(default=None, ge=0, le=1, description="Cool 0 to warm 1.", examples=[0.5])
    expressiveness: float | None = Field(default=None, ge=0, le=1, description="Even 0 to lively 1.", examples=[0.5])
    formality: float | None = Field(default=None, ge=0, le=1, description="Casual 0 to formal 1.", examples=[0.5])
    voice: _Text | None = Field(default=None, description="The engine's name of a voice.", examples=["en-gb"])


class Satellite(Table):
    """What one satellite does differently; what is not set here comes from the tables above."""

    name: _Text | None = Field(default=None, description="Its name for people.", examples=["Kitchen"])
    area: _Text | None = Field(default=None, description="The room it is in.", examples=["Kitchen"])
    earshot: _Text | None = Field(
        default=None,
        description="A name for what lies within hearing: areas with one in common wake once for one wake word.",
        examples=["downstairs"],
    )
    language: _Language | None = Field(default=None, description="Instead of [node] language.", examples=["en"])
    backends: list[Name] | None = Field(
        default=None, min_length=1, description="Instead of [session] backends.", examples=[["bridge"]]
    )
    wake_words: list[_Text] | None = Field(
        default=None, description="Instead of [wake] words.", examples=[["hey_jarvis"]]
    )
    follow_up: FollowUp | None = Field(default=None, description="Instead of [session] follow_up.", examples=["never"])
    style: SatelliteStyle | None = Field(default=None, description="How replies sound there.")
    endpointing: Patience | None = Field(
        default=None, description="Instead of [session] endpointing and silence_s.", examples=["relaxed"]
    )
    silence_s: float | None = Field(
        default=None, ge=0.1, le=10, description="Instead of [session] silence_s.", examples=[0.8]
    )
    barge_in: bool | None = Field(default=None, description="Instead of [session] barge_in.", examples=[False])
    greeting: str | None = Field(
        default=None, description="Instead of [session] greeting and greeting_prompt; empty: none.", examples=[""]
    )
    turn_tokens: int | None = Field(
        default=None, ge=1, description="Instead of [session] turn_tokens.", examples=[2000]
    )
    turn_s: float | None = Field(default=None, gt=0, description="Instead of [session] turn_s.", examples=[20])
    turn_skill_calls: int | None = Field(
        default=None, ge=0, le=100, description="Instead of [session] turn_skill_calls; 0: none.", examples=[4]
    )
    skills: list[Name] | None = Field(
        default=None, description="The only skills that may run there; not set: all; []: none.", examples=[["clock"]]
    )


class ComponentTable(BaseModel):
    """A component: what it is, whether it runs, and its own settings, which its plugin checks."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, hide_input_in_errors=True)

    kind: _Text | None = Field(default=None, description="What it is, as its plugin calls it; the table's name.")
    enabled: bool = Field(default=True, description="Whether it runs.")

    @property
    def given(self) -> dict[str, object]:
        """Its own settings, as they were given."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        # Nobody knows yet which of its settings are secret.
        return [("kind", self.kind), ("enabled", self.enabled), ("given", sorted(self.given))]
