"""The lamp: shows on the satellite what the session does, and above all that its microphone is open."""

import logging

from vonad.events import COARSE
from vonad.plan import Wake
from vonad.session.machine import State
from vonad.transport import Line

log = logging.getLogger(__name__)


class Lamp:
    """Tells the line each of the four words when it changes.

    opened_by: what the next opening of the microphone is due to; None: a follow-up.
    """

    def __init__(self, line: Line | None) -> None:
        self.opened_by: Wake | None = None
        self._line = line
        self._shown = "idle"

    def show(self, state: State, *, captures: bool) -> None:
        """The session's state is this now. captures: what is said is kept, whatever the state."""
        now = "listening" if captures else COARSE[state]
        if self._line is None or now == self._shown:
            return
        self._shown = now
        opened_by = None
        if now == "listening":
            opened_by, self.opened_by = self.opened_by, None
        try:
            self._line.show(now, opened_by=opened_by)
        except Exception:  # a transport's lamp must not stop a conversation
            log.exception("satellite %s cannot show that it is %s", self._line.satellite, now)
