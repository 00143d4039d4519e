"""Time, injected: what durations are measured with, what the calendar says, and how to wait."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Protocol

SOON_S = 0.003
"""Longer than a reply takes from its last word to its first sound, which the loop may count from a little earlier than
now; nobody who looks on would notice."""


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

    def soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` once on the event loop, when what is going on there now is likely to have been done."""
        self.call_later(SOON_S, callback)

    async def lull(self) -> None:
        """Wait until what is going on is likely to have been done: whatever nobody waits for can be done then."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.soon(lambda: None if done.done() else done.set_result(None))
        await done

    async def sleep(self, delay: float) -> None:
        """Wait `delay` seconds."""
        due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(delay, lambda: None if due.done() else due.set_result(None))
        try:
            await due
        finally:
            timer.cancel()

    def deadline(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Cancel the body and raise TimeoutError when it takes longer."""
        return _Deadline(self, seconds)


class _Deadline(AbstractAsyncContextManager[None]):
    """By any clock; the system's is the event loop's own."""

    __slots__ = ("_clock", "_scope", "_seconds", "_timer")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        scope = self._scope
        await scope.__aenter__()
        self._timer = self._clock.call_later(self._seconds, lambda: None if scope.expired() else scope.reschedule(0.0))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._scope.__aexit__(kind, error, trace)


class SystemClock(Clock):
    """The machine's clocks, asked directly: that is done twenty times between a word and the reply to it."""

    monotonic = staticmethod(time.monotonic)
    now = staticmethod(partial(datetime.now, UTC))

    _loop: asyncio.AbstractEventLoop | None = None
    _soon: list[Callable[[], None]]

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)

    def deadline(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)

    def soon(self, callback: Callable[[], None]) -> None:
        """One timer serves all who ask while it runs: setting one costs as much as what most of them want done."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # what another loop has left undone is over with it
            self._loop, self._soon = loop, []
        self._soon.append(callback)
        if len(self._soon) == 1:
            loop.call_later(SOON_S, self._all_soon)

    def _all_soon(self) -> None:
        due, self._soon = self._soon, []
        loop = asyncio.get_running_loop()
        for callback in due:
            loop.call_soon(callback)
