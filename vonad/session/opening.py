"""The opening: the first backend of the plan, and what the session hears with, in time; else another one, or none."""

from collections.abc import Callable

from vonad.errors import VonadError
from vonad.session.floor import Floor
from vonad.session.handover import Handover
from vonad.session.machine import State, Trigger


class Opening:
    """begin: does what the session was opened for; close: ends it, with the reason, saying one of PHRASES."""

    def __init__(
        self,
        floor: Floor,
        handover: Handover,
        *,
        begin: Callable[[Trigger], None],
        close: Callable[[str, str], None],
    ) -> None:
        self._floor = floor
        self._handover = handover
        self._begin = begin
        self._close = close

    async def run(self) -> None:
        """Connect, and begin."""
        floor, handover = self._floor, self._handover
        within_s = floor.means.limits.connecting_s
        ends = floor.clock.monotonic() + within_s
        try:
            await handover.chain.open(within_s, most=1)
            async with floor.clock.deadline(max(0.0, ends - floor.clock.monotonic())):
                await handover.detectors.ready()
        except (VonadError, TimeoutError) as failure:
            if floor.state is State.CONNECTING:
                self._failed(failure if isinstance(failure, VonadError) else _deaf(within_s))
        else:
            if floor.state is State.CONNECTING:  # it may have been lost again already
                self._begin(Trigger.READY)

    def _failed(self, error: VonadError) -> None:
        floor, fallback = self._floor, self._handover.fallback
        others = self._handover.chain.next(but=frozenset({floor.backend}))
        if not (others and fallback.begin("backend_unavailable", error)) and not floor.over:
            floor.tell_error(error, "session")
            self._close(fallback.reason(floor.backend, error), "unavailable")


def _deaf(within_s: float) -> VonadError:
    message = f"what tells speech from noise was not to be had within {within_s:g} s"
    return VonadError("timeout", message, op="vad", retryable=True)
