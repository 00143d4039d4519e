"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from vonad.clock import Clock, SystemClock, Timer

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SETTLE_TURNS = 50
"""Turns of the event loop in which work that waits for nothing outside has come to rest."""


class ManualTimer:
    """A call that is due when the clock gets there."""

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Do not make the call, nor keep what it was to be made on."""
        self.cancelled, self.callback = True, _nothing


def _nothing() -> None:
    """Is due."""


class ManualClock(Clock):
    """Time that passes only in `advance`.

    now: what the calendar says at first; it moves along with `advance` and jumps with `set_now`.
    """

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._made = 0

    def monotonic(self) -> float:
        return self._monotonic

    def now(self) -> datetime:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = ManualTimer(self._monotonic + max(0.0, delay), callback)
        self._made += 1
        heapq.heappush(self._timers, (timer.due, self._made, timer))
        return timer

    def soon(self, callback: Callable[[], None]) -> None:
        """At once: no time passes here before it is told to."""
        callback()

    @property
    def waiting(self) -> int:
        """How many timers have neither fired nor been cancelled."""
        return sum(not timer.cancelled for _, _, timer in self._timers)

    def set_now(self, now: datetime) -> None:
        """The calendar jumps, as when somebody sets it; monotonic time does not."""
        self._now = now

    async def advance(self, seconds: float) -> None:
        """Let time pass: every timer that falls due fires at its own moment, in order, and what it woke comes to rest.

        Work in threads, processes and sockets is not waited for.
        """
        until = self._monotonic + seconds
        await settle()
        while self._timers and self._timers[0][0] <= until:
            due, _, timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            self._move(due)
            timer.callback()
            await settle()
        self._move(until)

    def _move(self, to: float) -> None:
        self._now += timedelta(seconds=to - self._monotonic)
        self._monotonic = to


class CalendarClock(SystemClock):
    """Time passes as it does; what the calendar says can be set, and goes on from there."""

    def __init__(self) -> None:
        self._set: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        if self._set is None:
            return super().now()
        now, at = self._set
        return now + timedelta(seconds=self.monotonic() - at)

    def set_now(self, now: datetime) -> None:
        """From now on it is this, with its time zone."""
        self._set = (now, self.monotonic())


async def settle() -> None:
    """Let every task run until it waits for something from outside."""
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)
