"""Announcing: what the house was asked to say, by id, from the request until it was said, wherever that takes it."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict

from vonad.bus import Bus
from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.events import Event
from vonad.history import Journal
from vonad.plan import Style
from vonad.session.announcement import Announcement, Ending, finished, new_announcement

log = logging.getLogger(__name__)

REMEMBERED = 256
"""Announcements that can be asked for, those that are over included: hours of a talkative house."""

WAITING = 64
"""Announcements that wait in the house for a satellite or a session: more nobody would want to hear afterwards."""

DUPLICATE_S = 60.0
"""The same id twice within this time is one request that was delivered twice."""

PATIENCE_S = 600.0
"""How long one that is not durable waits for a satellite that went away before it was said."""

RETRY_S = 10.0
"""From one attempt that the house had no room for to the next."""

ATTEMPTS = 5
"""Sessions that may end before it was its turn; then it has failed."""

NAMESPACE, KEY = "announcements", "waiting"
KEPT = ("id", "satellite", "text", "priority", "interrupt", "interruptible", "preannounce", "volume")
"""What is stored of a durable one, beside its style."""


class Announcing:
    """All calls on the event loop.

    deliver: has one said in the session of its satellite, or opens one for it. Raises not_found for a satellite that is
             not connected, and what a session that cannot open raises.
    """

    def __init__(self, deliver: Callable[[Announcement], None], *, bus: Bus, journal: Journal, clock: Clock) -> None:
        self._deliver = deliver
        self._bus = bus
        self._journal = journal
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Announcement]] = OrderedDict()
        self._waiting: dict[str, Announcement] = {}
        self._attempts: dict[str, int] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loading: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._unsaved = False

    # Life

    def open(self, group: asyncio.TaskGroup) -> None:
        """Take up, soon, the durable ones that were not said before the last stop. group: where that is done."""
        self._group = group
        self._loading = group.create_task(self._load(), name="announcements of before")

    async def _load(self) -> None:
        try:
            stored = await self._journal.get(NAMESPACE, KEY)
        except VonadError as error:
            if error.code != "persistence_disabled":
                log.warning("durable announcements of before cannot be read: %s", error.message)
            return
        for announcement in _from_text(stored or "[]"):
            announcement.give_back = self._returned
            self._remember(announcement)
            self._hold(announcement)
            self._later(announcement, 0.0)

    async def close(self) -> None:
        """The house stops: what waits has failed, but for the durable ones, which are on disk on return."""
        for task in tuple(self._tasks):
            task.cancel()
        for announcement in tuple(self._waiting.values()):
            if not announcement.durable:
                self._end(announcement, "failed", "the daemon stopped")
        await self.saved()
        self._group = None

    async def saved(self) -> None:
        """Return when every durable one that was asked for so far is on disk, or cannot be (the log says why)."""
        while self._saving is not None and not self._saving.done():
            await asyncio.wait({self._saving})

    # Requests

    def say(self, announcement: Announcement) -> Announcement:
        """Have it said, or hold it until the house has room. Raises not_found (not for a durable one), overload.

        An id that was seen less than a minute ago is the same request: that announcement is returned.
        """
        before = self._known.get(announcement.id)
        if before is not None and self._clock.monotonic() - before[0] < DUPLICATE_S:
            return before[1]
        announcement.give_back = self._returned
        try:
            self._deliver(announcement)
        except VonadError as error:
            if not announcement.durable and error.code != "session_limit":
                raise
            if len(self._waiting) >= WAITING:
                why = f"{len(self._waiting)} announcements wait for their satellites already; cancel some"
                raise VonadError("overload", why, op="say", retryable=True) from None
            self._hold(announcement)
            if error.code != "not_found":
                self._later(announcement, RETRY_S)
        self._remember(announcement)
        if announcement.durable:
            self._save()
        return announcement

    def get(self, id: str) -> Announcement:
        """One that was asked for not long ago. Raises not_found."""
        if id not in self._known:
            raise VonadError("not_found", f"no announcement {id!r} of late", op="say")
        return self._known[id][1]

    def cancel(self, id: str) -> bool:
        """Do not say it, or no further. False when it was over already. Raises not_found."""
        return self.get(id).cancel()

    async def wait(self, id: str, seconds: float) -> Announcement:
        """One, once it is over. Raises not_found, timeout."""
        announcement = self.get(id)
        await announcement.wait(self._clock, seconds)
        return announcement

    def forget(self, satellite: str) -> int:
        """Somebody there wants quiet: drop what waits for it in the house; how many that were."""
        dropped = self._of(satellite)
        for announcement in dropped:
            self._end(announcement, "cancelled", "stopped")
        return len(dropped)

    def came(self, satellite: str) -> None:
        """It is connected: have said what waits for it, the most important first."""
        for announcement in self._of(satellite):
            self._later(announcement, 0.0)

    # What has not been said yet

    def _of(self, satellite: str) -> list[Announcement]:
        waiting = [announcement for announcement in self._waiting.values() if announcement.satellite == satellite]
        return sorted(waiting, key=lambda announcement: (-announcement.priority, announcement.age))

    def _remember(self, announcement: Announcement) -> None:
        announcement.done.add_done_callback(lambda _: self._over(announcement))
        self._known[announcement.id] = (self._clock.monotonic(), announcement)
        self._known.move_to_end(announcement.id)
        over = [name for name, (_, known) in self._known.items() if known.over]
        for name in over[: max(0, len(self._known) - REMEMBERED)]:
            del self._known[name]

    def _hold(self, announcement: Announcement) -> None:
        announcement.state = "queued"
        announcement.withdraw = self._withdraw
        self._waiting[announcement.id] = announcement

    def _returned(self, announcement: Announcement) -> None:
        """Its session ended before it was said: another one will say it, though not without end."""
        attempt = self._attempts[announcement.id] = self._attempts.get(announcement.id, 0) + 1
        self._hold(announcement)
        if attempt >= ATTEMPTS:
            self._end(announcement, "failed", f"{attempt} sessions ended before it was said")
            return
        self._later(announcement, 0.0 if attempt == 1 else 2.0 * 4.0 ** (attempt - 2))

    def _later(self, announcement: Announcement, seconds: float) -> None:
        if self._group is None:
            return
        task = self._group.create_task(self._wait(announcement, seconds), name=f"announcement {announcement.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, announcement: Announcement, seconds: float) -> None:
        begun = self._clock.monotonic()
        if seconds:
            await self._clock.sleep(seconds)
        while (error := self._again(announcement)) is not None:
            left = PATIENCE_S - (self._clock.monotonic() - begun)
            absent = error.code == "not_found"
            if absent and announcement.durable:
                return  # until it comes
            if not announcement.durable and left <= 0:
                self._end(announcement, "failed", error.message)
                return
            await self._clock.sleep(left if absent else RETRY_S)

    def _again(self, announcement: Announcement) -> VonadError | None:
        """Try to have it said; why that is not possible: then it goes on waiting."""
        if self._waiting.pop(announcement.id, None) is None:
            return None
        try:
            self._deliver(announcement)
        except VonadError as error:
            log.info("announcement %s waits: %s", announcement.id, error.message)
            self._hold(announcement)
            return error
        return None

    def _withdraw(self, announcement: Announcement) -> None:
        self._end(announcement, "cancelled", "cancelled")

    def _end(self, announcement: Announcement, state: Ending, reason: str) -> None:
        self._waiting.pop(announcement.id, None)
        if announcement.end(state, reason):
            self._bus.publish(Event("say.finished", finished(announcement), announcement.satellite))

    def _over(self, announcement: Announcement) -> None:
        self._attempts.pop(announcement.id, None)
        self._waiting.pop(announcement.id, None)
        if announcement.durable:
            self._save()

    # The durable ones on disk

    def _save(self) -> None:
        self._unsaved = True
        if self._group is not None and (self._saving is None or self._saving.done()):
            self._saving = self._group.create_task(self._write(), name="announcements")

    async def _write(self) -> None:
        if self._loading is not None:  # what it has not read yet would be overwritten
            await asyncio.wait({self._loading})
        while self._unsaved:
            self._unsaved = False
            durable = [known for _, known in self._known.values() if known.durable and not known.over]
            try:
                await self._journal.set(NAMESPACE, KEY, _to_text(durable) if durable else None)
            except VonadError as error:
                log.warning("durable announcements would not survive a restart: %s", error.message)
                return


def _to_text(announcements: list[Announcement]) -> str:
    """As it is stored."""
    return json.dumps(
        [
            {key: getattr(announcement, key) for key in KEPT}
            | {"style": asdict(announcement.style) if announcement.style is not None else None}
            for announcement in announcements
        ]
    )


def _from_text(text: str) -> list[Announcement]:
    """Those that were stored; one that cannot be read is left out."""
    announcements: list[Announcement] = []
    try:
        stored: list[dict[str, object]] = json.loads(text)
        for entry in stored:
            style = entry.pop("style")
            assert style is None or isinstance(style, dict)
            announcements.append(
                new_announcement(durable=True, style=None if style is None else Style(**style), **entry)  # type: ignore[arg-type]
            )
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
        log.warning("announcements that were kept over the restart cannot be read and are lost: %r", error)
    return announcements
