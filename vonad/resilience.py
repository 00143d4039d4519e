"""Resilience: circuit breakers, and a limited number of streams per engine."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Literal, TypeVar

from vonad.cancellation import calls_off
from vonad.clock import Clock
from vonad.errors import VonadError

T = TypeVar("T")

BreakerState = Literal["closed", "open", "half_open"]

FAILURES_TO_OPEN = 5
OPEN_S = 30.0
SUCCESSES_TO_CLOSE = 2
WAIT_FOR_STREAM_S = 1.0

BLAMELESS = frozenset({"budget_exceeded", "cancelled", "capability_unsupported"})
"""Errors of a call that say neither that its engine works nor that it does not."""


class Breaker:
    """Stops asking a part that keeps failing: 5 failures in a row open it, 30 s later a probe, 2 successes close it."""

    def __init__(self, name: str, clock: Clock, changed: Callable[[str, BreakerState], None] | None = None) -> None:
        self.name = name
        self.state: BreakerState = "closed"
        self._clock = clock
        self._changed = changed
        self._failures = 0
        self._successes = 0
        self._opened_at = 0.0
        self._probing = False

    def admit(self) -> None:
        """Let a call through. Raises circuit_open while it is of no use."""
        if self.state == "open" and self._clock.monotonic() - self._opened_at >= OPEN_S:
            self._move("half_open")
        if self.state == "open" or (self.state == "half_open" and self._probing):
            left = max(0.0, OPEN_S - (self._clock.monotonic() - self._opened_at))
            raise VonadError(
                "circuit_open",
                f"{self.name} failed {FAILURES_TO_OPEN} times in a row and is left alone for another {left:.0f} s",
                op=self.name,
                retryable=True,
                retry_after_ms=round(left * 1000),
            )
        self._probing = self.state == "half_open"

    def succeeded(self) -> None:
        """The call did what it should."""
        self._probing = False
        self._failures = 0
        if self.state == "half_open":
            self._successes += 1
            if self._successes >= SUCCESSES_TO_CLOSE:
                self._move("closed")

    def failed(self) -> None:
        """The call failed."""
        self._probing = False
        self._failures += 1
        if self.state == "half_open" or (self.state == "closed" and self._failures >= FAILURES_TO_OPEN):
            self._move("open")

    def abandoned(self) -> None:
        """The call was given up: neither success nor failure."""
        self._probing = False

    def _move(self, state: BreakerState) -> None:
        self.state = state
        self._successes = 0
        if state == "open":
            self._opened_at = self._clock.monotonic()
        if self._changed is not None:
            self._changed(self.name, state)


class Pool(AbstractAsyncContextManager[T]):
    """An engine with the streams it can serve at once, behind its breaker; `async with` lends it for one stream.

    Entering raises circuit_open, or overload after waiting a second for a free stream. What the body raises is the
    engine's failure; what is neither harmless nor a VonadError becomes backend_step_failed.

    harmless: exceptions of a body that say nothing against the engine.
    """

    def __init__(
        self,
        part: T,
        breaker: Breaker,
        *,
        streams: int,
        clock: Clock,
        harmless: tuple[type[Exception], ...] = (),
    ) -> None:
        self.part = part
        self.breaker = breaker
        self._clock = clock
        self._harmless = harmless
        self._streams = self._free = streams
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> T:
        if self.breaker.state != "closed":  # else it lets everything through
            self.breaker.admit()
        if self._free:
            self._free -= 1
            return self.part
        try:
            await self._wait()
        except BaseException:
            self.breaker.abandoned()
            raise
        return self.part

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pass_on()
        breaker = self.breaker
        if error is None or isinstance(error, self._harmless):
            breaker.succeeded()
        elif not _failed(error):
            breaker.abandoned()
        else:
            breaker.failed()
            if not isinstance(error, VonadError):
                message = f"engine {breaker.name} failed: {type(error).__name__}: {error}"
                raise VonadError("backend_step_failed", message, op=breaker.name, retryable=True) from error

    async def _wait(self) -> None:
        """Until a stream is ours. Raises overload."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with self._clock.deadline(WAIT_FOR_STREAM_S):
                await place
        except BaseException as failure:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not place.cancelled():  # it came too late: for whoever waits behind
                self._pass_on()
            if not isinstance(failure, TimeoutError):
                raise
            raise VonadError(
                "overload",
                f"{self.breaker.name} serves {self._streams} at once; none became free in {WAIT_FOR_STREAM_S:g} s",
                op=self.breaker.name,
                retryable=True,
            ) from None

    def _pass_on(self) -> None:
        """A stream is free: whoever has waited longest has it."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


def _failed(error: BaseException) -> bool:
    """Whether this says that the engine does not work: so does what it had cancelled itself."""
    if calls_off(error) or (isinstance(error, VonadError) and error.code in BLAMELESS):
        return False
    return isinstance(error, Exception | asyncio.CancelledError)
