"""Admission: who may take the next turn of a session, who waits for it, and an interrupt that comes before the turn."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Literal

from vonad.errors import VonadError
from vonad.events import Event
from vonad.output import OutputSchema
from vonad.plan import Budget
from vonad.session.machine import State, Trigger
from vonad.session.session import Session
from vonad.session.structured import unsupported
from vonad.session.turn import Outcome, Structure, Turn
from vonad.session.watch import RESTING

OnBusy = Literal["refuse", "queue"]
"""What becomes of a turn that is asked for while another runs."""

RUNNING = frozenset({State.LISTENING, State.PROCESSING, State.EXECUTING_SKILL, State.SPEAKING, State.INTERRUPTED})
"""States in which there is something to stop."""

UNBOUND = frozenset({State.CREATED, State.CONNECTING, State.FALLING_BACK})
"""States in which it is not known yet who will answer."""


class QueuedTurn:
    """A turn that waits until the session is free. It can be waited for like any other.

    id:    the turn's from the start.
    turn:  what it has become; None while it waits, and for good if it was interrupted before it began.
    ended: set to the outcome when it is over.
    """

    def __init__(
        self,
        turn_id: str,
        text: str,
        *,
        request_id: str | None,
        follow_up: bool | None,
        structure: Structure | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.id = turn_id
        self.structure = structure
        self.budget = budget
        self.text = text
        self.request_id = request_id
        self.follow_up = follow_up
        self.turn: Turn | None = None
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def transcript(self) -> str | None:
        """What is asked."""
        return self.turn.transcript if self.turn is not None else self.text

    @property
    def reply(self) -> str:
        """What was answered."""
        return self.turn.reply if self.turn is not None else ""

    @property
    def confirm(self) -> bool:
        """Whether that asks for a yes."""
        return self.turn is not None and self.turn.confirm

    @property
    def heard(self) -> str:
        """What of it was heard."""
        return self.turn.heard if self.turn is not None else ""

    def begin(self, turn: Turn) -> None:
        """It waits no more."""
        self.turn = turn
        turn.ended.add_done_callback(lambda ended: self.end("interrupted" if ended.cancelled() else ended.result()))

    def end(self, outcome: Outcome) -> None:
        """It is over."""
        if not self.ended.done():
            self.ended.set_result(outcome)


class Admission:
    """One for each session. What it is told of an event it acts upon later: never in the middle of a transition.

    publish: told of the end of a turn that never began.
    """

    def __init__(self, session: Session, publish: Callable[[Event], object]) -> None:
        self._session = session
        self._publish = publish
        self._waiting: QueuedTurn | None = None
        self._due = ""
        self._numbers = itertools.count(1)
        session.opens_with(self._begin)

    def ask(
        self,
        text: str,
        *,
        on_busy: OnBusy = "refuse",
        request_id: str | None = None,
        follow_up: bool | None = None,
        output: OutputSchema | None = None,
        budget: Budget | None = None,
    ) -> Turn | QueuedTurn:
        """A turn from text: now, or with `queue` as the next one. Raises session_busy, capability_unsupported.

        output: what its reply must be.
        budget: what it may cost; None: what the session's turns may.
        """
        session = self._session
        structure = Structure(output) if output is not None else None
        if structure is not None and session.state not in UNBOUND and not session.capabilities.structured_output:
            raise unsupported(session.view().backend)
        if self._waiting is not None:
            why = f"session {session.id} is {session.state}, and another turn waits for it already"
            raise VonadError("session_busy", why, op="text", retryable=True)
        if session.state in RESTING or on_busy == "refuse":
            turn = session.ask(text, request_id=request_id, budget=budget)
            turn.follow_up, turn.structure = follow_up, structure
            return turn
        turn_id = f"{session.id}-q{next(self._numbers)}"
        self._waiting = QueuedTurn(
            turn_id, text, request_id=request_id, follow_up=follow_up, structure=structure, budget=budget
        )
        return self._waiting

    def interrupt(self, source: str) -> None:
        """End the running turn, or the first of those about to run. Raises session_not_running."""
        session = self._session
        if session.state in RUNNING and session.stop(source):
            return
        opens_for_a_turn = session.plan.purpose != "idle" or bool(session.plan.greeting)
        opening = not session.opened.is_set()  # another backend may be taking over before the first has answered
        due = (opening and opens_for_a_turn) or (session.state is State.FALLING_BACK and session.turn is not None)
        if due and not self._due:
            self._due = source
            return
        if (session.state not in RUNNING and self._drop()) or due:
            return
        raise VonadError("session_not_running", f"session {session.id} has no running turn", op="interrupt")

    def stop(self) -> bool:
        """Be quiet: what waits does not begin either. False when there was nothing to stop."""
        dropped = self._drop()
        try:
            self.interrupt("stop")
        except VonadError:
            return self._session.stop() or dropped
        return True

    def woken(self) -> None:
        """A wake takes the place of the turn that was to be stopped: it is not meant."""
        self._due = ""

    def moved(self) -> None:
        """The session's state has changed."""
        if self._session.state is State.CLOSING:
            self._drop()  # now: nothing is told of a session after it has closed
        elif self._due or self._waiting is not None:
            asyncio.get_running_loop().call_soon(self.look)

    def look(self) -> None:
        """Do what the session's state now allows."""
        session = self._session
        if session.state in RUNNING and self._due:
            source, self._due = self._due, ""
            session.stop(source)
        elif session.state in RESTING:
            self._due = ""
            self._begin()

    def _drop(self) -> bool:
        """Whether a turn waited; it does no more."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return False
        view = self._session.view()
        over: dict[str, object] = {
            "turn_id": waiting.id,
            "outcome": "interrupted",
            "generated_text": "",
            "heard_text": "",
            "stages": {},
            "first_audio_ms": None,
            "endpoint": None,
            "audio_gap": False,
            "backend": view.backend,
            "degraded": view.degraded,
            "stored": False,
        }
        self._publish(Event("turn.ended", over, view.satellite, view.session_id, view.conversation_id))
        waiting.end("interrupted")
        return True

    def _begin(self, trigger: Trigger = Trigger.TEXT) -> bool:
        """Whether a turn waited, and has begun: in a session that rests, or with which it opens."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return False
        try:
            turn = self._session.ask(
                waiting.text, request_id=waiting.request_id, turn_id=waiting.id, budget=waiting.budget, trigger=trigger
            )
        except VonadError:  # something else was faster in this very moment
            self._waiting = waiting
            return False
        turn.follow_up, turn.structure = waiting.follow_up, waiting.structure
        waiting.begin(turn)
        return True
