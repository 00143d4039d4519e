"""Injection: what comes in from outside is made known to whoever answers, now or with the next turn."""

import json
from collections import deque
from collections.abc import Callable, Iterable

from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.plan import ContextEvent, InjectMode
from vonad.session.announcement import Announcement, new_announcement
from vonad.session.contact import Contact
from vonad.session.floor import Floor
from vonad.session.interruption import ANSWERING
from vonad.session.machine import State
from vonad.session.turn import Turn

WAITING = 16
"""Events that wait for the next turn: more no model would make sense of."""

KNOWN = 16
"""Events that another backend is told of when it takes over, the latest ones."""

INJECT_S = 1.0
"""What a backend gets to take one: it only has to keep it."""

LONGEST = 500
"""Characters of an event that a backend without context_injection is told of, among what was said."""

REACHABLE = frozenset({State.IDLE, State.AWAY, State.LISTENING, *ANSWERING})


class Injection:
    """Everything a session was told from outside.

    say: says an announcement when nobody speaks; one that interrupts takes the place of the reply.
    """

    def __init__(self, floor: Floor, *, say: Callable[[Announcement], None]) -> None:
        self._floor = floor
        self._say = say
        self._waiting: deque[ContextEvent] = deque()
        self._known: deque[ContextEvent] = deque(maxlen=KNOWN)
        self._due: tuple[ContextEvent, ...] = ()
        self._turn: Turn | None = None
        self._told: Contact | None = None
        floor.notes = self.notes
        floor.begun = self.begun

    async def inject(self, event: ContextEvent, mode: InjectMode) -> str:
        """What happened: queued (for the next turn, and to be said before it), said (just now, and known with the next
        turn), steered (into the dialogue) or interrupted.

        Raises malformed (interrupt, without anything to say), capability_unsupported (steer, likewise), overload (too
        much waits already), backend_inject_failed.
        """
        if mode == "steer":
            happened = await self._steer(event)
        elif mode == "interrupt":
            happened = self._take_over(event)
        else:
            happened = self._queue(event, aloud=self._floor.line is not None)  # of text alone nobody hears it
        self._floor.tell("context.injected", {"source": event.source, "mode": mode, "applied": happened})
        return happened

    def notes(self) -> tuple[Exchange, ...]:
        """What waits, as part of what was said: for a backend that takes no context."""
        if self._floor.capabilities.context_injection:
            return ()
        return tuple(Exchange(_noted(event), "") for event in self._of(self._floor.turn))

    def _of(self, turn: Turn | None) -> tuple[ContextEvent, ...]:
        """What this turn is to know: another backend that takes it over is told it once more."""
        before = self._due if turn is self._turn else ()
        self._turn, self._due = turn, (*before, *self._waiting)
        self._waiting.clear()
        return self._due

    async def begun(self, turn: Turn) -> None:
        """The dialogue has taken a turn up: hand over what waits for it, and all that is known to one that is new."""
        dialogue = self._floor.dialogue
        if dialogue is None or not self._floor.capabilities.context_injection:
            return
        told = len(self._due) if dialogue is self._told and turn is self._turn else 0
        due = self._of(turn)[told:]
        known = [] if dialogue is self._told else [event for event in self._known if not _among(event, due)]
        self._told = dialogue
        for event in (*known, *due):
            try:
                await self._hand_over(dialogue, event)
            except VonadError as error:  # the turn goes on without it
                self._floor.tell_error(error, "inject")
        self._known.extend(event for event in due if not _among(event, self._known))

    def _queue(self, event: ContextEvent, *, aloud: bool = True, interrupt: bool = False) -> str:
        """For the next turn; what it brings to say is said as soon as nobody speaks: whoever rings stands at the door
        now.
        """
        if len(self._waiting) >= WAITING:
            message = f"session {self._floor.session_id} has {WAITING} events waiting for its next turn already"
            raise VonadError("overload", message, op="inject", retryable=True)
        happened = self._announce(event, interrupt=interrupt) if aloud else "queued"
        self._waiting.append(event)
        return happened

    def _announce(self, event: ContextEvent, *, interrupt: bool = False) -> str:
        """Whether what it brings to say is being said already, or will be. Raises overload."""
        if not event.spoken_summary:
            return "queued"
        announcement = new_announcement(event.spoken_summary, interrupt=interrupt)
        self._say(announcement)
        turn = self._floor.turn
        return "said" if turn is not None and turn.request_id == announcement.id else "queued"

    async def _steer(self, event: ContextEvent) -> str:
        floor = self._floor
        if not floor.capabilities.context_injection:
            if event.spoken_summary:  # the most that can be done: said right after the turn that runs
                return self._queue(event)
            message = f"backend {floor.backend} takes no context into a turn: use queue, or bring a spoken_summary"
            raise VonadError("capability_unsupported", message, op="inject")
        dialogue = floor.dialogue
        if dialogue is None or floor.state not in REACHABLE:
            return self._queue(event)
        await self._hand_over(dialogue, event)
        self._known.append(event)
        self._told = dialogue
        if floor.state in {State.IDLE, State.AWAY} and event.spoken_summary:
            return self._announce(event)
        return "steered"

    def _take_over(self, event: ContextEvent) -> str:
        if not event.spoken_summary:  # the reply would end in silence
            message = "mode interrupt needs a spoken_summary, which takes the reply's place; else use queue or steer"
            raise VonadError("malformed", message, op="inject")
        running = self._floor.state in ANSWERING
        happened = self._queue(event, interrupt=True)
        return "interrupted" if running else happened

    async def _hand_over(self, dialogue: Contact, event: ContextEvent) -> None:
        name = self._floor.backend
        try:
            async with self._floor.clock.deadline(INJECT_S):
                await dialogue.inject(event)
        except TimeoutError:
            message = f"backend {name} did not take what {event.source} says within {INJECT_S:g} s"
            raise VonadError("backend_inject_failed", message, op=name, retryable=True) from None


def _among(event: ContextEvent, others: Iterable[ContextEvent]) -> bool:
    """The very same one: the doorbell may ring twice."""
    return any(event is other for other in others)


def _noted(event: ContextEvent) -> str:
    said = event.spoken_summary or json.dumps(dict(event.payload), default=str)
    return f"({event.source} says: {said:.{LONGEST}})"
