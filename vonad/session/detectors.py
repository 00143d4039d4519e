"""Detectors: what a session borrows to find the end of the user's words, where the backend does not find it."""

import logging
from contextlib import AsyncExitStack

from vonad.backend import BackendCapabilities
from vonad.engine import TurnDetector, VoiceActivityDetector
from vonad.errors import VonadError
from vonad.session.floor import Floor
from vonad.session.microphone import Microphone

log = logging.getLogger(__name__)


class Detectors:
    """What this microphone hears with. Kept until the `leases` are given back, at the end of the session."""

    def __init__(self, floor: Floor, microphone: Microphone, leases: AsyncExitStack) -> None:
        self._floor = floor
        self._microphone = microphone
        self._leases = leases
        self._voice: VoiceActivityDetector | None = None
        self._judge: TurnDetector | None = None

    async def ready(self) -> None:
        """Hear as the backend that answers now needs it. Raises what the engine cannot do."""
        await self.borrow(self._floor.capabilities)
        self.fit()

    async def borrow(self, capabilities: BackendCapabilities) -> None:
        """Have at hand what a backend that can do this needs. Raises what the engine cannot do."""
        floor = self._floor
        if floor.line is None or capabilities.turn_detection:
            return
        if self._voice is None:
            self._voice = await self._leases.enter_async_context(floor.means.detector())
        if self._judge is None and floor.means.judge is not None:
            try:
                self._judge = self._microphone.judge = await self._leases.enter_async_context(floor.means.judge())
            except VonadError as error:
                log.warning("session %s ends turns by silence alone: %s", floor.session_id, error.message)

    def fit(self) -> None:
        """From the next turn on, hear as the backend that answers now needs it, with what was borrowed."""
        self._microphone.detector = None if self._floor.capabilities.turn_detection else self._voice
