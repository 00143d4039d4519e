"""The roster: which backends may be asked just now. One that was lost is left alone for a while, by every session."""

import logging
from collections.abc import Callable

from vonad.backend import Backend
from vonad.clock import Clock
from vonad.parts import Parts
from vonad.resilience import Breaker, BreakerState

log = logging.getLogger(__name__)


class Roster:
    """Backends by name, each behind a breaker of its own.

    cool_off_s: how long one that was lost is left alone, though its breaker may still be closed.
    changed:    told of each change of a breaker.
    told:       told by name when one is lost, and why; and, with nothing for a reason, when it answers again.
    lost:       why, by name, those that have not answered since.
    """

    def __init__(
        self,
        parts: Parts,
        clock: Clock,
        changed: Callable[[str, BreakerState], None],
        *,
        told: Callable[[str, str], None] = lambda name, why: None,
        cool_off_s: float = 60.0,
    ) -> None:
        self.cool_off_s = cool_off_s
        self.lost: dict[str, str] = {}
        self._told = told
        self._parts = parts
        self._clock = clock
        self._changed = changed
        self._breakers: dict[str, Breaker] = {}
        self._lost_at: dict[str, float] = {}

    def get(self, name: str) -> Backend:
        """One that may be asked. Raises backend_unavailable, circuit_open."""
        component = self._parts.get("backends", name).component
        assert isinstance(component, Backend)
        breaker = self._breaker(name)
        breaker.admit()
        breaker.abandoned()  # whoever asks it reports only how it fared: a probe that never ends would lock it out
        return component

    def rested(self, name: str) -> bool:
        """Whether it was not lost lately."""
        return self._clock.monotonic() - self._lost_at.get(name, float("-inf")) >= self.cool_off_s

    def failed(self, name: str, why: str = "") -> None:
        """It was lost: it is left alone for its cool-off. Told once, however many sessions lose it meanwhile."""
        rested, known = self.rested(name), name in self.lost
        self._lost_at[name] = self._clock.monotonic()
        self._breaker(name).failed()
        self.lost[name] = why or "it was lost"
        if rested:
            log.warning("backend %s is lost, and left alone for %g s: %s", name, self.cool_off_s, self.lost[name])
        if not known:
            self._told(name, self.lost[name])

    def succeeded(self, name: str) -> None:
        """It has answered a turn."""
        self._lost_at.pop(name, None)
        self._breaker(name).succeeded()
        if name in self.lost:
            del self.lost[name]
            log.info("backend %s answers again", name)
            self._told(name, "")

    def _breaker(self, name: str) -> Breaker:
        if name not in self._breakers:
            self._breakers[name] = Breaker(f"backends.{name}", self._clock, self._changed)
        return self._breakers[name]
