"""The fallback: another backend takes over in mid-conversation, and answers what is not answered yet."""

from collections.abc import Awaitable, Callable

from vonad.control import FallbackReason
from vonad.errors import VonadError
from vonad.session.chain import Chain
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn

RUNNING = "skill"
"""What the tasks of running skills are called: an action is never stopped half-way because its backend was lost."""


ITS_FAULT = frozenset({"backend_unavailable", "silence", "interrupted"})
"""Reasons that are the backend's own: it is left alone by every session."""

NOTHING = "\n"
"""What no task is called."""


class Fallback:
    """Moves the session along its chain.

    ready: borrows what the session needs to hear for the backend that answers now.
    bound: goes on, after the change: with the turn, from before it began to answer, or without one.
    close: ends the session, with the reason, saying one of PHRASES.
    """

    def __init__(
        self,
        floor: Floor,
        chain: Chain,
        mouth: Mouth,
        *,
        ready: Callable[[], Awaitable[None]],
        bound: Callable[[Turn | None, State], None],
        close: Callable[[str, str], None],
    ) -> None:
        self._floor = floor
        self._chain = chain
        self._mouth = mouth
        self._ready = ready
        self._bound = bound
        self._close = close
        self._waiting: tuple[FallbackReason, VonadError] | None = None

    def begin(self, reason: FallbackReason, error: VonadError) -> bool:
        """Have the next backend take over. False, and nothing happens, when policy or the plan know of no other.

        A backend that is lost is left in any case: without another the session ends.
        """
        floor = self._floor
        if floor.over or floor.state is State.FALLING_BACK:
            return False
        lost = floor.dialogue is None
        others = self._chain.next(but=self._tried)
        wanted = bool(others) and floor.means.policy.should_fall_back(reason, floor.view)
        if not (wanted or lost):
            return False
        if not floor.machine.allows(Trigger.LOST) or (floor.turn is not None and floor.turn.source == "say"):
            self._waiting = (reason, error)  # what is being silenced or announced needs no backend
            return True
        floor.tell_error(error, "backend")
        if reason in ITS_FAULT and floor.state is not State.CONNECTING:
            floor.means.backends.failed(floor.backend)
        self._change(reason, others if wanted else [])
        return True

    @property
    def _tried(self) -> frozenset[str]:
        """Those that are of no use: the present one, and those that have failed at the open turn before."""
        turn = self._floor.turn
        return frozenset({self._floor.backend}) | (turn.tried if turn is not None else frozenset())

    def rest(self) -> bool:
        """Nothing else is being done: change over now, if that had to wait. Whether it had."""
        if self._waiting is None:
            return False
        (reason, error), self._waiting = self._waiting, None
        return self.begin(reason, error)

    def _change(self, reason: FallbackReason, others: list[str]) -> None:
        floor = self._floor
        before, came_from = floor.backend, floor.state
        turn = floor.turn
        sounded = self._mouth.sounded
        if turn is not None:
            turn.tried = self._tried
        if turn is not None and came_from is not State.LISTENING:
            self._take_back(turn)
        self._chain.leave()
        floor.metrics.fallbacks += 1
        floor.machine.fire(Trigger.LOST, State.FALLING_BACK, reason=reason)
        floor.tell("fallback.started", {"reason": reason, "from": before, "to": others[0] if others else None})
        floor.spawn(self._find(turn, came_from, before, others, sounded=sounded), "fallback", outlives_turn=True)

    def _take_back(self, turn: Turn) -> None:
        """As if the turn had not been answered, but for what was heard and what was done: an action goes on."""
        said = turn.reply
        heard = self._mouth.silence(but=RUNNING if turn.acted else NOTHING)
        turn.kept = " ".join(part for part in (turn.kept, heard) if part)
        turn.generated = [turn.kept] if turn.kept else []
        turn.orphaned = turn.acted
        if not turn.acted:
            turn.running_skills = 0
        elif not heard:
            turn.unsaid = turn.unsaid or said

    async def _find(
        self, turn: Turn | None, came_from: State, before: str, others: list[str], *, sounded: bool
    ) -> None:
        floor = self._floor
        try:
            if not others:
                raise VonadError("backend_unavailable", f"no other backend than {before} is left", op="fallback")
            if sounded and floor.line is not None:
                async with floor.clock.deadline(floor.means.limits.flush_s):
                    await floor.line.clear()
        except TimeoutError:
            floor.tell_error(VonadError("transport_send_failed", "the reply was not cleared in time"), "clear")
        except VonadError as error:
            if not others:
                self._exhausted(before, error)
                return
            floor.tell_error(error, "clear")
        try:
            tried = turn.tried if turn is not None else frozenset({before})
            await self._chain.open(floor.means.limits.falling_back_s, but=tried)
            await self._ready()
        except VonadError as error:
            self._exhausted(before, error)
            return
        if floor.over:
            return
        floor.tell("fallback.completed", {"from": before, "to": floor.backend})
        self._bound(turn if floor.turn is turn else None, came_from)

    def _exhausted(self, before: str, error: VonadError) -> None:
        floor = self._floor
        if floor.over:
            return
        floor.tell("fallback.failed", {"from": before, "reason": error.message})
        floor.tell_error(error, "fallback")
        if floor.turn is not None:
            floor.turn.failed = True
        self._close("error(backend_unavailable)", "unavailable")
