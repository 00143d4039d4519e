"""An interruption: takes the right to speak away, throws away what waits to be heard, and only then goes on."""

from collections.abc import Callable

from vonad.errors import VonadError
from vonad.session.answer import interrupt_dialogue
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger
from vonad.session.mouth import Mouth

ANSWERING = frozenset({State.PROCESSING, State.EXECUTING_SKILL, State.SPEAKING})
"""States in which there is something to interrupt."""


class Interruption:
    """One at a time; what is to follow can still change until the line is clear.

    past: forgets what was captured just before now: on a line that hears itself that is our own voice.
    rest: called when nothing is to follow.
    """

    def __init__(self, floor: Floor, mouth: Mouth, *, past: Callable[[], object], rest: Callable[[], None]) -> None:
        self._floor = floor
        self._mouth = mouth
        self._past = past
        self._rest = rest
        self._then: Callable[[], object] | None = None

    def before(self, source: str, act: Callable[[Trigger], object], *, idle: Trigger) -> None:
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
        played_ms = self._mouth.played_ms
        turn.heard = self._mouth.silence()
        self._then = then
        floor.machine.fire(Trigger.INTERRUPT, State.INTERRUPTED, reason=source)
        floor.spawn(self._flush(source, played_ms), "flush", outlives_turn=True)
        floor.finish(turn, "superseded" if source == "wake" else "interrupted")

    def nothing_follows(self) -> None:
        """Of an interruption that is under way."""
        self._then = None

    async def _flush(self, source: str, played_ms: int) -> None:
        floor = self._floor
        epoch = floor.machine.epoch
        try:
            async with floor.clock.deadline(floor.means.limits.flush_s):
                if floor.line is not None:
                    await floor.line.clear()
                    if not floor.line.capabilities.full_duplex:
                        self._past()
                await interrupt_dialogue(floor)
        except (TimeoutError, VonadError) as error:
            floor.tell_error(VonadError("transport_send_failed", f"the reply was not cleared: {error}"), "clear")
        floor.tell("playback.cleared", {"played_ms": played_ms}, turn=epoch)
        floor.tell("interruption", {"source": source, "reason": source, "played_ms": played_ms}, turn=epoch)
        if floor.machine.epoch != epoch or floor.state is not State.INTERRUPTED:
            return
        if self._then is not None:
            self._then()
        else:
            floor.machine.fire(Trigger.FLUSHED, State.IDLE)
            self._rest()
