"""The table [session]: how conversations go, unless a satellite has its own settings."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from vonad.plan import Filling, Preemptive
from vonad.settings.tables.table import Name, Table, Text

FollowUp = Literal["auto", "always", "never"]
"""Whether to listen again after a reply."""

Patience = Literal["relaxed", "default", "aggressive"]
"""How soon a pause ends a turn."""

_Interjection = Annotated[str, StringConstraints(pattern=r"^\p{L}[\p{L} '-]{0,39}$")]


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
    greeting: Text | None = Field(
        default=None, description="What a satellite says when a session opens.", examples=["Hello."]
    )
    greeting_prompt: Text | None = Field(
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
