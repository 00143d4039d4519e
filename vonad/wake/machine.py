"""The wake machine: whether a satellite waits for its wake word, half believes it, is awake, or hears only itself.

It knows no session: it is told what the satellite does, and when somebody half hears the wake word there.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from vonad.clock import Clock

CONFIRM_S = 2.0
"""Within this time a second candidate of the same wake word confirms the first: who is not heard says it again."""

FOLLOW_UP_S = 10.0
"""So long after all was played somebody may have more to say: no cooldown holds their wake word."""

ECHO_S = 1.0
"""So long after the last word a detector may still find it: in the room's echo, and by its own delay."""


class Wakefulness(StrEnum):
    """What a satellite is to its wake word."""

    DORMANT = "dormant"
    CANDIDATE = "candidate"
    AWAKE = "awake"
    SUPPRESSED = "suppressed"


class Stimulus(StrEnum):
    """What moves it."""

    HEARD = "heard"
    """A detector was half sure of the wake word."""
    LAPSED = "lapsed"
    """It did not come again in time, or was another satellite's."""
    WOKEN = "woken"
    """A wake was accepted, or a turn goes on."""
    SPEAKS = "speaks"
    """It plays something itself."""
    MUTED = "muted"
    RESTED = "rested"
    """Nothing goes on any more: the cooldown begins."""
    UNMUTED = "unmuted"


W, S = Wakefulness, Stimulus

_ROWS: tuple[tuple[tuple[Wakefulness, ...], Stimulus, Wakefulness], ...] = (
    ((W.DORMANT,), S.HEARD, W.CANDIDATE),
    ((W.CANDIDATE,), S.LAPSED, W.DORMANT),
    ((W.DORMANT, W.CANDIDATE, W.SUPPRESSED), S.WOKEN, W.AWAKE),
    ((W.DORMANT, W.CANDIDATE, W.AWAKE), S.SPEAKS, W.SUPPRESSED),
    ((W.DORMANT, W.CANDIDATE, W.AWAKE), S.MUTED, W.SUPPRESSED),
    ((W.AWAKE, W.SUPPRESSED), S.RESTED, W.DORMANT),
    ((W.SUPPRESSED,), S.UNMUTED, W.DORMANT),
)

TRANSITIONS: Mapping[tuple[Wakefulness, Stimulus], Wakefulness] = MappingProxyType(
    {(state, stimulus): to for states, stimulus, to in _ROWS for state in states}
)
"""(from, stimulus) → to. Anything else moves nothing: a wake never fails for what its satellite does meanwhile."""

_STIMULI: Mapping[str, Stimulus] = MappingProxyType(
    {"idle": S.RESTED, "listening": S.WOKEN, "processing": S.WOKEN, "responding": S.SPEAKS}
)


class WakeMachine:
    """One satellite's.

    muted: whether its microphone is off. While it is, only `mute` moves anything.
    """

    def __init__(self, clock: Clock) -> None:
        self.muted = False
        self._clock = clock
        self._state = W.DORMANT
        self._activity = "idle"
        self._candidate = ""
        self._heard_at = 0.0
        self._rested_at = float("-inf")
        self._drained_at = float("-inf")
        self._said = ""
        self._said_at = 0.0

    @property
    def state(self) -> Wakefulness:
        """Where it stands. A candidate lapses when it is looked at: nobody waits for it."""
        if self._state is W.CANDIDATE and self._since(self._heard_at) > CONFIRM_S:
            self._fire(S.LAPSED)
        return self._state

    @property
    def echo(self) -> str:
        """What it has just said, and may hear yet."""
        return self._said if self._since(self._said_at) < ECHO_S else ""

    def cooling_s(self, cooldown_s: float) -> float | None:
        """Seconds since its return to dormant, if that was within the cooldown and nobody may want to follow up."""
        if self.state not in {W.DORMANT, W.CANDIDATE} or self._since(self._drained_at) < FOLLOW_UP_S:
            return None
        passed = self._since(self._rested_at)
        return passed if passed < cooldown_s else None

    def heard(self, phrase: str) -> bool:
        """A detector was half sure of this. Whether that is the second time within CONFIRM_S: then it is believed."""
        if self.state is W.CANDIDATE and self._candidate == phrase:
            return True
        self._fire(S.HEARD)
        if self._state is W.CANDIDATE:
            self._candidate, self._heard_at = phrase, self._clock.monotonic()
        return False

    def forget(self) -> None:
        """What was half heard was meant for another satellite."""
        self._fire(S.LAPSED)

    def woken(self) -> None:
        """A wake was accepted."""
        self.follow("listening")

    def follow(self, activity: str, *, drained: bool = False, said: str = "") -> None:
        """The satellite is now idle, listening, processing or responding.

        drained: all that it had to say was played just now. said: what that was, as far as it got.
        """
        if drained:
            self._drained_at = self._clock.monotonic()
        if said:
            self._said, self._said_at = said, self._clock.monotonic()
        if activity == self._activity:
            return
        self._activity = activity
        if not self.muted:
            self._fire(_STIMULI[activity])

    def mute(self, *, on: bool) -> None:
        """Its microphone is off, or on again; the latter is no return from a turn, and nothing to cool down from."""
        if on == self.muted:
            return
        self.muted = on
        if on:
            self._fire(S.MUTED)
        else:
            self._fire(S.UNMUTED)
            self._fire(_STIMULI[self._activity])

    def _fire(self, stimulus: Stimulus) -> None:
        to = TRANSITIONS.get((self._state, stimulus))
        if to is None:
            return
        self._state = to
        if stimulus is S.RESTED:
            self._rested_at = self._clock.monotonic()

    def _since(self, moment: float) -> float:
        return self._clock.monotonic() - moment
