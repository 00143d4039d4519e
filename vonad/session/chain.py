"""The chain: the backends of the plan in their order, and the dialogue with the one that answers now."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

from vonad.backend import Backend, BackendCapabilities, Brief, Dialogue, Reply, ReplyFailed
from vonad.cancellation import calls_off
from vonad.control import FallbackReason
from vonad.errors import VonadError
from vonad.session.contact import RAISED, Contact, told
from vonad.session.floor import Floor
from vonad.streams import closing

log = logging.getLogger(__name__)

DENIED = frozenset({"hook_denied", "budget_exceeded"})
"""What the house refuses a dialogue: when that passes it on, its turn has failed, and not the backend."""

CLOSING_S = 1.0
"""What a dialogue gets to close in, once nobody listens to it any more; one that takes longer is left behind."""


@dataclass(slots=True, eq=False)
class Bond:
    """A dialogue with one backend, for as long as its task runs.

    error:   why it ended; None: it was wanted, or over.
    contact: what it is talked to through, once it is the one that answers.
    """

    name: str
    backend: Backend
    opened: asyncio.Future[Dialogue]
    task: asyncio.Task[None] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    error: VonadError | None = None
    contact: Contact | None = None


class Chain:
    """Opens the dialogue of the first backend that will have one, and on demand that of the next.

    brief: what a dialogue is told.
    take:  told what the dialogue says, one thing after the other. Only the present one is listened to.
    lost:  told when it has ended of itself, or one of its methods failed: with the error, or None when the backend
           just finished.
    ready: borrows what a backend that can do this needs.
    home:  told when a better one has taken over, and from which.

    unloaded: those that a reload took out of the house, and that have not come back since.
    """

    def __init__(
        self,
        floor: Floor,
        *,
        brief: Callable[[], Brief],
        take: Callable[[Reply], Coroutine[object, object, None]],
        lost: Callable[[VonadError | None, FallbackReason], None],
        ready: Callable[[BackendCapabilities], Awaitable[None]],
        home: Callable[[str], None],
    ) -> None:
        self._floor = floor
        self._brief = brief
        self._take = take
        self._lost = lost
        self._ready = ready
        self._home = home
        self.unloaded: set[str] = set()
        self._bond: Bond | None = None
        self._opening: set[Bond] = set()
        self._left_at: dict[str, float] = {}
        self._better: Bond | None = None

    def next(self, *, but: frozenset[str] = frozenset()) -> list[str]:
        """The names of those that may be asked, best first: in the plan's order, those that were lost lately last."""
        names = [name for name in self._floor.plan.backends if name not in but]
        rested = [name for name in names if self._rested(name)]
        return rested + [name for name in names if name not in rested]

    async def open(self, within_s: float, *, but: frozenset[str] = frozenset(), most: int | None = None) -> None:
        """Talk to the first that will, of those not named in `but`. Raises what the first of them failed with.

        most: so many are tried.
        """
        floor = self._floor
        ends = floor.clock.monotonic() + within_s
        names = self.next(but=but)[:most]
        first: VonadError | None = None
        for index, name in enumerate(names):
            share = max(0.0, ends - floor.clock.monotonic()) / (len(names) - index)
            floor.backend = name
            try:
                bond = await self._bound(name, share)
            except VonadError as error:
                log.warning("session %s: backend %s: %s", floor.session_id, name, error.message)
                first = first or error
            else:
                self._take_up(bond)
                return
        raise first or VonadError("backend_unavailable", "no backend of the plan is left")

    async def go_home(self, within_s: float) -> bool:
        """Open a dialogue with a better one, if one has rested; `rest` changes over to it."""
        floor = self._floor
        for name in floor.plan.backends[: floor.plan.backends.index(floor.backend)]:
            if not self._rested(name):
                continue
            bond = None
            try:
                bond = await self._bound(name, within_s)
                async with floor.clock.deadline(within_s):
                    await self._ready(bond.backend.capabilities)
                self._better = bond
            except (VonadError, TimeoutError) as error:
                log.info("session %s: backend %s is still away: %s", floor.session_id, name, error)
            else:
                return True
            finally:
                if bond is not None and bond.task is not None and self._better is not bond:
                    bond.task.cancel()
        return False

    def rest(self) -> None:
        """No turn is open: change over to the better one, if there is one."""
        bond, self._better = self._better, None
        if bond is None:
            return
        if bond.over.is_set():  # it was no better
            self._floor.means.backends.failed(bond.name, bond.error.message if bond.error is not None else "")
            return
        left = self._floor.backend
        self._take_up(bond)
        self._home(left)

    def leave(self) -> None:
        """Listen to the present one no more; it is not asked again for a while."""
        floor = self._floor
        self._left_at[floor.backend] = floor.clock.monotonic()
        bond, self._bond, floor.dialogue = self._bond, None, None
        if bond is not None and bond.task is not None:
            bond.task.cancel()

    def unload(self, name: str) -> bool:
        """A reload takes this one out of the house; whether it answered. Opening it fails from now on, or just now."""
        self.unloaded.add(name)
        for bond in self._opening:
            if bond.name == name and not bond.opened.done():
                bond.opened.set_exception(gone(name))
        if self._better is not None and self._better.name == name and self._better.task is not None:
            self._better.task.cancel()
            self._better = None
        if self._bond is None or self._bond.name != name:
            return False
        self.leave()
        return True

    async def close(self, within_s: float) -> None:
        """The session is over."""
        bond, self._bond, self._floor.dialogue = self._bond, None, None
        if self._better is not None and self._better.task is not None:
            self._better.task.cancel()
        if bond is None or bond.task is None:
            return
        bond.task.cancel()
        try:
            async with self._floor.clock.deadline(within_s):
                await bond.over.wait()
        except TimeoutError:
            log.warning("session %s: backend %s did not close and is left behind", self._floor.session_id, bond.name)

    def _rested(self, name: str) -> bool:
        floor = self._floor
        left_at = self._left_at.get(name, float("-inf"))
        return floor.means.backends.rested(name) and floor.clock.monotonic() - left_at >= floor.means.limits.cool_off_s

    async def _bound(self, name: str, within_s: float) -> Bond:
        """Raises backend_unavailable, circuit_open, backend_start_failed."""
        floor = self._floor
        backend = floor.means.backends.get(name)
        self.unloaded.discard(name)
        bond = Bond(name, backend, asyncio.get_running_loop().create_future())
        bond.task = floor.means.group.create_task(self._hold(bond), name=f"session {floor.session_id} backend {name}")
        self._opening.add(bond)
        try:
            async with floor.clock.deadline(within_s):
                await asyncio.shield(bond.opened)
            if name in self.unloaded:
                raise gone(name)
            if bond.over.is_set():
                raise bond.error or VonadError("backend_start_failed", f"backend {name} ended the dialogue", op=name)
        except BaseException as error:
            bond.task.cancel()
            bond.opened.cancel()
            if isinstance(error, VonadError):
                if name not in self.unloaded:
                    floor.means.backends.failed(name, error.message)
                raise
            if not isinstance(error, TimeoutError):
                raise
            message = f"backend {name} did not open a dialogue within {within_s:g} s"
            floor.means.backends.failed(name, message)
            raise VonadError("backend_start_failed", message, op=name, retryable=True) from None
        finally:
            self._opening.discard(bond)
        return bond

    def _take_up(self, bond: Bond) -> None:
        floor = self._floor
        before, self._bond = self._bond, bond
        bond.contact = Contact(bond.name, bond.opened.result(), self._broke)
        floor.backend, floor.capabilities, floor.dialogue = bond.name, bond.backend.capabilities, bond.contact
        if before is not None and before.task is not None:
            before.task.cancel()

    def _broke(self, contact: Contact, reason: FallbackReason, error: VonadError) -> None:
        """A method of its dialogue has failed: the rest of it is of no use either."""
        bond, floor = self._bond, self._floor
        if bond is None or bond.contact is not contact:
            return  # nobody listens to it any more
        if error.code in DENIED:
            floor.spawn(self._take(ReplyFailed(floor.machine.epoch, error)), "denied")
            return
        self._bond, floor.dialogue = None, None
        if bond.task is not None:
            bond.task.cancel()
        self._lost(error, reason)

    async def _hold(self, bond: Bond) -> None:
        """The spawn boundary of a backend: whatever its dialogue raises is its own end, and told."""
        error: VonadError | None = None
        try:
            async with bond.backend.open(self._brief()) as dialogue:
                if not bond.opened.done():
                    bond.opened.set_result(dialogue)
                async with closing(dialogue.replies()) as replies:
                    await self._listen(bond, replies)
        except RAISED as failure:
            if calls_off(failure):
                return  # nobody asks this task how it ended; kept in it, the traceback would hold all that it passed by
            error = told(bond.name, failure)
        finally:
            bond.error = error
            bond.over.set()
            if not bond.opened.done():
                bond.opened.set_exception(error or VonadError("backend_start_failed", f"backend {bond.name} ended"))
                bond.opened.exception()  # nobody may be waiting any more
        if self._bond is bond:
            self._bond, self._floor.dialogue = None, None
            self._lost(error, "backend_unavailable")

    async def _listen(self, bond: Bond, replies: AsyncIterator[Reply]) -> None:
        """What goes wrong with what it says is not the backend's failure."""
        async for item in replies:
            if self._bond is not bond:
                continue
            try:
                await self._take(item)
            except VonadError as error:
                self._floor.fail(error)
            except Exception as error:  # a defect ends this session and no other
                log.exception("session %s failed", self._floor.session_id)
                message = f"session {self._floor.session_id} failed: {type(error).__name__}: {error}"
                self._floor.fail(VonadError("internal_error", message))


def gone(name: str) -> VonadError:
    """Why a backend that a reload took out of the house has no answer."""
    return VonadError("backend_unavailable", f"backend {name} was taken out of the house", op=name)
