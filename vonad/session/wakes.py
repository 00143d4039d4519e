"""Wakes in a session: whatever it is doing, its microphone opens, or a text is taken; at the latest once it can."""

from collections.abc import Callable

from vonad.plan import Wake
from vonad.session.course import Course
from vonad.session.floor import Floor
from vonad.session.interruption import ANSWERING
from vonad.session.machine import State, Trigger
from vonad.session.resumption import SPOKEN
from vonad.session.turn import Turn

OPENING = frozenset({State.CREATED, State.CONNECTING, State.FALLING_BACK})
"""States in which there is no backend: what a wake wants waits for one."""


class Wakes:
    """What one wants comes before all else that waits; of two that wait, the later one counts.

    opened_by: the one that the session opens for, if it does for one.
    """

    def __init__(self, floor: Floor, course: Course) -> None:
        self._floor = floor
        self._course = course
        self._next: tuple[Trigger, Callable[[Trigger], object]] | None = None
        self._follow_up: bool | None = None
        self.opened_by: Wake | None = None
        course.handover.overtaken = self._overtaken
        course.begun = self._begun

    @property
    def open(self) -> bool:
        """Whether the microphone is open, or about to be: what is said now is meant for us."""
        floor = self._floor
        if floor.state not in OPENING:
            return floor.state is State.LISTENING
        if self._next is not None:
            return self._next[0] is Trigger.LISTEN
        return self._course.resumption.wanted or (floor.machine.epoch == 0 and floor.plan.purpose == "listen")

    def admits(self, wake: Wake) -> bool:
        """Whether a wake leads to something here, now or when what goes on allows it."""
        later = ANSWERING | OPENING | {State.LISTENING, State.INTERRUPTED}
        trigger = Trigger.LISTEN if wake.text is None else Trigger.TEXT
        return self._floor.state in later or self._floor.machine.allows(trigger)

    def listen(self, wake: Wake | None) -> None:
        """Open the microphone; one that is open stays open. Raises invalid_state when the session is over."""
        course, floor = self._course, self._floor
        follow_up = wake.follow_up if wake is not None else None
        if self.open and self._next is None:
            if floor.turn is None:
                self._follow_up = self._follow_up if follow_up is None else follow_up
            elif follow_up is not None:
                floor.turn.follow_up = follow_up
            return

        def listen(trigger: Trigger) -> None:
            course.woken_at = asked_at(wake)
            course.listen(trigger, "voice", follow_up=follow_up)
            self._mark(wake)

        self._take(Trigger.LISTEN, listen)

    def preempt(self, text: str, wake: Wake | None) -> None:
        """Answer a text. Raises invalid_state when the session is over."""
        course, turn = self._course, self._floor.turn
        instead = self._floor.state is State.LISTENING and turn is not None

        def take(trigger: Trigger) -> None:
            course.take_text(trigger, text, instead=instead or course.resumption.replayed)
            self._mark(wake)

        if instead and turn is not None:
            self._make_way(turn)
            self._floor.machine.fire(Trigger.NOTHING_SAID, State.IDLE, reason="cancelled")
        self._take(Trigger.TEXT, take)

    def forget(self) -> bool:
        """Whether one waited; it does no more."""
        waited, self._next = self._next is not None, None
        return waited

    def _take(self, idle: Trigger, act: Callable[[Trigger], object]) -> None:
        if self._floor.state in OPENING:
            self._next = (idle, act)
        else:
            self._course.interruption.before("wake", act, idle=idle)

    def _overtaken(self, turn: Turn | None, trigger: Trigger) -> bool:
        """A backend is there, for this turn: whether what waited has taken its place, moving the session by this."""
        following, self._next = self._next, None
        if following is None:
            return False
        floor = self._floor
        if turn is None and floor.plan.purpose == "text" and floor.machine.epoch == 0:  # what the session opened for
            turn = floor.take("text")
            turn.transcript = floor.plan.text
            floor.started(turn)
        if turn is not None:
            self._make_way(turn)
        following[1](trigger)
        return True

    def _begun(self) -> None:
        """The turn that the session opened for: those who woke it again meanwhile may have had a wish for it."""
        self._mark(self.opened_by)
        if self._follow_up is not None and self._floor.turn is not None:
            self._floor.turn.follow_up = self._follow_up

    def _mark(self, wake: Wake | None) -> None:
        """The turn that has just begun is due to this one, which came before: its time counts from there."""
        floor, turn = self._floor, self._floor.turn
        if wake is not None and turn is not None:
            floor.mark(turn, "wake", min(wake.at, turn.started_at))

    def _make_way(self, turn: Turn) -> None:
        """Nothing is heard of this turn just now, and nothing will be."""
        course = self._course
        course.resumption.forget()
        course.microphone.close()
        course.draft.drop()
        if turn.source in SPOKEN and turn.endpoint is None:
            turn.endpoint = "cancelled"
        turn.heard = course.mouth.silence()
        self._floor.finish(turn, turn.outcome or "superseded")


def asked_at(wake: Wake | None) -> float | None:
    """Monotonic time at which somebody asked; what was said before a wake word is known not to be meant for us."""
    return wake.at if wake is not None and wake.explicit else None
