"""An interruption: takes the right to speak away, throws away what waits to be heard, and only then goes on."""

from collections.abc import Awaitable, Callable

from vonad.backend import SpeechStarted
from vonad.control import FallbackReason
from vonad.errors import VonadError
from vonad.session.clearing import clear, hush
from vonad.session.floor import Floor, interrupt_dialogue
from vonad.session.machine import State, Trigger
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn

ANSWERING = frozenset({State.PROCESSING, State.EXECUTING_SKILL, State.SPEAKING})
"""States in which there is something to interrupt."""


SHORTEST_S = 0.1
"""What a backend gets to be interrupted in, however long the satellite took."""


class Interruption:
    """One at a time; what is to follow can still change until the line is clear.

    past:  forgets what was captured just before now: on a line that hears itself that is our own voice.
    rest:  called when nothing is to follow.
    stuck: told when the backend could not be interrupted.
    review: shown each interruption, after the output has been cleared.
    """

    def __init__(
        self,
        floor: Floor,
        mouth: Mouth,
        *,
        past: Callable[[], object],
        rest: Callable[[], None],
        stuck: Callable[[FallbackReason, VonadError], bool],
        review: Callable[[SpeechStarted], Awaitable[None]],
    ) -> None:
        self._floor = floor
        self._mouth = mouth
        self._past = past
        self._rest = rest
        self._stuck = stuck
        self._review = review
        self._then: Callable[[], object] | None = None

    def before(self, source: str, act: Callable[[Trigger], object], *, idle: Trigger = Trigger.LISTEN) -> None:
        """Act with the trigger that fits: at once when there is nothing to interrupt, else when that is done."""
        if self._floor.state in ANSWERING:
            self.interrupt(source, lambda: act(Trigger.FLUSHED))
        elif self._floor.state is State.INTERRUPTED:
            self._then = lambda: act(Trigger.FLUSHED)
        else:
            act(idle)

    def interrupt(self, source: str, then: Callable[[], object] | None = None) -> None:
        """End the open turn now; what follows, by default nothing."""
        floor = self._floor
        turn = floor.turn
        if turn is None:
            return
        hush(floor)
        # before what it stops: the satellite falls silent first, and then whoever spoke on it is told
        floor.spawn(self._flush(turn, source, self._mouth.played_ms), "flush", outlives_turn=True)
        turn.heard = self._mouth.silence() or turn.heard
        if not turn.heard_out:  # else only its follow-up is cut short
            turn.outcome = "superseded" if source == "wake" or turn.resaid else "interrupted"
        turn.outcome = turn.ending("interrupted")
        self._then = then
        floor.metrics.interruptions += 1
        floor.machine.fire(Trigger.INTERRUPT, State.INTERRUPTED, reason=source)

    def nothing_follows(self) -> None:
        """Of an interruption that is under way."""
        self._then = None

    async def _flush(self, turn: Turn, source: str, played_ms: int) -> None:
        floor = self._floor
        epoch = turn.number
        ends = floor.clock.monotonic() + floor.means.limits.flush_s
        cleared = await clear(floor)
        if floor.line is not None and not floor.line.capabilities.full_duplex:
            self._past()
        if floor.turn is turn and turn.outcome is not None:
            floor.finish(turn, turn.outcome)
        if cleared:
            floor.tell("playback.cleared", {"played_ms": played_ms}, turn=epoch)
        floor.tell("interruption", {"source": source, "reason": source, "played_ms": played_ms}, turn=epoch)
        stuck = await self._silenced(max(SHORTEST_S, ends - floor.clock.monotonic()))
        if floor.machine.epoch == epoch and floor.state is State.INTERRUPTED:
            if self._then is not None:
                self._then()
            else:
                floor.machine.fire(Trigger.FLUSHED, State.IDLE)
                self._rest()
        if stuck is not None:
            self._stuck("interrupted", stuck)
        elif not floor.over:
            await self._review(SpeechStarted(epoch))

    async def _silenced(self, within_s: float) -> VonadError | None:
        """Have the dialogue drop what it is doing; why it did not."""
        floor = self._floor
        try:
            async with floor.clock.deadline(within_s):
                await interrupt_dialogue(floor)
        except TimeoutError:
            message = f"backend {floor.backend} did not let itself be interrupted in time"
            return VonadError("timeout", message, op=floor.backend)
        return None
