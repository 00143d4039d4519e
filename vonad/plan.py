"""From a wake to a session: what was asked (Wake), what will be done (Plan), or why nothing will (Refusal)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from vonad.errors import VonadError
from vonad.interjections import BACK_CHANNELS, STOP_WORDS

SATELLITE_ID = re.compile(r"[a-z0-9_-]{1,64}")
"""What satellites are called."""

Purpose = Literal["listen", "text", "say", "idle"]
"""What a session opens for."""

REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "retained": "the broker kept it from earlier: wakes must not be published with retain",
        "stale": "its time is too long ago, or ahead of our clock",
        "duplicate": "its id was seen in the last 60 s, or another satellite in earshot heard the same wake word first",
        "malformed": "its payload is not what the contract says",
        "unknown_satellite": "no satellite of this name is connected",
        "privacy": "the microphone is switched off",
        "playback": "the satellite was speaking the wake word itself",
        "busy": "the microphone is already open, or about to be",
        "cooldown": "the wake word came again within the cooldown",
        "below_threshold": "the detector was not sure enough of the wake word",
        "speaker_rejected": "the detector was not sure enough of who spoke",
        "rate": "this satellite asked for too many turns in a minute",
        "overload": "no more sessions fit",
        "backend_unavailable": "the backend that is to answer does not run",
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
    cutoff:   what the detector itself takes for enough, in place of the house's limits.
    speaker_score: how sure it is of who spoke, 0..1; None: it does not verify speakers.
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
    cutoff: float | None = None
    speaker_score: float | None = None
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

    complete_s:  quiet after words that are a whole sentence, whatever may follow.
    silence_s:   quiet after any other words, or a whole sentence that could go on to something else.
    partial_s:   quiet in the middle of a sentence.
    no_speech_s: quiet from the beginning.
    maximum_s:   speech that does not stop.
    """

    complete_s: float = 0.2
    silence_s: float = 0.7
    partial_s: float = 1.2
    no_speech_s: float = 8.0
    maximum_s: float = 30.0


PATIENCE: Mapping[str, Endpointing] = MappingProxyType(
    {
        "relaxed": Endpointing(complete_s=0.4, silence_s=1.0, partial_s=2.0),
        "default": Endpointing(),
        "aggressive": Endpointing(complete_s=0.1, silence_s=0.6, partial_s=0.8),
    }
)
"""Presets of endpointing by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BargeIn:
    """When somebody who speaks while a reply plays interrupts it. Blank text never does.

    words:         as many words must have been understood.
    speech_s:      so long must the speech have lasted.
    need:          both of these, or any of them.
    stop_words:    each of these interrupts at once, alone.
    back_channels: words that only say "go on": a text of nothing else never interrupts.
    resume_s:      so long after it grew quieter for somebody who did not interrupt, a reply is loud again.
    margin_db:     how much louder than our own echo speech must be, on a line that cannot cancel it.
    """

    enabled: bool = True
    words: int = 3
    speech_s: float = 0.5
    need: Literal["all", "any"] = "all"
    stop_words: tuple[str, ...] = STOP_WORDS["en"]
    back_channels: tuple[str, ...] = BACK_CHANNELS["en"]
    resume_s: float = 2.0
    margin_db: float = 6.0


Preemptive = Literal["off", "discard", "use_if_similar", "always_use"]
"""What becomes of a reply that was prepared for words the user had not finished: discard keeps it only if the final
words are the same; use_if_similar if more than 0.8 of them are; always_use in any case; off: none is prepared.
Where it wants something done, other words than its own have the reply made anew, whatever this says."""

Filling = Literal["none", "static_clip", "backend_generated"]
"""What is played while the user waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one turn may cost; None: no limit.

    tokens:      read and written by models.
    seconds:     from the end of the user's words to the end of the answer's making.
    skill_calls: attempts.
    """

    tokens: int | None = None
    seconds: float | None = None
    skill_calls: int | None = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextEvent:
    """Something from outside that a conversation should know: a skill's late result, a camera, an automation.

    source:         who says so.
    payload:        JSON-able, for a model to read; untrusted.
    spoken_summary: what to say about it aloud, where something is to be said.
    """

    source: str
    payload: Mapping[str, object] = field(default_factory=dict)
    spoken_summary: str | None = None


InjectMode = Literal["queue", "steer", "interrupt"]
"""queue: with the next turn; steer: into the running one; interrupt: now, instead of the running one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a voice should sound, each 0..1; engines do what they can.

    formality: None leaves it to the engine. voice: the engine's name of one. Raises malformed for anything else.
    """

    pace: float = 0.5
    warmth: float = 0.5
    expressiveness: float = 0.5
    formality: float | None = None
    voice: str | None = None

    def __post_init__(self) -> None:
        for name in ("pace", "warmth", "expressiveness", "formality"):
            value: object = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
            if not number and not (value is None and name == "formality"):
                raise VonadError("malformed", f"style: {name} must be a number from 0 to 1: got {value!r}", op="style")
        if self.voice is not None and (not isinstance(self.voice, str) or not self.voice.strip()):
            raise VonadError(
                "malformed",
                f"style: voice must be an engine's name of one, or left out: got {self.voice!r}",
                op="style",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What a caller wants otherwise for one session. None leaves it as it is set; false, empty and "never" do not.

    backend:     the only one that answers.
    style:       how the voice sounds; its backend must be able to.
    endpointing: one of PATIENCE.
    greeting:    empty: none.
    budget:      of each turn.
    skills:      the only ones that may run; none of them: no skill at all.
    metadata:    what the caller notes about the session: policy and whoever reads the session see it, no model does.
    """

    backend: str | None = None
    style: Style | None = None
    follow_up: bool | None = None
    barge_in: bool | None = None
    endpointing: str | None = None
    greeting: str | None = None
    budget: Budget | None = None
    skills: tuple[str, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


AS_SET = Overrides()
"""Nothing is wanted otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a session will be.

    satellite:  None for a session of text only: nothing is heard or played.
    backends:   names, in order: the next takes over when one is lost.
    follow_up:  listen again after a reply: auto means when the reply asks.
    filler:     what is played when a reply has not begun `filler_s` after the user's words.
    greeting:   said once when the session opens on a satellite; None: nothing.
    greeting_prompt: what the backend is asked, unheard, for a greeting instead.
    skills:     the only ones that may run; None: all.
    metadata:   what the caller notes about the session.
    """

    satellite: str | None
    backends: tuple[str, ...]
    language: str = "en"
    purpose: Purpose = "listen"
    text: str | None = None
    follow_up: Literal["auto", "always", "never"] = "auto"
    endpointing: Endpointing = field(default_factory=Endpointing)
    barge_in: BargeIn = field(default_factory=BargeIn)
    budget: Budget = field(default_factory=Budget)
    preemptive: Preemptive = "discard"
    filler: Filling = "none"
    filler_s: float = 1.5
    greeting: str | None = None
    greeting_prompt: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    style: Style = field(default_factory=Style)
    skills: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session as others see it: a snapshot that never waits for a running turn.

    tokens: what models took for its turns that are over.
    reason: why it was closed.
    metadata: what its caller noted about it; nothing once it is only in the history.
    """

    session_id: str
    conversation_id: str
    satellite: str | None
    state: str
    turn: int
    backend: str
    created: str
    degraded: bool = False
    tokens: int = 0
    reason: str = ""
    last_transcript: str = ""
    last_reply: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
