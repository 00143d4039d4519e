"""Tries: which engine of a role is asked next, and when those that failed in passing are asked again."""

from collections import deque
from collections.abc import Callable, Sequence

from vonad import Backoff, Host, Role, VonadError

RETRIES = 3
"""Rounds after the first."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""Pauses before them, doubled each time."""

PATIENCE_S = 10.0
"""No round begins later than this: the user waits, and another backend may know more."""

Tell = Callable[[str], None]
"""To be told what the owner may want to know."""


class Tries:
    """Each engine in order; then, after a pause, once more those whose error was retryable.

    One that is overloaded has been waited for, and one that does not run will not in a moment: neither is asked again.
    Ask for the `next` name, and report what `failed`.

    error: the last failure; None: none has failed.
    """

    def __init__(self, role: Role, names: Sequence[str], host: Host, tell: Tell) -> None:
        self.error: VonadError | None = None
        self._role = role
        self._round = deque(names)
        self._again: dict[str, VonadError] = {}
        self._asked = ""
        self._host = host
        self._until = host.clock.monotonic() + PATIENCE_S
        self._backoff: Backoff | None = None
        self._tell = tell

    def begin(self) -> None:
        """The user waits from now on, not since it was made."""
        self._until = self._host.clock.monotonic() + PATIENCE_S

    async def next(self) -> str | None:
        """The engine to ask; None: there is none left."""
        if not self._round and not await self._another_round():
            return None
        self._asked = self._round.popleft()
        return self._asked

    def failed(self, error: VonadError) -> None:
        """The one that was named last failed, and nothing of it has come out."""
        self.error = error
        runs = self._asked in self._host.engines(self._role)
        if runs and error.retryable and error.code != "overload":
            self._again[self._asked] = error

    async def _another_round(self) -> bool:
        if not self._again:
            return False
        if self._backoff is None:  # most turns have no need of one
            self._backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        if self._backoff.attempt >= RETRIES:
            return False
        known = min((error.retry_after_ms or 0) / 1000 for error in self._again.values())
        pause = max(self._backoff.next(), known)
        if self._host.clock.monotonic() + pause > self._until:
            return False
        for name, error in self._again.items():
            times = f"{self._backoff.attempt} of {RETRIES}"
            self._tell(f"retrying {self._role} engine {name} in {pause:.1f} s ({times}): {error.message}")
        await self._host.clock.sleep(pause)
        self._round.extend(self._again)
        self._again.clear()
        return True
