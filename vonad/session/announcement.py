"""An announcement: something the house was asked to say, and what became of it."""

import asyncio
import secrets
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Announcement:
    """Waits its turn by priority, then by age; `done` is set once: whether it was heard to its end."""

    id: str
    text: str
    done: asyncio.Future[bool]
    priority: int = 0
    interrupt: bool = False


def new_announcement(text: str, *, id: str | None = None, priority: int = 0, interrupt: bool = False) -> Announcement:
    """One that nobody has said yet; without an id it gets one."""
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    return Announcement(id or secrets.token_hex(6), text, done, priority=priority, interrupt=interrupt)


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
        """Behind all of the same or a higher priority."""
        at = next(
            (i for i, other in enumerate(self._waiting) if other.priority < announcement.priority), len(self._waiting)
        )
        self._waiting.insert(at, announcement)

    def next(self) -> Announcement | None:
        """The one to say now."""
        return self._waiting.pop(0) if self._waiting else None
