"""What happened: the Event, its JSON envelope, and the catalogue of every type vonad publishes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

VERSION = 1
"""Version of the envelope."""


NOTHING: Mapping[str, object] = MappingProxyType({})
"""What there is to say besides the type, where that says it all."""


class Event(NamedTuple):  # a dataclass takes five times as long to make, and every stage of a turn is told
    """One thing that happened. The publisher says what and to whom; the Bus stamps seq, ts and node.

    type:  one of EVENTS.
    data:  JSON-able values of this type.
    turn:  the number of the turn in its session, from 1; None outside turns.
    seq:   strictly increasing within a node; 0 until stamped.
    ts:    UTC, ISO 8601 with milliseconds.
    """

    type: str
    data: Mapping[str, object] = NOTHING
    satellite: str | None = None
    session_id: str | None = None
    conversation_id: str | None = None
    turn: int | None = None
    seq: int = 0
    ts: str = ""
    node: str = ""

    def envelope(self) -> dict[str, object]:
        """The form in which every face shows it."""
        return {
            "v": VERSION,
            "type": self.type,
            "seq": self.seq,
            "ts": self.ts,
            "node": self.node,
            "satellite": self.satellite,
            "session_id": self.session_id,
            "conversation_id": self.conversation_id,
            "turn": self.turn,
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """What is promised of one type of event.

    data:   the keys its data may have.
    kept:   state or terminal: never dropped for a slow reader.
    words:  the keys whose values are somebody's words.
    """

    says: str
    data: tuple[str, ...] = ()
    kept: bool = False
    words: tuple[str, ...] = ()


EVENTS: Mapping[str, Kind] = MappingProxyType(
    {
        "satellite.online": Kind("a satellite connected", ("transport",), kept=True),
        "satellite.offline": Kind("a satellite went away", ("reason",), kept=True),
        "session.created": Kind("a session opened", ("backend", "purpose"), kept=True),
        "session.state": Kind("a session's state changed", ("state", "previous", "reason", "degraded"), kept=True),
        "session.closed": Kind("a session ended, exactly once", ("reason", "metrics"), kept=True),
        "wake.accepted": Kind(
            "a wake opened a turn, or found the microphone open", ("id", "source", "phrase", "score"), kept=True
        ),
        "wake.refused": Kind("a wake was refused", ("id", "source", "phrase", "reason", "detail"), kept=True),
        "turn.started": Kind("a turn began", ("turn_id", "source", "id")),
        "turn.final": Kind(
            "what the user said, as the turn is answered", ("turn_id", "text"), kept=True, words=("text",)
        ),
        "turn.ended": Kind(
            "a turn is over, and in the history if `stored`; without a number it never began",
            (
                "turn_id",
                "outcome",
                "generated_text",
                "heard_text",
                "stages",
                "first_audio_ms",
                "endpoint",
                "audio_gap",
                "backend",
                "degraded",
                "stored",
            ),
            kept=True,
            words=("generated_text", "heard_text"),
        ),
        "transcript.partial": Kind("words so far", ("text",), words=("text",)),
        "transcript.final": Kind("words as recognised", ("text",), kept=True, words=("text",)),
        "reply.delta": Kind("a piece of the reply", ("text",), words=("text",)),
        "reply.complete": Kind("the whole reply", ("turn_id", "text"), kept=True, words=("text",)),
        "playback.started": Kind("the first sample of a reply plays"),
        "playback.finished": Kind("the satellite has played everything", ("ok", "played_ms"), kept=True),
        "playback.cleared": Kind("what waited to be played was thrown away", ("played_ms",), kept=True),
        "filler.started": Kind("something is played because a reply is long in coming", ("kind",)),
        "interruption": Kind("a reply was cut short", ("source", "reason", "played_ms"), kept=True),
        "say.finished": Kind("an announcement is over", ("id", "ok", "reason", "state"), kept=True),
        "skill.attempt": Kind("a skill is about to run", ("call_id", "name", "args_summary"), words=("args_summary",)),
        "skill.result": Kind(
            "a skill has run; code and reason: why it failed",
            ("call_id", "name", "success", "duration_ms", "code", "reason"),
            words=("reason",),
        ),
        "skill.timeout": Kind("a skill took longer than its budget", ("call_id", "name", "budget_ms")),
        "skill.rejected": Kind("a skill call was refused", ("call_id", "name", "reason", "kind")),
        "skill.confirm": Kind("a skill waits for the user's yes", ("call_id", "name", "prompt"), words=("prompt",)),
        "budget.warning": Kind("a turn has spent most of what it may", ("what", "used", "limit")),
        "context.injected": Kind("something from outside was made known", ("source", "mode", "applied")),
        "compaction.started": Kind("a long conversation is being summed up", ("before",)),
        "compaction.completed": Kind("it is summed up, in tokens", ("before", "after")),
        "compaction.failed": Kind("it could not be summed up", ("reason",)),
        "fallback.started": Kind("another backend is to take over", ("reason", "from", "to"), kept=True),
        "fallback.completed": Kind("another backend has taken over", ("from", "to"), kept=True),
        "fallback.failed": Kind("no other backend could take over", ("from", "reason"), kept=True),
        "fallback.over": Kind(
            "a better backend answers again, between two turns", ("from", "to", "degraded"), kept=True
        ),
        "user.away": Kind("nobody has said anything for a while", ("after_s",), kept=True),
        "user.back": Kind("somebody has said something again", (), kept=True),
        "retrying": Kind("a backend asks one of its parts again", ("name", "message")),
        "backend.diagnostic": Kind("a backend says something of itself", ("name", "message"), words=("message",)),
        "latency.mark": Kind("a stage of the turn was reached", ("stage", "ms")),
        "backend.health": Kind("a part is well or is not", ("name", "ok", "detail"), kept=True),
        "breaker.state": Kind("an engine's circuit breaker changed", ("name", "state"), kept=True),
        "plugins.changed": Kind("what runs has changed", (), kept=True),
        "events_dropped": Kind("this reader was too slow", ("count",), kept=True),
        "error": Kind("a request or a part failed", ("code", "message", "op", "id"), kept=True),
    }
)
"""Every type of event."""

COARSE: Mapping[str, str] = MappingProxyType(
    {
        "created": "idle",
        "connecting": "idle",
        "idle": "idle",
        "listening": "listening",
        "processing": "processing",
        "executing_skill": "processing",
        "speaking": "responding",
        "interrupted": "responding",
        "falling_back": "processing",
        "away": "idle",
        "closing": "idle",
        "closed": "idle",
    }
)
"""Session state → one of the four words of a satellite's state."""
