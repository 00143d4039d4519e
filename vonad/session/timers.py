"""Timers by name, many on one of the clock's: most are called off or put off long before they are due."""

import math
from collections.abc import Callable

from vonad.clock import Clock, Timer

EARLY_S = 0.001
"""By so much a loop may ring too early: it counts in whole milliseconds."""


class Timers:
    """The clock's timer is set to the first that is due, and left alone when that one is dropped or put off: where it
    rings in vain it is set anew. So on a turn's way to its first sound none is made or called off.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, tuple[float, Callable[[], None]]] = {}
        self._bell: Timer | None = None
        self._rings_at = math.inf

    def after(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        """Act later, once; a timer of the same name is replaced."""
        at = self._clock.monotonic() + seconds
        self._due[name] = (at, act)
        if at < self._rings_at:
            self._set(at)

    def drop(self, *names: str) -> None:
        """Forget timers; without names all of them."""
        if not names:
            self._due.clear()
            self._set(math.inf)
        for name in names:
            self._due.pop(name, None)

    def _set(self, at: float) -> None:
        if self._bell is not None:
            self._bell.cancel()
        self._bell, self._rings_at = None, at
        if at < math.inf:
            self._bell = self._clock.call_later(max(EARLY_S, at - self._clock.monotonic()), self._ring)

    def _ring(self) -> None:
        self._bell, self._rings_at = None, math.inf
        now = self._clock.monotonic()
        try:
            for name in sorted(self._due, key=lambda name: self._due[name][0]):
                at, act = self._due.get(name, (math.inf, None))
                if at <= now and act is not None:
                    del self._due[name]
                    act()
        finally:  # a defect in one is not the end of the others
            first = min((at for at, _ in self._due.values()), default=math.inf)
            if first < self._rings_at:
                self._set(first)
