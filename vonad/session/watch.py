"""The watch: no state lasts for ever. A timer for each that waits for somebody, and what happens when it rings."""

from collections.abc import Callable

from vonad.errors import VonadError
from vonad.session.answer import Answer
from vonad.session.floor import Floor
from vonad.session.machine import State
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn


class Watch:
    """Told of each state.

    close:   ends the session, with the reason.
    give_up: ends a turn that not even an apology can end.
    """

    def __init__(
        self,
        floor: Floor,
        mouth: Mouth,
        answer: Answer,
        *,
        close: Callable[[str], None],
        give_up: Callable[[Turn], None],
    ) -> None:
        self._floor = floor
        self._mouth = mouth
        self._answer = answer
        self._close = close
        self._give_up = give_up

    def opened(self) -> None:
        """The session serves: from now on its whole time counts."""
        self._floor.after("max_duration", self._floor.means.limits.max_duration_s, lambda: self._close("max_duration"))

    def entered(self, state: State) -> None:
        """The session is in this state now."""
        floor, limits = self._floor, self._floor.means.limits
        if state is State.IDLE:
            floor.after("state", limits.idle_timeout_s, lambda: self._close("idle_timeout"))
        elif state in {State.PROCESSING, State.SPEAKING}:
            epoch = floor.machine.epoch
            floor.after("state", limits.processing_s, lambda: self._stuck(epoch))
        else:
            floor.drop_timer("state")

    def _stuck(self, epoch: int) -> None:
        """Nothing was heard for too long: apologise, and when even that cannot be heard, give the turn up."""
        floor = self._floor
        turn = floor.turn
        if turn is None or turn.number != epoch or self._mouth.sounded:
            return
        limit = floor.means.limits.processing_s
        if turn.outcome is None and turn.source != "say":
            message = f"backend {floor.plan.backends[0]} had no answer within {limit:g} s"
            floor.tell_error(VonadError("timeout", message, retryable=True), "backend")
            floor.after("state", limit, lambda: self._stuck(epoch))
            self._answer.apologise(turn, "failed")
        else:
            turn.failed = True
            turn.heard = self._mouth.silence()
            self._give_up(turn)
