"""Detectors: what a session borrows to find the end of the user's words, where the backend does not find it."""

import logging
from contextlib import AsyncExitStack

from vonad.engine import VoiceActivityDetector
from vonad.errors import VonadError
from vonad.session.floor import Floor
from vonad.session.microphone import Microphone

log = logging.getLogger(__name__)


class Detectors:
    """Kept until the `leases` are given back, at the end of the session."""

    def __init__(self, floor: Floor, leases: AsyncExitStack) -> None:
        self._floor = floor
        self._leases = leases
        self._voice: VoiceActivityDetector | None = None

    async def ready(self, microphone: Microphone) -> None:
        """Have this microphone hear as the backend that answers now needs it. Raises what the engine cannot do."""
        floor = self._floor
        if floor.line is None or floor.capabilities.turn_detection:
            microphone.detector = None
            return
        if self._voice is None:
            self._voice = await self._leases.enter_async_context(floor.means.detector())
        microphone.detector = self._voice
        if microphone.judge is None and floor.means.judge is not None:
            try:
                microphone.judge = await self._leases.enter_async_context(floor.means.judge())
            except VonadError as error:
                log.warning("session %s ends turns by silence alone: %s", floor.session_id, error.message)
