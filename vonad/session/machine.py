"""The state machine of a session: its states, every transition there is, and the guard that admits no other."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from vonad.errors import VonadError


class State(StrEnum):
    """Where a session stands."""

    CREATED = "created"
    CONNECTING = "connecting"
    IDLE = "idle"
    LISTENING = "listening"
    PROCESSING = "processing"
    EXECUTING_SKILL = "executing_skill"
    SPEAKING = "speaking"
    INTERRUPTED = "interrupted"
    FALLING_BACK = "falling_back"
    AWAY = "away"
    CLOSING = "closing"
    CLOSED = "closed"


class Trigger(StrEnum):
    """What moves it."""

    OPEN = "open"
    READY = "ready"
    LISTEN = "listen"
    TEXT = "text"
    SAY = "say"
    END_OF_TURN = "end_of_turn"
    NOTHING_SAID = "nothing_said"
    SKILL_CALLS = "skill_calls"
    SKILLS_SETTLED = "skills_settled"
    FIRST_SOUND = "first_sound"
    REPLY_SILENT = "reply_silent"
    PLAYBACK_FINISHED = "playback_finished"
    INTERRUPT = "interrupt"
    FLUSHED = "flushed"
    LEFT = "left"
    LOST = "lost"
    BOUND = "bound"
    CLOSE = "close"
    DRAINED = "drained"


S, T = State, Trigger

_ROWS: tuple[tuple[tuple[State, ...], Trigger, tuple[State, ...]], ...] = (
    ((S.CREATED,), T.OPEN, (S.CONNECTING,)),
    ((S.CONNECTING,), T.READY, (S.IDLE, S.LISTENING, S.PROCESSING, S.SPEAKING)),
    ((S.IDLE, S.AWAY), T.LISTEN, (S.LISTENING,)),
    ((S.IDLE, S.AWAY), T.TEXT, (S.PROCESSING,)),
    ((S.IDLE, S.AWAY, S.LISTENING), T.SAY, (S.SPEAKING,)),
    ((S.IDLE,), T.LEFT, (S.AWAY,)),
    ((S.LISTENING,), T.END_OF_TURN, (S.PROCESSING,)),
    ((S.LISTENING,), T.NOTHING_SAID, (S.IDLE,)),
    ((S.PROCESSING, S.SPEAKING), T.SKILL_CALLS, (S.EXECUTING_SKILL,)),
    ((S.EXECUTING_SKILL,), T.SKILLS_SETTLED, (S.PROCESSING, S.SPEAKING)),
    ((S.PROCESSING, S.EXECUTING_SKILL), T.FIRST_SOUND, (S.SPEAKING,)),
    ((S.PROCESSING,), T.REPLY_SILENT, (S.IDLE, S.LISTENING)),
    ((S.SPEAKING,), T.PLAYBACK_FINISHED, (S.IDLE, S.LISTENING)),
    ((S.PROCESSING, S.EXECUTING_SKILL, S.SPEAKING), T.INTERRUPT, (S.INTERRUPTED,)),
    ((S.INTERRUPTED,), T.FLUSHED, (S.IDLE, S.LISTENING, S.PROCESSING)),
    (
        (S.CONNECTING, S.IDLE, S.AWAY, S.LISTENING, S.PROCESSING, S.EXECUTING_SKILL, S.SPEAKING),
        T.LOST,
        (S.FALLING_BACK,),
    ),
    ((S.FALLING_BACK,), T.BOUND, (S.IDLE, S.LISTENING, S.PROCESSING)),
    (tuple(s for s in State if s not in {S.CLOSING, S.CLOSED}), T.CLOSE, (S.CLOSING,)),
    ((S.CLOSING,), T.DRAINED, (S.CLOSED,)),
)

TRANSITIONS: Mapping[tuple[State, Trigger], frozenset[State]] = MappingProxyType(
    {(state, trigger): frozenset(to) for states, trigger, to in _ROWS for state in states}
)
"""(from, trigger) → the states it may lead to. Anything else is invalid_state."""


class Change(NamedTuple):  # made on every turn's way to its first sound: a dataclass takes five times as long
    """A transition that has happened."""

    state: State
    previous: State
    trigger: Trigger
    reason: str
    epoch: int


class Machine:
    """Compare-and-set on state and epoch. The epoch is the number of the turn; a turn's late completion moves nothing.

    changed: called after each transition, in order; it must not raise.
    """

    def __init__(self, changed: Callable[[Change], None]) -> None:
        self.state = State.CREATED
        self.epoch = 0
        self._changed = changed

    def next_epoch(self) -> int:
        """A new turn begins: what belongs to older ones is late from here on."""
        self.epoch += 1
        return self.epoch

    def allows(self, trigger: Trigger) -> bool:
        """Whether this trigger means anything in the present state."""
        return (self.state, trigger) in TRANSITIONS

    def check(self, trigger: Trigger, to: State) -> None:
        """Raises invalid_state for a move that the table does not hold."""
        if to not in TRANSITIONS.get((self.state, trigger), frozenset()):
            raise VonadError(
                "invalid_state",
                f"a session that is {self.state} cannot become {to} by {trigger}",
                op="session",
                details={"state": str(self.state), "trigger": str(trigger), "to": str(to)},
            )

    def fire(self, trigger: Trigger, to: State, *, epoch: int | None = None, reason: str = "") -> bool:
        """Move. False, and nothing happens, when `epoch` is not the present one.

        Raises invalid_state for what the table does not hold.
        """
        if epoch is not None and epoch != self.epoch:
            return False
        self.check(trigger, to)
        change = Change(to, self.state, trigger, reason or str(trigger), self.epoch)
        self.state = to
        self._changed(change)
        return True
