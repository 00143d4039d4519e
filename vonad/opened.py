"""A session that is open, as the house holds it: with its satellite, its seat, and whoever lets it take turns."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from vonad.admission import Admission
from vonad.errors import VonadError
from vonad.lines import Satellite
from vonad.plan import SessionView
from vonad.seats import Seat
from vonad.session.machine import State
from vonad.session.session import Session
from vonad.skills.desk import Desk


@dataclass(slots=True, eq=False)
class Opened:
    """A session that is open, with what belongs to it here.

    gone:      told when it is over, or forgotten.
    active_at: monotonic, of the last activity.
    desk:      where its skills run.
    error:     what it last said of its failing; `reason`: of its end.
    """

    session: Session
    satellite: Satellite | None
    seat: Seat
    admission: Admission
    active_at: float
    gone: "Callable[[Opened], None]"
    desk: Desk
    task: asyncio.Task[None] | None = None
    error: VonadError | None = None
    reason: str = ""

    @property
    def id(self) -> str:
        """Its session's."""
        return self.session.id

    @property
    def state(self) -> State:
        """Its session's."""
        return self.session.state

    def close(self, reason: str) -> None:
        """Have the session end; one that never began is over with that."""
        self.session.close(reason)
        if self.task is None:
            self.gone(self)

    def abandon(self) -> None:
        """Forget it, whatever it does."""
        if self.task is not None:
            self.task.cancel()
        self.gone(self)

    def view(self) -> SessionView:
        """A snapshot."""
        return replace(self.session.view(), reason=self.reason)
