"""Wake words: has one ear wait for them, and for the stop word, as long as its satellite is connected."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from vonad.backoff import Backoff
from vonad.clock import Clock, Timer
from vonad.ear import Ear
from vonad.engine import WakeWordDetector
from vonad.errors import VonadError
from vonad.parts import Parts
from vonad.plans import own_settings
from vonad.settings import Settings

log = logging.getLogger(__name__)

STOP_WORD = "stop"
"""What a wake word engine that knows it listens for while a session answers; vonad brings no model of it."""

PASSING = frozenset({"overload", "circuit_open"})
"""Why an engine lends no stream just now; any other reason lasts until the settings change."""


class WakeWords:
    """Borrows the engine; while there is none, or it does not work, the satellite goes on without.

    settings: those that hold now.
    health:   told (engine, why) when a defect of the engine's deafens the satellite; no why: that is over.
    """

    def __init__(
        self,
        satellite: str,
        ear: Ear,
        parts: Parts,
        settings: Callable[[], Settings],
        *,
        clock: Clock,
        health: Callable[[str, str], None],
    ) -> None:
        self._satellite = satellite
        self._ear = ear
        self._parts = parts
        self._settings = settings
        self._clock = clock
        self._health = health
        self._backoff = Backoff()
        self._again = asyncio.Event()
        self._due: Timer | None = None
        self._engine = ""
        self._complaint = ""
        self._ill = False
        ear.broken = self._broken

    @property
    def complaint(self) -> str:
        """Why the satellite hears no wake word, though it should; else empty."""
        return self._complaint

    def renew(self) -> None:
        """The settings have changed, or the engine has been opened again."""
        self._backoff.reset()
        self._again.set()

    async def run(self) -> None:
        """Until it is cancelled; the spawn boundary of what is asked of the engine."""
        try:
            while True:
                self._again.clear()
                try:
                    await self._wait()
                except Exception as error:  # a defect of the engine's, which concerns nobody else
                    self._broken(error)
                self._ear.fit(None, None)
                await self._again.wait()
        finally:
            self._ear.fit(None, None)
            if self._due is not None:
                self._due.cancel()

    async def _wait(self) -> None:
        """With one loan."""
        settings = self._settings()
        self._engine = settings.wake.engine
        own = own_settings(settings, self._satellite).wake_words
        wanted = settings.wake.words if own is None else own
        try:
            async with self._parts.lease(WakeWordDetector, "wake", self._engine) as detector:
                if self._fit(detector, wanted):
                    await self._again.wait()
        except VonadError as error:
            if wanted:
                self._complain(error.message)
            else:
                self._complaint = ""
            if error.code in PASSING:
                self._later()

    def _fit(self, detector: WakeWordDetector, wanted: Sequence[str]) -> bool:
        """Whether there is anything to wait for. What it raises says nothing against the engine: others may use it."""
        try:
            stop = detector.stream([STOP_WORD]) if STOP_WORD in detector.words() else None
            wake = detector.stream(wanted) if wanted else None
        except VonadError as error:  # it does not know such a word
            self._complain(error.message)
            return False
        except Exception as error:  # a defect
            self._broken(error)
            return False
        self._ear.fit(wake, stop)
        self._complaint = ""
        if self._ill:
            self._ill = False
            self._health(self._engine, "")
        return wake is not None or stop is not None

    def _broken(self, error: Exception) -> None:
        """Another stream is asked for, later."""
        log.debug("satellite %s: its wake word engine failed", self._satellite, exc_info=error)
        why = f"{type(error).__name__}: {error}"
        self._complain(why)
        self._ill = True
        self._health(self._engine, why)
        self._later()

    def _complain(self, why: str) -> None:
        """Once."""
        if why != self._complaint:
            log.warning("satellite %s hears no wake word: %s", self._satellite, why)
        self._complaint = why

    def _later(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self._clock.call_later(self._backoff.next(), self._again.set)
