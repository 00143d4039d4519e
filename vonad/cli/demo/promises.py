"""What the demo promises, each looked at: the names of those that were not kept."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vonad.frame import Frame
from vonad.history import TurnView, WakeView

STATES = ("listening", "processing", "responding", "idle")
"""What a satellite goes through in a turn."""

SPEECH_DB = (-45.0, -3.0)
"""Between these is the level of somebody who speaks, in dB below the loudest that can be."""

SECONDS_PER_WORD = (0.1, 1.5)
"""Between these is what it takes to say one word."""


@dataclass(slots=True)
class SeenTurn:
    """A turn as somebody on MQTT saw it."""

    said: str
    accepted: bool = False
    states: list[str] = field(default_factory=list)
    transcript: str = ""
    reply: str = ""
    ended: Mapping[str, object] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether nothing more of it will come."""
        return bool(self.ended) and self.states[-1:] == ["idle"]


def broken_turn(turn: SeenTurn) -> Iterator[str]:
    """What of a turn was not as it should be."""
    if not turn.accepted:
        yield f"the wake for “{turn.said}” was accepted"
    if tuple(turn.states) != STATES:
        yield f"the states {', '.join(STATES)} in this order: seen was {', '.join(turn.states) or 'none'}"
    if words(turn.transcript) != words(turn.said):
        yield f"“{turn.said}” was understood: heard was “{turn.transcript}”"
    if not words(turn.reply):
        yield f"“{turn.said}” was answered"
    if turn.ended.get("outcome") != "completed":
        yield f"the turn “{turn.said}” was completed: its outcome is {turn.ended.get('outcome')}"


def broken_history(turns: Sequence[SeenTurn], rows: Sequence[TurnView], wakes: Sequence[WakeView]) -> Iterator[str]:
    """What of the history was not as it should be."""
    kept = [(words(row.transcript or ""), words(row.reply or ""), row.outcome, bool(row.skills)) for row in rows]
    seen = [(words(turn.transcript), words(turn.reply), "completed", True) for turn in turns]
    if kept != seen:
        yield f"each turn is in the database, with its skill: it has {len(kept)} of {len(seen)} as they were seen"
    accepted = sum(wake.accepted for wake in wakes)
    if (accepted, len(wakes)) != (len(turns), len(turns)):
        yield f"each wake is in the database: it has {accepted} accepted of {len(wakes)}"


def broken_sound(turns: Sequence[SeenTurn], sound: Frame | None) -> Iterator[str]:
    """What of the spoken replies was not as it should be."""
    if sound is None:
        yield "the replies were played"
        return
    spoken = sum(len(words(turn.reply)) for turn in turns)
    least, most = (spoken * seconds for seconds in SECONDS_PER_WORD)
    if not least <= sound.seconds <= most:
        yield f"{spoken} spoken words take {least:.1f} to {most:.1f} s: the sound has {sound.seconds:.1f} s"
    low, high = SPEECH_DB
    if not low <= level_db(sound) <= high:
        yield f"speech has a level between {low:.0f} and {high:.0f} dBFS: the sound has {level_db(sound):.0f}"


def level_db(sound: Frame) -> float:
    """Its loudness: root mean square, dB below full scale."""
    power = float(np.mean(np.square(sound.samples.astype(np.float64)))) if len(sound.samples) else 0.0
    return 10 * float(np.log10(max(power, 1e-4) / 32768.0**2))


def words(text: str) -> list[str]:
    """Words to compare: without case and punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())
