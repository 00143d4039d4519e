"""The budget of one turn: what answering it has cost so far, a warning when that is most of it, and the end of it."""

import math
from collections.abc import Callable, Mapping
from typing import Literal

from vonad.clock import Clock, Timer
from vonad.errors import VonadError
from vonad.plan import Budget

WARNING = 0.8
"""The share of a limit from which on it is warned of, once."""

What = Literal["tokens", "seconds", "skill_calls"]


class TurnBudget:
    """Counts what a turn spends.

    warn:      told what budget.warning says: {what, used, limit}.
    exhausted: told once, when tokens or seconds are used up: the turn is over. A skill call too many is only refused.
    """

    def __init__(
        self,
        budget: Budget,
        clock: Clock,
        warn: Callable[[Mapping[str, object]], None],
        exhausted: Callable[[VonadError], None],
    ) -> None:
        self._limits: dict[What, float | None] = {
            "tokens": budget.tokens,
            "seconds": budget.seconds,
            "skill_calls": budget.skill_calls,
        }
        self._used: dict[What, int] = {"tokens": 0, "skill_calls": 0}
        self._clock = clock
        self._warn = warn
        self._exhausted = exhausted
        self._warned: set[What] = set()
        self._timers: list[Timer] = []
        self._begun: float | None = None
        self._over = False

    @property
    def seconds_left(self) -> float | None:
        """Until the answer must be complete; None: there is no limit, or nothing runs yet."""
        limit = self._limits["seconds"]
        if limit is None or self._begun is None:
            return None
        return max(0.0, self._begun + limit - self._clock.monotonic())

    @property
    def skill_calls_left(self) -> float:
        """How many more attempts there may be."""
        limit = self._limits["skill_calls"]
        return math.inf if limit is None else max(0.0, limit - self._used["skill_calls"])

    def begin(self) -> None:
        """The user's words have ended: seconds count from here."""
        limit = self._limits["seconds"]
        if self._begun is not None or limit is None or self._over:
            return
        self._begun = self._clock.monotonic()
        self._timers = [
            self._clock.call_later(limit * WARNING, lambda: self._warn_of("seconds", limit * WARNING, limit)),
            self._clock.call_later(limit, self._out_of_time),
        ]

    def end(self) -> None:
        """The answer is made, or is not to be: nobody is warned or called any more, or kept for that."""
        self._over = True
        self._warn = self._exhausted = _nobody
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def tokens(self, count: int) -> None:
        """A model has read and written so many. Raises budget_exceeded when the turn has spent more than it may."""
        error = self._spend("tokens", max(0, count))
        if error is not None:
            self._end_turn(error)
            raise error

    def skill_call(self) -> None:
        """One more attempt. Raises budget_exceeded for each one too many."""
        error = self._spend("skill_calls", 1)
        if error is not None:
            raise error

    def _spend(self, what: What, count: int) -> VonadError | None:
        self._used[what] += count
        used, limit = self._used[what], self._limits[what]
        if limit is None:
            return None
        if used >= limit * WARNING:
            self._warn_of(what, used, limit)
        return _exceeded(what, used, limit) if used > limit else None

    def _warn_of(self, what: What, used: float, limit: float) -> None:
        if what not in self._warned and not self._over:
            self._warned.add(what)
            self._warn({"what": what, "used": used, "limit": limit})

    def _out_of_time(self) -> None:
        limit = self._limits["seconds"]
        assert limit is not None
        self._end_turn(_exceeded("seconds", limit, limit))

    def _end_turn(self, error: VonadError) -> None:
        if not self._over:
            exhausted = self._exhausted
            self.end()
            exhausted(error)


def _nobody(_: object) -> None:
    """Is told."""


def _exceeded(what: What, used: float, limit: float) -> VonadError:
    setting = {"tokens": "turn_tokens", "seconds": "turn_s", "skill_calls": "turn_skill_calls"}[what]
    return VonadError(
        "budget_exceeded",
        f"the turn has spent {used:g} {what.replace('_', ' ')}; [session] {setting} is {limit:g}",
        op="budget",
        details={"what": what, "used": used, "limit": limit},
    )
