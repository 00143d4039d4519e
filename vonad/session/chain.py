"""The chain: the backends of the plan in their order, and the dialogue with the one that answers now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from vonad.backend import Backend, Brief, Dialogue, Reply
from vonad.errors import VonadError, first_error
from vonad.session.floor import Floor
from vonad.streams import closing

log = logging.getLogger(__name__)

CLOSING_S = 1.0
"""What a dialogue gets to close in, once nobody listens to it any more; one that takes longer is left behind."""


@dataclass(slots=True, eq=False)
class Bond:
    """A dialogue with one backend, for as long as its task runs. error: why it ended; None: it was wanted, or over."""

    name: str
    backend: Backend
    opened: asyncio.Future[Dialogue]
    task: asyncio.Task[None] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Chain:
    """Opens the dialogue of the first backend that will have one, and on demand that of the next.

    brief: what a dialogue is told.
    take:  told what the dialogue says, one thing after the other. Only the present one is listened to.
    lost:  told when it has ended of itself: with the error, or None when the backend just finished.

    unloaded: those that a reload took out of the house, and that have not come back since.
    """

    def __init__(
        self,
        floor: Floor,
        *,
        brief: Callable[[], Brief],
        take: Callable[[Reply], Awaitable[None]],
        lost: Callable[[VonadError | None], None],
    ) -> None:
        self._floor = floor
        self._brief = brief
        self._take = take
        self._lost = lost
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
            try:
                bond = await self._bound(name, within_s)
            except VonadError as error:
                log.info("session %s: backend %s is still away: %s", floor.session_id, name, error.message)
                continue
            self._better = bond
            return True
        return False

    def rest(self) -> None:
        """No turn is open: change over to the better one, if there is one."""
        bond, self._better = self._better, None
        if bond is not None:
            self._take_up(bond)

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
        except BaseException as error:
            bond.task.cancel()
            bond.opened.cancel()
            if isinstance(error, VonadError):
                if name not in self.unloaded:
                    floor.means.backends.failed(name)
                raise
            if not isinstance(error, TimeoutError):
                raise
            floor.means.backends.failed(name)
            message = f"backend {name} did not open a dialogue within {within_s:g} s"
            raise VonadError("backend_start_failed", message, op=name, retryable=True) from None
        finally:
            self._opening.discard(bond)
        return bond

    def _take_up(self, bond: Bond) -> None:
        floor = self._floor
        before, self._bond = self._bond, bond
        floor.backend, floor.capabilities, floor.dialogue = bond.name, bond.backend.capabilities, bond.opened.result()
        if before is not None and before.task is not None:
            before.task.cancel()
        if bond.over.is_set():  # it ended before it was taken up
            self._bond, floor.dialogue = None, None
            self._lost(VonadError("backend_unavailable", f"backend {bond.name} ended the dialogue", op=bond.name))

    async def _hold(self, bond: Bond) -> None:
        """The spawn boundary of a backend: whatever its dialogue raises is its own end, and told."""
        error: VonadError | None = None
        try:
            async with bond.backend.open(self._brief()) as dialogue:
                if not bond.opened.done():
                    bond.opened.set_result(dialogue)
                async with closing(dialogue.replies()) as replies:
                    async for item in replies:
                        if self._bond is bond:
                            await self._given(item)
        except VonadError as failure:
            error = failure
        except (Exception, SystemExit, KeyboardInterrupt) as failure:
            error = _told(bond.name, failure)
        finally:
            bond.over.set()
            if not bond.opened.done():
                bond.opened.set_exception(error or VonadError("backend_start_failed", f"backend {bond.name} ended"))
                bond.opened.exception()  # nobody may be waiting any more
        if self._bond is bond:
            self._bond, self._floor.dialogue = None, None
            self._lost(error)

    async def _given(self, item: Reply) -> None:
        """What goes wrong with what it said is not the backend's failure."""
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


def _told(name: str, failure: BaseException) -> VonadError:
    if isinstance(failure, BaseExceptionGroup):
        ours, _ = failure.split(VonadError)
        if ours is not None:
            return first_error(ours)
        failure = failure.exceptions[0]
    log.warning("backend %s failed", name, exc_info=failure)
    return VonadError(
        "backend_step_failed", f"backend {name} failed: {type(failure).__name__}: {failure}", op=name, retryable=True
    )
