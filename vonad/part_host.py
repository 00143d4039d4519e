"""The Host of one part: what a component is given of the house, under its own name."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from vonad.clock import Clock
from vonad.directories import Directories
from vonad.history import Journal
from vonad.host import Host, Role, Store, Voice
from vonad.part import Part
from vonad.resilience import Pool
from vonad.sentences import Sentences
from vonad.skills.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Facilities:
    """What the house has for all its components alike. satellites: the ids of those connected now."""

    clock: Clock
    journal: Journal
    directories: Directories
    timezone: ZoneInfo
    voice: Voice
    satellites: Callable[[], Sequence[str]]


class Neighbours(Protocol):
    """What a component sees of the others: the skills that run, and the engines that it may borrow."""

    catalogue: Catalogue

    def engines(self, role: Role) -> Sequence[str]:
        """Names of the engines of a role that run."""

    def pool(self, role: Role, name: str) -> Pool[object]:
        """An engine with its streams and breaker. Raises backend_unavailable."""


class PartStore(Store):
    """A component's values, under its own name."""

    def __init__(self, journal: Journal, namespace: str) -> None:
        self._journal = journal
        self._namespace = namespace

    async def get(self, key: str) -> str | None:
        return await self._journal.get(self._namespace, key)

    async def set(self, key: str, value: str | None) -> None:
        await self._journal.set(self._namespace, key, value)


class PartHost(Host):
    """What one component is given of the house."""

    def __init__(self, part: Part, facilities: Facilities, neighbours: Neighbours, *, language: str) -> None:
        self.name = part.name
        self.language = language
        self.timezone = facilities.timezone
        self.clock = facilities.clock
        self.log = logging.getLogger(f"vonad.{part.group}.{part.name}")
        self.config_dir = facilities.directories.config
        self.cache_dir = facilities.directories.cache / part.name
        self.store = PartStore(facilities.journal, f"{part.group}.{part.name}")
        self.service = facilities.voice
        self._satellites = facilities.satellites
        self._neighbours = neighbours

    @property
    def satellites(self) -> Sequence[str]:
        return self._satellites()

    @property
    def sentences(self) -> Sentences:
        return self._neighbours.catalogue.sentences

    def engines(self, role: Role) -> Sequence[str]:
        return self._neighbours.engines(role)

    def engine(self, role: Role, name: str) -> AbstractAsyncContextManager[object]:  # type: ignore[override]
        return self._neighbours.pool(role, name)
