"""Control: what a backend does besides speaking, and what policy may decide about it."""

from dataclasses import dataclass
from typing import Literal

from vonad.backend import Diagnostic, SkillRequest, SpeechStarted, Transcript
from vonad.plan import ContextEvent

ControlEvent = SkillRequest | Transcript | SpeechStarted | Diagnostic
"""A wish to run a skill, words that were recognised, the user breaking in, or something a backend says of itself."""

FallbackReason = Literal[
    "backend_unavailable", "control_rejected", "tool_timeout", "tool_failed", "silence", "interrupted"
]
"""Why another backend could take over:

backend_unavailable: it was lost, or its circuit breaker is open.
control_rejected:    policy refused what it did.
tool_timeout:        a skill it had asked for took too long.
tool_failed:         a skill it had asked for failed.
silence:             it did not answer in time.
interrupted:         it could not be interrupted in time.
"""


@dataclass(frozen=True, slots=True)
class Ignore:
    """As if it had not happened."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Let it take its course."""


@dataclass(frozen=True, slots=True)
class InjectContext:
    """Let it take its course, and tell the backend this."""

    event: ContextEvent


@dataclass(frozen=True, slots=True)
class FallBack:
    """Have the next backend take over. detail: a sentence for the log."""

    detail: str = ""


Decision = Ignore | Continue | InjectContext | FallBack
"""What policy decides about a ControlEvent."""
