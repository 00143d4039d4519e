"""An announcement: something the house was asked to say, and what became of it."""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.plan import Style

Ending = Literal["finished", "cancelled", "failed"]
AnnouncementState = Literal["queued", "playing"] | Ending

_AGES = itertools.count()


@dataclass(slots=True, eq=False, kw_only=True)
class Announcement:
    """Waits its turn by priority, then by age; ends once, as finished, cancelled or failed.

    satellite:     where it is said; whoever queues it fills that in.
    interrupt:     cuts a reply short that is being spoken.
    interruptible: somebody who speaks cuts it short; `stop` always does.
    preannounce:   a chime comes first.
    durable:       waits for its satellite, and over a restart, until it has been said.
    style:         how it sounds; None: as the satellite sounds.
    volume:        0..1 of the voice's own loudness.
    state, reason: what became of it so far.
    done:          set once: whether it was heard to its end.
    withdraw:      takes it out of where it waits, or silences it; set by whoever has it.
    give_back:     takes it when a session ends before its turn came; None: then it has failed.
    """

    text: str
    id: str
    done: asyncio.Future[bool]
    satellite: str = ""
    priority: int = 0
    interrupt: bool = False
    interruptible: bool = True
    preannounce: bool = False
    durable: bool = False
    style: Style | None = None
    volume: float = 1.0
    state: AnnouncementState = "queued"
    reason: str = ""
    age: int = field(default_factory=lambda: next(_AGES))
    withdraw: "Callable[[Announcement], None] | None" = None
    give_back: "Callable[[Announcement], None] | None" = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.done.done()

    def end(self, state: Ending, reason: str = "") -> bool:
        """It is over; False when it was before."""
        if self.over:
            return False
        self.state, self.reason, self.withdraw = state, reason, None
        self.done.set_result(state == "finished")
        return True

    def cancel(self) -> bool:
        """Do not say it, or no further. False when it is over already."""
        if self.over or self.withdraw is None:
            return False
        self.withdraw(self)
        return True

    async def wait(self, clock: Clock, seconds: float) -> AnnouncementState:
        """What became of it, once it is over. Raises timeout; it is said all the same."""
        try:
            async with clock.deadline(seconds):
                await asyncio.shield(self.done)
        except TimeoutError:
            why = f"announcement {self.id!r} is still {self.state} after {seconds:g} s"
            raise VonadError("timeout", why, op="say", retryable=True, details={"id": self.id}) from None
        return self.state


def new_announcement(
    text: str,
    *,
    id: str | None = None,
    satellite: str = "",
    priority: int = 0,
    interrupt: bool = False,
    interruptible: bool = True,
    preannounce: bool = False,
    durable: bool = False,
    style: Style | None = None,
    volume: float = 1.0,
) -> Announcement:
    """One that nobody has said yet; without an id it gets one."""
    return Announcement(
        text=text,
        id=id or secrets.token_hex(6),
        done=asyncio.get_running_loop().create_future(),
        satellite=satellite,
        priority=priority,
        interrupt=interrupt,
        interruptible=interruptible,
        preannounce=preannounce,
        durable=durable,
        style=style,
        volume=volume,
    )


def finished(announcement: Announcement) -> dict[str, object]:
    """What `say.finished` tells of one that is over."""
    ok = announcement.state == "finished"
    return {"id": announcement.id, "ok": ok, "reason": announcement.reason, "state": announcement.state}


@dataclass(slots=True)
class Announcements:
    """Those that wait, at most `limit`: more than that nobody would listen to."""

    limit: int = 16
    _waiting: list[Announcement] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether another one would be one too many."""
        return len(self._waiting) >= self.limit

    def put(self, announcement: Announcement) -> None:
        """To its place: behind those of a higher priority, and behind older ones of the same."""
        self._waiting.append(announcement)
        self._waiting.sort(key=lambda waiting: (-waiting.priority, waiting.age))

    def next(self) -> Announcement | None:
        """The one to say now."""
        return self._waiting.pop(0) if self._waiting else None

    def remove(self, announcement: Announcement) -> bool:
        """Let it wait no longer; whether it did."""
        if announcement not in self._waiting:
            return False
        self._waiting.remove(announcement)
        return True

    def all(self) -> tuple[Announcement, ...]:
        """Those that wait, the next first."""
        return tuple(self._waiting)
