"""Metrics: what a session counts, for the event that ends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from vonad.session.turn import Outcome, Turn
from vonad.skills.attempt import End

COUNTED: Mapping[End, str] = {"done": "ok", "failed": "failed", "rejected": "failed", "timeout": "timed_out"}
"""How a skill call ended → what it is counted as."""


@dataclass(slots=True)
class Metrics:
    """first_audio_ms: of each turn that sounded, from the user's last word to the first sample of the reply."""

    turns: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    interruptions: int = 0
    fallbacks: int = 0
    skills: dict[str, int] = field(default_factory=lambda: {"attempts": 0, "ok": 0, "failed": 0, "timed_out": 0})
    tokens: int = 0
    first_audio_ms: list[float] = field(default_factory=list)

    def count(self, turn: Turn, outcome: Outcome) -> None:
        """A turn is over."""
        self.turns += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.tokens += sum((turn.usage or {}).values())
        if turn.first_audio_ms is not None and turn.source != "say":
            self.first_audio_ms.append(turn.first_audio_ms)

    def skill(self, end: End) -> None:
        """An attempt has ended. One that waits for the user's yes has neither succeeded nor failed."""
        self.skills["attempts"] += 1
        counted = COUNTED.get(end)
        if counted is not None:
            self.skills[counted] += 1

    def told(self) -> dict[str, object]:
        """JSON-able."""
        first = self.first_audio_ms
        return {
            "turns": self.turns,
            "outcomes": dict(self.outcomes),
            "interruptions": self.interruptions,
            "fallbacks": self.fallbacks,
            "skills": dict(self.skills),
            "tokens": self.tokens,
            "first_audio_ms": round(median(first), 1) if first else None,
        }
