"""The farewell: how a session ends: for the first reason there is, with what has to be said last, and once."""

import asyncio
import logging
from collections.abc import Callable

from vonad.errors import VonadError
from vonad.session.course import Course
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger

log = logging.getLogger(__name__)


class Farewell:
    """Line and backend are left as they were found.

    begun:   set as soon as the session is to end.
    give_up: forgets who waits for a backend; whether somebody did.
    """

    def __init__(self, floor: Floor, course: Course, *, give_up: Callable[[], bool]) -> None:
        self.begun = asyncio.Event()
        self._floor = floor
        self._course = course
        self._give_up = give_up
        self._reason = ""
        self._words = ""

    def begin(self, reason: str, *, words: str | None = None) -> None:
        """End the session; the first reason stays.

        words: one of PHRASES, to be said last; empty: whoever waits for a backend is told that there is none; None:
               nothing is said.
        """
        floor, course = self._floor, self._course
        if floor.over:
            return
        if words is not None:  # whoever waits for a backend waits for an answer
            self._words = words or ("unavailable" if self._give_up() else "")
        self._reason = reason
        course.fallback.over()
        turn = floor.turn
        course.announcer.hold()
        heard = course.mouth.silence()
        course.microphone.close()
        floor.machine.fire(Trigger.CLOSE, State.CLOSING, reason=reason)
        if turn is not None:
            turn.heard = heard or turn.heard
            floor.finish(turn, turn.ending("interrupted"))
        self.begun.set()

    def failed(self, error: VonadError) -> None:
        """End the session because of this."""
        if not self._floor.over:
            self._floor.tell_error(error, "session")
        self.begin(f"error({error.code})")

    async def drain(self) -> None:
        """Say what there is to say last, and leave line and backend as they were found."""
        floor, mouth = self._floor, self._course.mouth
        clock, limits, line = floor.clock, floor.means.limits, floor.line
        last_words = mouth.last_words(self._words) if self._words and line is not None else ()
        closing_s = limits.closing_s + sum(frame.seconds for frame in last_words)
        ends = clock.monotonic() + closing_s
        try:
            if line is not None:
                async with clock.deadline(closing_s):
                    await line.clear()
                    await mouth.chime.play(last_words)
        except (TimeoutError, VonadError) as error:
            log.warning("session %s: the line did not clear: %s", floor.session_id, error)
        left_s = max(0.0, ends - clock.monotonic())
        await self._course.handover.chain.close(min(limits.flush_s, left_s))
        await floor.wind_up(max(0.0, ends - clock.monotonic()))

    def over(self) -> None:
        """Nothing of the session goes on: record and publish that it is closed."""
        floor = self._floor
        floor.drop_timer()
        floor.machine.fire(Trigger.DRAINED, State.CLOSED, reason=self._reason)
        self._course.announcer.give_back()
        floor.means.journal.session_closed(floor.session_id, self._reason)
        floor.tell("session.closed", {"reason": self._reason, "metrics": floor.metrics.told()})
