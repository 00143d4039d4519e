"""A turn: what was said, what was answered, how long each stage took, and how it ended."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vonad.engine import Outcome as SkillOutcome
from vonad.errors import VonadError
from vonad.history import TurnRecord
from vonad.output import Fit, OutputSchema
from vonad.session.budget import TurnBudget

Source = Literal["voice", "text", "say", "follow_up", "greeting"]
"""Where a turn came from: speech after a wake, text, an announcement, speech without a new wake, the session itself."""

Outcome = Literal["completed", "interrupted", "superseded", "failed", "empty", "not_understood", "budget_exceeded"]


@dataclass(slots=True, eq=False)
class Structure:
    """What a turn's reply must be, and what there is of it.

    pieces:   of the reply, as they came.
    retries:  how often it was asked for again.
    before:   the reply that did not fit, and its `fault`; empty: there was none yet.
    outcomes: what came of the skills it asked for, by name and sealed arguments.
    result:   what the reply says; None while none has fitted.
    error:    what was last told to be wrong in the turn.
    """

    schema: OutputSchema
    pieces: list[str] = field(default_factory=list)
    retries: int = 0
    before: str = ""
    fault: str = ""
    outcomes: dict[tuple[str, str], SkillOutcome] = field(default_factory=dict)
    result: Fit | None = None
    error: VonadError | None = None


@dataclass(slots=True, eq=False)
class Turn:
    """One exchange in a session.

    number:         its epoch, from 1.
    started_at:     monotonic.
    transcript:     as recognised; None when nothing was.
    user_text:      what was answered, where a policy changed it.
    generated:      the pieces of the reply, as generated.
    heard:          what of it was heard.
    stages:         milliseconds from the start of the turn to each stage.
    asked_at:       monotonic time at which the user had finished: the last speech sample, or the text's arrival.
    first_audio_ms: from asked_at to the first sample of the reply.
    failed:         something in it went wrong, though an answer was given.
    asked:          its words have been handed to the backend.
    acted:          a skill that may have changed something was begun for it: it is not asked again.
    unsaid:         what its skills had to say that no backend has spoken yet.
    quiet:          a skill did what was asked and has nothing to say to it.
    confirm:        its reply asks for a yes, which the next turn may be.
    prompt:         what the backend is asked in place of words of the user's; nobody hears or keeps it.
    audio_gap:      some of the sound of the user's words was lost on the way.
    barged:         what interrupted the reply before it: speech or stop_word; unsure: the reply ended before that was
                    known; empty: it began in quiet.
    resaid:         its words are the beginning of the next turn's: it was no exchange.
    continues:      its beginning are the words of the turn before, which only a quiet had ended.
    orphaned:       the backend that asked for its skills is gone: the house says what came of them.
    skill_budget_s: the longest of the times its skills may take.
    budget:         what it may still cost.
    backend:        the one that answered it.
    tried:          the backends that have failed at it.
    kept:           what was heard of it before another backend took over.
    structure:      what its reply must be; None: words to be spoken.
    ended:          set to the outcome when the turn is over and in the history.
    """

    id: str
    number: int
    source: Source
    started_at: float
    ended: asyncio.Future[Outcome]
    request_id: str | None = None
    transcript: str | None = None
    user_text: str | None = None
    generated: list[str] = field(default_factory=list)
    heard: str = ""
    stages: dict[str, float] = field(default_factory=dict)
    asked_at: float = 0.0
    first_audio_ms: float | None = None
    endpoint: str | None = None
    usage: Mapping[str, int] | None = None
    follow_up: bool | None = None
    outcome: Outcome | None = None
    running_skills: int = 0
    failed: bool = False
    asked: bool = False
    acted: bool = False
    unsaid: str = ""
    quiet: bool = False
    confirm: bool = False
    prompt: str = ""
    audio_gap: bool = False
    barged: str = ""
    resaid: bool = False
    continues: bool = False
    orphaned: bool = False
    skill_budget_s: float = 0.0
    budget: TurnBudget | None = None
    backend: str = ""
    tried: frozenset[str] = frozenset()
    kept: str = ""
    structure: Structure | None = None

    @property
    def reply(self) -> str:
        """The whole reply so far."""
        return " ".join(piece.strip() for piece in self.generated if piece.strip())

    @property
    def heard_out(self) -> bool:
        """Whether its reply has been played to its end, or as far as it came."""
        return "playback_finished" in self.stages

    @property
    def said(self) -> str:
        """What the user said, as it is answered."""
        return self.user_text if self.user_text is not None else self.transcript or ""

    def ending(self, cut: Outcome) -> Outcome:
        """How it ends if it does so now: cut short in this way, unless its reply has been played to its end."""
        return self.outcome or ("failed" if self.failed else "completed" if self.heard_out else cut)

    def record(self, planned: str) -> TurnRecord:
        """What the history keeps of it, once it is over. planned: the backend that should have answered."""
        return TurnRecord(
            outcome=self.outcome or "failed",
            transcript=self.transcript,
            user_text=self.user_text,
            generated_text=self.reply,
            heard_text=self.heard,
            backend=self.backend,
            stages=dict(self.stages),
            first_audio_ms=self.first_audio_ms,
            endpoint=self.endpoint,
            audio_gap=self.audio_gap,
            usage=dict(self.usage) if self.usage else None,
            degraded=self.backend != planned,
        )

    def told(self, planned: str, *, stored: bool) -> dict[str, object]:
        """What is published of its end. planned: as in `record`; stored: whether it is in the history."""
        return {
            "turn_id": self.id,
            "outcome": self.outcome,
            "generated_text": self.reply,
            "heard_text": self.heard,
            "stages": dict(self.stages),
            "first_audio_ms": self.first_audio_ms,
            "endpoint": self.endpoint,
            "audio_gap": self.audio_gap,
            "backend": self.backend,
            "degraded": self.backend != planned,
            "stored": stored,
        }
