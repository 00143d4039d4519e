"""The floor: which turn has it, and what every part of a session shares to tell, time and do things in its name."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress

from vonad.backend import BackendCapabilities
from vonad.cancellation import calls_off
from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.events import Event
from vonad.plan import Budget, Plan, SessionView
from vonad.sentences import Sentences
from vonad.session.budget import TurnBudget
from vonad.session.contact import Contact
from vonad.session.exchanges import remember
from vonad.session.machine import Change, Machine, State
from vonad.session.means import Means
from vonad.session.metrics import Metrics
from vonad.session.timers import Timers
from vonad.session.turn import Outcome, Source, Turn
from vonad.transport import Line

log = logging.getLogger(__name__)

END_OF_TURN = "end of turn"
"""What the tasks are called that tell of it; nothing stops them."""

CONTEXT_TURNS = 20
"""Past exchanges an agent is told."""


class Floor:
    """Holds the machine, the open turn and the session's tasks.

    turn:      the open turn; None between turns. What belongs to any other is late.
    last:      the turn before, once it is over.
    exchanges: what was said and heard, oldest first.
    changed:   told of every transition.
    failed:    told when something that was spawned fails: the session's error boundary.
    backend:   the name of the one that answers now, with its `capabilities`.
    dialogue:  what it is talked to through; None while there is none.
    metrics:   counts of the session.
    sentences: what may be said in the next turn.
    exhausted: told when a turn has cost what it may.
    notes:     what is to be known in the next turn besides what was said.
    begun:     told when the dialogue has taken a turn up.
    after, drop_timer: the session's Timers.
    turn_over: told when a turn has ended.
    finished:  told which one that was.
    """

    def __init__(
        self,
        session_id: str,
        conversation_id: str,
        plan: Plan,
        line: Line | None,
        means: Means,
        *,
        changed: Callable[[Change], None],
        failed: Callable[[VonadError], None],
    ) -> None:
        self.session_id = session_id
        self.conversation_id = conversation_id
        self.plan = plan
        self.line = line
        self.means = means
        self.clock = means.clock
        self.machine = Machine(changed)
        self.group = asyncio.TaskGroup()
        self.backend = plan.backends[0]
        self.capabilities = BackendCapabilities()
        self.dialogue: Contact | None = None
        self.metrics = Metrics()
        self.sentences: Callable[[], Sentences] = means.sentences
        self.exhausted: Callable[[Turn, VonadError], None] = lambda turn, error: None
        self.notes: Callable[[], tuple[Exchange, ...]] = tuple
        self.begun: Callable[[Turn], Awaitable[None]] = _nothing
        self.turn_over: Callable[[], None] = lambda: None
        self.finished: Callable[[Turn], None] = lambda turn: None
        self.turn: Turn | None = None
        self.last: Turn | None = None
        self.exchanges: list[Exchange] = list(means.history)[-CONTEXT_TURNS:]
        self._failed = failed
        self._hurry: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._created = means.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._turn_tasks: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        timers = Timers(means.clock)
        self.after, self.drop_timer = timers.after, timers.drop

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self.machine.state

    @property
    def over(self) -> bool:
        """Whether the session takes no more turns."""
        return self.machine.state in {State.CLOSING, State.CLOSED}

    @property
    def degraded(self) -> bool:
        """Whether another backend answers than the one that was planned first."""
        return self.backend != self.plan.backends[0]

    @property
    def last_reply(self) -> str:
        """What was said last to the user; in a conversation that goes on, of what was said before."""
        if self.last is None:
            before = self.exchanges[-1] if self.exchanges else None
            return "" if before is None or before.summary else before.assistant
        if self.last.structure is not None and self.line is not None:
            return ""
        return self.last.reply

    def view(self, turn: Turn | None = None) -> SessionView:
        """A snapshot, of the open turn or the one given."""
        current = turn or self.turn or self.last
        return SessionView(
            session_id=self.session_id,
            conversation_id=self.conversation_id,
            satellite=self.plan.satellite,
            state=str(self.machine.state),
            turn=self.machine.epoch,
            backend=self.backend,
            created=self._created,
            degraded=self.degraded,
            tokens=self.metrics.tokens,
            last_transcript=current.said if current is not None else "",
            last_reply=self.last_reply,
            metadata=self.plan.metadata,
        )

    # Telling

    def tell(self, type_: str, data: Mapping[str, object], *, turn: int | None = None) -> None:
        """Publish an event of this session, by default of its open turn."""
        number = turn if turn is not None else self.turn.number if self.turn is not None else None
        event = Event(type_, data, self.plan.satellite, self.session_id, self.conversation_id, number)
        self.means.publish(event)

    def tell_state(self, previous: State, reason: str, *, turn: int | None = None) -> None:
        """Publish where the session stands."""
        now = str(self.machine.state)
        state = {"state": now, "previous": str(previous), "reason": reason, "degraded": self.degraded}
        self.tell("session.state", state, turn=turn)

    def fail(self, error: VonadError) -> None:
        """Something failed that no turn can answer for."""
        self._failed(error)

    def tell_error(self, error: VonadError, op: str) -> None:
        """Publish what failed."""
        if self.turn is not None and self.turn.structure is not None:
            self.turn.structure.error = error
        request = self.turn.request_id if self.turn is not None else None
        self.tell("error", {"code": error.code, "message": error.message, "op": error.op or op, "id": request})

    def mark(self, turn: Turn, stage: str, at: float | None = None) -> None:
        """Note and publish that a turn reached a stage, the first time it does. at: monotonic; now, by default."""
        if stage not in turn.stages:
            seconds = (self.clock.monotonic() if at is None else at) - turn.started_at
            ms = turn.stages[stage] = round(seconds * 1000, 1)
            self.tell("latency.mark", {"stage": stage, "ms": ms}, turn=turn.number)

    def spend(self, tokens: int) -> None:
        """A model took these for the open turn. Raises budget_exceeded."""
        if self.turn is not None and self.turn.budget is not None:
            self.turn.budget.tokens(tokens)

    # Doing

    def spawn(
        self, work: Coroutine[object, object, None], name: str, *, outlives_turn: bool = False
    ) -> asyncio.Task[None]:
        """Do something alongside; it is cancelled with its turn unless it outlives it."""
        task = self.group.create_task(self._guarded(work), name=f"session {self.session_id} {name}")
        tasks = self._tasks if outlives_turn else self._turn_tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before it began, it would never have been awaited
        return task

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except VonadError as error:
            self._failed(error)
        except (Exception, asyncio.CancelledError) as error:  # a defect ends this session and no other
            if calls_off(error):
                raise
            log.exception("session %s failed", self.session_id)
            message = f"session {self.session_id} failed: {type(error).__name__}: {error}"
            self._failed(VonadError("internal_error", message))

    def cancel_turn_tasks(self, *, but: str = "\n") -> None:
        """Stop what is being done for the turn, except the task that says so and those whose names begin with `but`."""
        kept = f"session {self.session_id} {but}"
        for task in tuple(self._turn_tasks):
            if task is not asyncio.current_task() and not task.get_name().startswith(kept):
                task.cancel()

    def cancel(self, name: str) -> None:
        """Stop what was spawned under a name and outlives turns."""
        for task in tuple(self._tasks):
            if task.get_name() == f"session {self.session_id} {name}":
                task.cancel()

    async def wind_up(self, within_s: float) -> None:
        """Let what still goes on come to its end; what has not by then is stopped, and turns are told as not stored."""
        tasks = self._tasks | self._turn_tasks
        if tasks:
            with suppress(TimeoutError):
                async with self.clock.deadline(within_s):
                    await asyncio.wait(tasks)
        self._hurry.set_result(None)
        for task in tasks:
            if not task.get_name().startswith(f"session {self.session_id} {END_OF_TURN}"):
                task.cancel()

    # Turns

    def take(self, source: Source, budget: Budget | None = None) -> Turn:
        """A new turn has the floor. budget: its own; None: the plan's."""
        number = self.machine.next_epoch()
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        now = self.clock.monotonic()
        turn = self.turn = Turn(f"{self.session_id}-{number}", number, source, now, ended, asked_at=now)
        turn.budget = TurnBudget(
            budget or self.plan.budget,
            self.clock,
            lambda spent: self.tell("budget.warning", spent, turn=number),
            lambda error: self.exhausted(turn, error),
        )
        return turn

    async def begin(self, turn: Turn) -> None:
        """Tell the dialogue that a turn opens; while there is none, whoever takes over is told."""
        if self.dialogue is not None:
            history = (*self.exchanges, *self.notes())
            await self.dialogue.begin(turn.number, sentences=self.sentences(), history=history)
            await self.begun(turn)

    def started(self, turn: Turn) -> None:
        """Record and publish that it began; after the transition that it began with."""
        self.means.journal.turn_started(
            turn.id,
            session_id=self.session_id,
            conversation_id=self.conversation_id,
            satellite=self.plan.satellite,
            number=turn.number,
            source=turn.source,
            transcript=turn.transcript,
        )
        self.tell("turn.started", {"turn_id": turn.id, "source": turn.source, "id": turn.request_id})

    def finish(self, turn: Turn, outcome: Outcome) -> None:
        """It is over. Its end is published once it is on disk."""
        self.turn = None
        self.last = turn
        turn.outcome = outcome
        if turn.budget is not None:
            turn.budget.end()
        turn.backend = turn.backend or self.backend
        turn.heard = " ".join(part for part in (turn.kept, turn.heard) if part)
        self.metrics.count(turn, outcome)
        if (turn.said or turn.heard) and not turn.resaid:
            self.exchanges = remember(self.exchanges, Exchange(turn.said, turn.heard), CONTEXT_TURNS)
        committed = self.means.journal.turn_ended(turn.id, turn.record(self.plan.backends[0]))
        self.turn_over()
        self.finished(turn)
        self.spawn(self._publish_end(turn, outcome, committed), f"{END_OF_TURN} {turn.number}", outlives_turn=True)

    async def _publish_end(self, turn: Turn, outcome: Outcome, committed: asyncio.Future[bool]) -> None:
        try:
            async with self.clock.deadline(self.means.limits.store_s):
                await asyncio.wait((committed, self._hurry), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            log.warning("turn %s: the history did not confirm it within %g s", turn.id, self.means.limits.store_s)
        stored = committed.done() and committed.result()
        self.tell("turn.ended", turn.told(self.plan.backends[0], stored=stored), turn=turn.number)
        if not turn.ended.done():
            turn.ended.set_result(outcome)


async def _nothing(turn: Turn) -> None:
    """Nobody wants to know."""


async def interrupt_dialogue(floor: Floor) -> None:
    """Have the dialogue drop what it is doing."""
    if floor.dialogue is not None:
        await floor.dialogue.interrupt()
