"""The handover: another backend answers from now on, and what was being done goes on with it."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from vonad.backend import Brief
from vonad.control import FallbackReason
from vonad.errors import VonadError
from vonad.session.answer import Answer
from vonad.session.chain import Chain
from vonad.session.detectors import Detectors
from vonad.session.fallback import Fallback
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger
from vonad.session.microphone import Microphone
from vonad.session.mouth import Mouth
from vonad.session.resumption import Resumption
from vonad.session.turn import Turn


class Handover:
    """From one of the chain to the next, by way of the fallback; or home, between two turns.

    brief:  what a dialogue is told.
    leases: what is borrowed to hear with is given back there.
    begin:  does what the session was opened for, now that a backend is there.
    close:  ends the session, with the reason and, if it has to be said, one of PHRASES.

    overtaken: told that there is a backend, for an open turn or none; whether a wake has taken the place of all that
               was to be done with it, by this trigger.
    go_on:     called when no turn is open after that; set by whoever can.
    """

    def __init__(
        self,
        floor: Floor,
        mouth: Mouth,
        microphone: Microphone,
        answer: Answer,
        *,
        brief: Callable[[], Brief],
        leases: AsyncExitStack,
        begin: Callable[[Trigger], None],
        close: Callable[[str, str], None],
    ) -> None:
        self.resumption = Resumption(floor, microphone, answer)
        self.detectors = Detectors(floor, microphone, leases)
        self.chain = Chain(
            floor,
            brief=brief,
            take=answer.take,
            lost=self._lost,
            ready=self.detectors.borrow,
            home=self._came_home,
        )
        self.fallback = Fallback(floor, self.chain, mouth, ready=self.detectors.ready, bound=self._bound, close=close)
        self.resumption.again = self.fallback.rest
        self.resumption.overtaken = lambda turn: self.overtaken(turn, Trigger.BOUND)
        self.overtaken: Callable[[Turn | None, Trigger], bool] = lambda turn, trigger: False
        self.go_on: Callable[[], None] = lambda: None
        self._floor = floor
        self._begin = begin

    def _lost(self, error: VonadError | None, reason: FallbackReason) -> None:
        self.fallback.lost(error, reason)

    def _came_home(self, left: str) -> None:
        """The better backend answers again: who shows the session as degraded is told at once."""
        self.detectors.fit()
        floor = self._floor
        floor.tell("fallback.over", {"from": left, "to": floor.backend, "degraded": floor.degraded})

    def _bound(self, turn: Turn | None, came_from: State) -> None:
        """Another backend answers from now on."""
        if self.overtaken(turn, Trigger.BOUND):
            return
        if turn is not None:
            self.resumption.begin(turn, came_from)
            return
        self.resumption.forget()
        if came_from is State.CONNECTING:
            self._begin(Trigger.BOUND)
        else:
            self._floor.machine.fire(Trigger.BOUND, State.IDLE)
        self.go_on()
