"""The fallback: another backend takes over in mid-conversation, and answers what is not answered yet."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from vonad.control import FallbackReason
from vonad.errors import VonadError
from vonad.history import FallbackRecord
from vonad.session.chain import Chain, gone
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A backend that is to be left when what is being said has been heard.

    wanted:   whether another may answer instead.
    finished: it has just ended the dialogue, and had answered.
    """

    reason: FallbackReason
    error: VonadError
    backend: str
    wanted: bool
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A backend that is left, and what was being done. others: who may answer instead; at: monotonic."""

    reason: FallbackReason
    backend: str
    others: list[str]
    turn: Turn | None
    came_from: State
    sounded: bool
    at: float


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
        self._waiting: Waiting | None = None
        self._loss: Loss | None = None
        self._count = 0

    def lost(self, error: VonadError | None, reason: FallbackReason) -> None:
        """The dialogue has ended, of itself where there is no error: that ends a session in which nothing is open."""
        floor = self._floor
        if floor.over:
            return
        finished = error is None and (floor.turn is None or self._mouth.said_all)
        if finished and floor.turn is None:
            self._close("backend_finished", "")
            return
        name = floor.backend
        error = error or VonadError("backend_unavailable", f"backend {name} ended the dialogue", op=name)
        self.begin(reason, error, finished=finished)

    def begin(self, reason: FallbackReason, error: VonadError, *, finished: bool = False) -> bool:
        """Have the next backend take over. False, and nothing happens, when policy or the plan know of no other.

        A backend that is lost is left in any case: without another the session ends, and because policy wants none of
        the others as `policy_ended`. A reply of which all is there is heard to its end before that.
        """
        floor = self._floor
        lost = floor.dialogue is None
        if floor.over or (floor.state is State.FALLING_BACK and (self._loss is not None or not lost)):
            return False
        others = self._chain.next(but=self._tried)
        wanted = bool(others) and floor.means.policy.should_fall_back(reason, floor.view)
        if not (wanted or lost):
            return False
        if not floor.machine.allows(Trigger.LOST) or self._needs_none(reason):
            self._waiting = Waiting(
                reason=reason, error=error, backend=floor.backend, wanted=wanted, finished=finished and lost
            )
            return True
        floor.tell_error(error, "backend")
        if reason in ITS_FAULT and floor.state is not State.CONNECTING and floor.backend not in self._chain.unloaded:
            floor.means.backends.failed(floor.backend, error.message)
        self._loss = Loss(
            reason=reason,
            backend=floor.backend,
            others=others,
            turn=floor.turn,
            came_from=floor.state,
            sounded=self._mouth.sounded,
            at=floor.clock.monotonic(),
        )
        if others and not wanted:
            self._audit("refused")
            self._end("policy_ended", floor.state)
        else:
            self._change(self._loss)
        return True

    def over(self) -> None:
        """The session ends: a change that is under way comes to nothing."""
        self._audit("cancelled")

    def _audit(self, outcome: str) -> None:
        """Its one row. Nobody waits for it."""
        loss, self._loss = self._loss, None
        if loss is None:
            return
        floor = self._floor
        self._count += 1
        record = FallbackRecord(
            reason=loss.reason,
            from_backend=loss.backend,
            to_backend=floor.backend if outcome == "completed" else None,
            outcome=outcome,
            duration_ms=round((floor.clock.monotonic() - loss.at) * 1000, 1),
        )
        key = f"{floor.session_id}-fallback-{self._count}"
        floor.means.journal.fallback(key, floor.session_id, loss.turn.id if loss.turn is not None else None, record)

    def unloaded(self, name: str) -> None:
        """A reload takes this backend out of the house: if it answers here, another does from now on."""
        if self._chain.unload(name):
            self.begin("backend_unavailable", gone(name))

    def reason(self, backend: str, error: VonadError) -> str:
        """Why a session ends that has only this backend, which failed with this."""
        return "plugin_unloaded" if backend in self._chain.unloaded else f"error({error.code})"

    @property
    def due(self) -> bool:
        """Whether the session ends when what is being said has been heard: its backend is lost, and no other wanted."""
        return self._waiting is not None and not self._waiting.wanted

    def _needs_none(self, reason: FallbackReason) -> bool:
        """Whether what is being said needs no backend: an announcement, an apology, a reply of which all is there."""
        turn = self._floor.turn
        if turn is None or turn.source == "say" or turn.heard_out:
            return turn is not None
        lost = self._floor.dialogue is None and reason != "silence"
        return lost and (self._mouth.said_all or turn.outcome is not None)

    @property
    def _tried(self) -> frozenset[str]:
        """Those that are of no use: the present one, and those that have failed at the open turn before."""
        turn = self._floor.turn
        return frozenset({self._floor.backend}) | (turn.tried if turn is not None else frozenset())

    def rest(self) -> bool:
        """Nothing else is being done: change over now, if that had to wait. Whether it had."""
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.backend != self._floor.backend:
            return False
        if waiting.finished and self._floor.turn is None:
            self._close("backend_finished", "")
            return True
        return self.begin(waiting.reason, waiting.error)

    def _change(self, loss: Loss) -> None:
        floor, turn = self._floor, loss.turn
        if turn is not None:
            turn.tried = self._tried
        if turn is not None and loss.came_from is not State.LISTENING:
            self._take_back(turn)
        self._chain.leave()
        self._waiting = None
        floor.metrics.fallbacks += 1
        floor.machine.fire(Trigger.LOST, State.FALLING_BACK, reason=loss.reason)
        to = loss.others[0] if loss.others else None
        floor.tell("fallback.started", {"reason": loss.reason, "from": loss.backend, "to": to})
        floor.spawn(self._find(loss), "fallback", outlives_turn=True)

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

    async def _find(self, loss: Loss) -> None:
        floor, turn = self._floor, loss.turn
        try:
            if not loss.others:
                raise VonadError("backend_unavailable", f"no other backend than {loss.backend} is left", op="fallback")
            if loss.sounded and floor.line is not None:
                async with floor.clock.deadline(floor.means.limits.flush_s):
                    await floor.line.clear()
        except TimeoutError:
            floor.tell_error(VonadError("transport_send_failed", "the reply was not cleared in time"), "clear")
        except VonadError as error:
            if not loss.others:
                self._exhausted(loss, error)
                return
            floor.tell_error(error, "clear")
        try:
            await self._open(turn.tried if turn is not None else frozenset({loss.backend}))
        except VonadError as error:
            self._exhausted(loss, error)
            return
        if floor.over:
            return
        self._audit("completed")
        floor.tell("fallback.completed", {"from": loss.backend, "to": floor.backend})
        self._bound(turn if floor.turn is turn else None, loss.came_from)

    async def _open(self, tried: frozenset[str]) -> None:
        """Have the first that will answer; one that is lost again before it has begun is passed over."""
        floor = self._floor
        ends = floor.clock.monotonic() + floor.means.limits.falling_back_s
        while True:
            await self._chain.open(max(0.0, ends - floor.clock.monotonic()), but=tried)
            await self._ready()
            if floor.dialogue is not None or floor.over:
                return
            floor.means.backends.failed(floor.backend)
            self._chain.leave()
            tried |= {floor.backend}

    def give_up(self) -> None:
        """It takes too long."""
        if self._loss is not None:
            message = f"no backend was ready in time after {self._loss.backend} was lost"
            self._exhausted(self._loss, VonadError("timeout", message, op="fallback"))
        else:
            self._close("error(backend_unavailable)", "unavailable")

    def _exhausted(self, loss: Loss, error: VonadError) -> None:
        floor = self._floor
        if floor.over:
            return
        self._audit("failed")
        floor.tell("fallback.failed", {"from": loss.backend, "reason": error.message})
        floor.tell_error(error, "fallback")
        if loss.backend in self._chain.unloaded:
            self._end("plugin_unloaded", loss.came_from)
            return
        if floor.turn is not None:
            floor.turn.failed = True
        self._close("error(backend_unavailable)", "unavailable")

    def _end(self, reason: str, came_from: State) -> None:
        """Nothing is broken, but nobody may answer: whoever waits for an answer is told, a quiet room is not."""
        turn = self._floor.turn
        if turn is not None:
            turn.failed = True
        self._close(reason, "unavailable" if turn is not None or came_from is State.CONNECTING else "")
