"""Parts: the components that the configuration names, each opened in a task of its own, apart from all others."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from pydantic import ValidationError

from vonad.engine import NotUnderstood
from vonad.errors import VonadError
from vonad.host import Host, Role
from vonad.part import CONTRACTS, Part
from vonad.part_host import Facilities, PartHost
from vonad.plugins import Plugins
from vonad.plugins.offer import Group
from vonad.resilience import Breaker, BreakerState, Pool
from vonad.settings import Settings
from vonad.settings.tables import ComponentTable
from vonad.skill import Skill
from vonad.skills.catalogue import Catalogue

log = logging.getLogger(__name__)

E = TypeVar("E")

ORDER: tuple[Group, ...] = ("engines", "backends", "skills", "transports", "frontends")
"""What is opened before what; closed the other way round."""

OPEN_S = 30.0
"""How long a component may take to open: a model from a slow card, no more."""

CLOSE_S = 3.0


class Parts:
    """All parts by group and name. Nothing that a part does when it opens or closes reaches another.

    changed: told of every part that opens, or fails to: (label, why it does not run; empty when it does).
    leaves:  told of each that a reload takes out of the house, just before it closes.
    """

    def __init__(
        self,
        plugins: Plugins,
        facilities: Facilities,
        *,
        changed: Callable[[str, str], None],
        leaves: Callable[[Part], None],
        breaker_changed: Callable[[str, BreakerState], None],
    ) -> None:
        self.catalogue = Catalogue()
        self._plugins = plugins
        self._facilities = facilities
        self._clock = facilities.clock
        self._changed = changed
        self._leaves = leaves
        self._breaker_changed = breaker_changed
        self._parts: dict[tuple[Group, str], Part] = {}
        self._language = "en"

    def all(self, group: Group | None = None) -> list[Part]:
        """Those there are, running or not, in the order of the configuration."""
        return [part for part in self._parts.values() if group is None or part.group == group]

    def get(self, group: Group, name: str) -> Part:
        """A running part. Raises backend_unavailable with the reason it does not run."""
        part = self._parts.get((group, name))
        if part is None:
            known = ", ".join(other.name for other in self.all(group)) or "none"
            raise VonadError("backend_unavailable", f"[{group}.{name}] is not configured; there are: {known}", op=name)
        if not part.running:
            raise VonadError(
                "backend_unavailable", f"{part.label} does not run: {part.reason}", op=name, retryable=True
            )
        return part

    def engines(self, role: Role) -> list[str]:
        """Names of the engines of a role that run."""
        return [p.name for p in self.all("engines") if p.running and p.offer is not None and p.offer.role == role]

    def pool(self, role: Role, name: str) -> Pool[object]:
        """An engine with its streams and breaker. Raises backend_unavailable."""
        part = self._parts.get(("engines", name))
        if part is None or part.pool is None or part.offer is None or part.offer.role != role:
            part = self.get("engines", name)  # which says why, if it does not run
            has = part.offer.role if part.offer is not None else "none"
            raise VonadError("backend_unavailable", f"{part.label} is an engine for {has}, not for {role}", op=name)
        return part.pool

    @asynccontextmanager
    async def lease(self, contract: type[E], role: Role, name: str) -> AsyncIterator[E]:
        """An engine for one stream, as Host.engine lends it."""
        async with self.pool(role, name) as engine:
            assert isinstance(engine, contract)
            yield engine

    def host(self, name: str) -> Host:
        """What a skill that no plugin offers is given of the house."""
        return self._host(Part("skills", name, ComponentTable()))

    async def apply(self, settings: Settings, group: asyncio.TaskGroup, *, only: Sequence[Group] = ORDER) -> list[str]:
        """Close what is gone or changed, open what is new; returns when all have settled. What changed, by label."""
        self._language = settings.node.language
        wanted = {(kind, name): table for kind in only for name, table in self._tables(settings, kind).items()}
        gone = [part for key, part in self._parts.items() if key[0] in only and self._outdated(part, wanted.get(key))]
        for part in gone:
            offered = (part.group, part.table.kind or part.name) in self._plugins.offers
            part.leaves = part.running and not (offered and (part.group, part.name) in wanted)
        await self.close(gone)
        changed = [part.label for part in gone]
        for kind in only:
            fresh = [
                Part(kind, name, t) for (g, name), t in wanted.items() if g == kind and (g, name) not in self._parts
            ]
            for part in fresh:
                self._parts[part.group, part.name] = part
                group.create_task(self._live(part), name=f"part {part.label}")
            for part in fresh:
                await part.settled.wait()
                changed.append(part.label)
        return sorted(set(changed))

    async def close(self, parts: Sequence[Part] | None = None) -> None:
        """Close parts, by default all, in the reverse order of opening; one that refuses is left behind."""
        closing = sorted(self.all() if parts is None else parts, key=lambda part: ORDER.index(part.group), reverse=True)
        for part in closing:
            self._parts.pop((part.group, part.name), None)
            if part.leaves:
                self._leaves(part)
            part.stop.set()
            try:
                async with self._clock.deadline(CLOSE_S):
                    await part.closed.wait()
            except TimeoutError:
                log.warning("%s did not close within %g s and is left behind", part.label, CLOSE_S)

    def _tables(self, settings: Settings, group: Group) -> dict[str, ComponentTable]:
        """Those that are on. A skill needs no table: whoever installed its plugin wants it."""
        tables: Mapping[str, ComponentTable] = getattr(settings, group)
        named = {table.kind or name for name, table in tables.items()} | set(tables)
        offered = [kind for of, kind in self._plugins.offers if of == group == "skills" and kind not in named]
        return {name: table for name, table in tables.items() if table.enabled} | {
            kind: ComponentTable() for kind in offered
        }

    def _outdated(self, part: Part, table: ComponentTable | None) -> bool:
        """Whether it must be opened again, or not at all: also when its plugin has been loaded anew."""
        offer = self._plugins.offers.get((part.group, part.table.kind or part.name))
        return not part.running or table != part.table or offer is not part.offer

    async def _live(self, part: Part) -> None:
        """The spawn boundary of a component: from opening to closing, whatever it raises is its own end."""
        try:
            async with self._opened(part) as component:
                self._admit(part, component)
                part.settled.set()
                await part.stop.wait()
        except VonadError as error:
            part.code = error.code
            self._failed(part, error.message)
        except TimeoutError:
            self._failed(part, f"it did not open within {OPEN_S:g} s")
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            log.debug("%s failed", part.label, exc_info=True)
            self._failed(part, f"{type(error).__name__}: {error}")
        finally:
            if part.group == "skills" and isinstance(part.component, Skill):
                self.catalogue.remove(part.component.name)
            part.component = part.pool = None
            part.settled.set()
            part.closed.set()

    @asynccontextmanager
    async def _opened(self, part: Part) -> AsyncIterator[object]:
        offer = self._plugins.offer(part.group, part.table.kind or part.name)
        part.offer = offer
        try:
            settings = offer.settings.model_validate(part.table.given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(step) for step in first["loc"])
            raise VonadError("invalid_config", f"{part.label} {where}: {first['msg']}") from None
        context = offer.factory(settings, self._host(part))
        async with AsyncExitStack() as stack:
            async with self._clock.deadline(OPEN_S):
                component = await stack.enter_async_context(context)
            yield component

    def _admit(self, part: Part, component: object) -> None:
        offer = part.offer
        assert offer is not None
        contract = CONTRACTS[offer.role or part.group]
        if not isinstance(component, contract):
            got = type(component).__name__
            raise VonadError("plugin_error", f"{offer.plugin} offers a {got} where a {contract.__name__} is wanted")
        if isinstance(component, Skill):
            self.catalogue.add(component, offer.plugin)
        if offer.role is not None:
            breaker = Breaker(part.name, self._clock, self._breaker_changed)
            streams = int(getattr(component, "streams", 1))
            part.pool = Pool(component, breaker, streams=streams, clock=self._clock, harmless=(NotUnderstood,))
        part.component = component
        self._changed(part.label, "")

    def _failed(self, part: Part, reason: str) -> None:
        part.reason = reason
        log.warning("%s does not run: %s", part.label, reason)
        self._changed(part.label, reason)

    def _host(self, part: Part) -> Host:
        return PartHost(part, self._facilities, self, language=self._language)
