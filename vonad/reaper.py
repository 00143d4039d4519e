"""The reaper: closes sessions that nobody uses, also those that nobody ever did, whatever becomes of the others."""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from vonad.clock import Clock
from vonad.session.machine import State

log = logging.getLogger(__name__)

SHORTEST_S = 15.0
"""Between two sweeps."""

GRACE_S = 30.0
"""After which a session that does not end by itself is given up: longer than every deadline of its closing."""

PAUSED = frozenset(State) - {State.CREATED, State.CONNECTING, State.IDLE, State.AWAY, State.CLOSING, State.CLOSED}
"""States in which the idle clock stands still: something is being done."""

ACTIVITY = ("turn.", "transcript.", "reply.", "skill.", "playback.", "filler.", "interruption", "context.", "user.back")
"""Beginnings of the types of events that show that a session is used. Signs of life of a backend are none."""


class Idler(Protocol):
    """A session, as far as it matters here. active_at: monotonic, of the last activity."""

    active_at: float

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def state(self) -> State:
        """Where it stands."""

    def close(self, reason: str) -> None:
        """Have it end."""

    def abandon(self) -> None:
        """Forget it, whatever it does."""


class Reaper:
    """Sweeps every half of the time a session may be idle.

    idlers: the sessions that are open.
    ttl_s:  how long one may be idle.
    """

    def __init__(self, idlers: Callable[[], Iterable[Idler]], ttl_s: Callable[[], float], clock: Clock) -> None:
        self._idlers = idlers
        self._ttl_s = ttl_s
        self._clock = clock
        self._swept = clock.monotonic()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._clock.sleep(max(SHORTEST_S, self._ttl_s() / 2))
            self.sweep()

    def sweep(self) -> None:
        """Look at each once; one that cannot even be looked at is given up."""
        for idler in tuple(self._idlers()):
            try:
                self._look(idler)
            except Exception:  # the boundary of each session: the others are looked at all the same
                log.exception("session %s could not be closed, and is given up", idler.id)
                idler.abandon()
        self._swept = self._clock.monotonic()

    def _look(self, idler: Idler) -> None:
        now = self._clock.monotonic()
        if idler.state in PAUSED:
            idler.active_at = min(now, idler.active_at + now - self._swept)
            return
        idle_s = now - idler.active_at
        if idler.state is State.CLOSING:
            if idle_s >= GRACE_S:
                log.error("session %s does not end and is given up", idler.id)
                idler.abandon()
        elif idle_s >= self._ttl_s():
            log.info("session %s was idle for %.0f s", idler.id, idle_s)
            idler.close("idle_timeout")
            idler.active_at = now
