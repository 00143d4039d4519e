"""Time, injected: what durations are measured with, what the calendar says, and how to wait."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not make the call; a timer that has fired ignores this."""


class Clock(ABC):
    """Monotonic seconds for durations, UTC for people; nothing in vonad asks the operating system directly."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds that never jump."""

    @abstractmethod
    def now(self) -> datetime:
        """The calendar, UTC; it may jump."""

    @abstractmethod
    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once on the event loop, `delay` seconds from now."""

    async def sleep(self, delay: float) -> None:
        """Wait `delay` seconds."""
        due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(delay, lambda: None if due.done() else due.set_result(None))
        try:
            await due
        finally:
            timer.cancel()

    @asynccontextmanager
    async def deadline(self, seconds: float) -> AsyncIterator[None]:
        """Cancel the body and raise TimeoutError when it takes longer."""
        async with asyncio.timeout(None) as scope:
            timer = self.call_later(seconds, lambda: None if scope.expired() else scope.reschedule(0.0))
            try:
                yield
            finally:
                timer.cancel()


class SystemClock(Clock):
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)
