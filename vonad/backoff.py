"""Back-off: how long to wait before what failed is tried again."""

import random
from collections.abc import Callable


class Backoff:
    """Growing pauses: doubled from `first` to `longest` seconds, spread by ±10 % so that many do not come at once."""

    def __init__(
        self, first: float = 1.0, longest: float = 30.0, *, spread: Callable[[], float] = random.random
    ) -> None:
        self._first = first
        self._longest = longest
        self._spread = spread
        self.attempt = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        pause = min(self._longest, self._first * 2.0**self.attempt)
        self.attempt += 1
        return pause * (0.9 + 0.2 * self._spread())

    def reset(self) -> None:
        """It worked."""
        self.attempt = 0
