"""Compaction: a long conversation is summed up, but for what was said last; nobody waits for it."""

import asyncio

from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.history.exchanges import KEPT
from vonad.session.exchanges import tokens
from vonad.session.floor import Floor

SUMMARISE_S = 60.0
"""What a backend gets to sum up: a small model on a small machine, which reads a lot."""


class Compaction:
    """One at a time, alongside the turns, and never on the first of them."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._running = False
        self._rest_until = 0
        floor.turn_over = self.turn_over

    def turn_over(self) -> None:
        """A turn has ended: sum up what came before the last ones, when that has grown too long."""
        floor = self._floor
        limit = floor.means.limits.compaction_tokens
        epoch = floor.machine.epoch
        if not limit or not floor.capabilities.summarises or floor.over or epoch <= max(1, self._rest_until):
            return
        if not self._running and self._older() and tokens(floor.exchanges) > limit:
            self._running = True
            floor.spawn(self._unasked(), "compaction", outlives_turn=True)

    async def now(self) -> tuple[int, int]:
        """Sum up at once; about how many tokens there were before, and are now.

        Raises compaction_disabled when no summary is wanted or the backend makes none, session_busy while one is made,
        and what the backend raises.
        """
        floor = self._floor
        if not floor.capabilities.summarises or not floor.means.limits.compaction_tokens:
            why = (
                "session.compaction_tokens is 0"
                if floor.capabilities.summarises
                else f"backend {floor.backend} cannot sum up a conversation"
            )
            raise VonadError("compaction_disabled", why, op="compact")
        if self._running:
            raise VonadError("session_busy", f"session {floor.session_id} is being summed up already", op="compact")
        if not self._older():
            return tokens(floor.exchanges), tokens(floor.exchanges)
        self._running = True
        return await self._compact()

    def _older(self) -> list[Exchange]:
        """What would be summed up: more than just the last summary."""
        older = self._floor.exchanges[:-KEPT]
        return older if any(not exchange.summary for exchange in older) else []

    async def _unasked(self) -> None:
        try:
            await self._compact()
        except VonadError:
            self._rest_until = self._floor.machine.epoch + KEPT  # told; not again at once

    async def _compact(self) -> tuple[int, int]:
        floor = self._floor
        before = tokens(floor.exchanges)
        floor.tell("compaction.started", {"before": before})
        try:
            after = await self._sum_up()
        except (VonadError, asyncio.CancelledError) as error:
            reason = error.message if isinstance(error, VonadError) else "the session ended"
            floor.tell("compaction.failed", {"reason": reason})
            raise
        finally:
            self._running = False
        floor.tell("compaction.completed", {"before": before, "after": after})
        return before, after

    async def _sum_up(self) -> int:
        """Turns may end meanwhile: what they add stays."""
        floor, name = self._floor, self._floor.backend
        older, last = self._older(), floor.last
        backend = floor.means.backends.get(name)
        try:
            async with floor.clock.deadline(SUMMARISE_S):
                summary = (await backend.summarise(older, language=floor.plan.language)).strip()
        except TimeoutError:
            message = f"backend {name} did not sum up within {SUMMARISE_S:g} s"
            raise VonadError("timeout", message, op=name, retryable=True) from None
        except VonadError:
            raise
        except Exception as error:  # a defect of the backend's: the conversation goes on as it is
            message = f"backend {name} failed to sum up: {type(error).__name__}: {error}"
            raise VonadError("backend_step_failed", message, op=name) from error
        if not any(_among(exchange, older) for exchange in floor.exchanges):
            raise VonadError("cancelled", "what was to be summed up has been forgotten meanwhile", op="compact")
        told = Exchange("", summary, summary=True)
        if not summary or tokens([told]) >= tokens(older):
            why = "nothing" if not summary else "more than it was to sum up"
            raise VonadError("backend_step_failed", f"backend {name} made {why} of the conversation", op=name)
        floor.exchanges = [told, *(exchange for exchange in floor.exchanges if not _among(exchange, older))]
        if last is not None:
            floor.means.journal.summed_up(floor.conversation_id, summary, up_to=last.id)
        return tokens(floor.exchanges)


def _among(exchange: Exchange, others: list[Exchange]) -> bool:
    """The very same one: somebody may say the same again."""
    return any(exchange is other for other in others)
