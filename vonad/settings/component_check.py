"""The component tables against what the plugins offer: what only they know about the configuration."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Protocol

from pydantic import BaseModel, ValidationError

from vonad.host import Component
from vonad.settings import COMPONENTS, ComponentTable, Loaded
from vonad.settings.problem import ConfigProblems, Problem, in_order, suggestion
from vonad.settings.validation import findings, is_secret, unknown_keys

log = logging.getLogger(__name__)

CASCADE = ("stt", "agent", "tts")
"""Roles of the engines that a backend is built from: its setting of this name lists them."""


class Offered(Protocol):
    """What a plugin offers: a component of one of the groups."""

    @property
    def group(self) -> str:
        """The table its components stand in."""

    @property
    def kind(self) -> str:
        """What the configuration calls it."""

    @property
    def settings(self) -> type[BaseModel]:
        """The model of its table."""

    @property
    def factory(self) -> object:
        """What opens it."""

    @property
    def role(self) -> str | None:
        """Of an engine: what it does."""


class Found(Protocol):
    """A plugin that was found, running or not."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def running(self) -> bool:
        """Whether it was loaded."""

    @property
    def reason(self) -> str:
        """Why not."""


def check_components(loaded: Loaded, offers: Iterable[Offered], plugins: Iterable[Found]) -> list[Problem]:
    """Everything wrong with the component tables and with the names that other tables mention.

    A default that no plugin offers is no problem of the configuration: nobody wrote it.
    """
    check = _Check(loaded, {(offer.group, offer.kind): offer for offer in offers}, plugins)
    return list(in_order([*check.tables(), *check.names()]))


def refuse_or_warn(loaded: Loaded, offers: Iterable[Offered], plugins: Iterable[Found]) -> None:
    """Log what is missing through no fault of the configuration. Raises ConfigProblems when anything else is wrong."""
    problems = check_components(loaded, offers, plugins)
    if any(problem.fatal for problem in problems):
        raise ConfigProblems(problems)
    for problem in problems:
        log.warning("%s", problem)


class _Check:
    def __init__(self, loaded: Loaded, offers: Mapping[tuple[str, str], Offered], plugins: Iterable[Found]) -> None:
        self._settings = loaded.settings
        self._sources = loaded.lines
        self._offers = offers
        found = {plugin.name: plugin for plugin in plugins}
        self._idle = {plugin.name: plugin.reason for plugin in found.values() if not plugin.running}
        self._plugins = sorted(found)
        allowed = self._settings.policy.plugins or ()
        self._strange = [number for number, name in enumerate(allowed) if name not in found]

    def tables(self) -> Iterator[Problem]:
        for group in COMPONENTS:
            for name, table in self._group(group).items():
                if not table.enabled:
                    continue
                if offer := self._offers.get((group, table.kind or name)):
                    yield from self._table((group, name), table, offer)
                elif self._strange and self._idle:
                    continue  # its plugin may be the one whose name is mistyped: that is told
                elif self._sources.given((group, name)):
                    place = (group, name, "kind") if table.kind else (group, name)
                    yield self._unoffered(place, table.kind or name)

    def names(self) -> Iterator[Problem]:
        session, wake = self._settings.session, self._settings.wake
        yield from self._allowed()
        yield from self._backends(("session", "backends"), session.backends)
        for satellite, table in self._settings.satellites.items():
            yield from self._backends(("satellites", satellite, "backends"), table.backends or ())
            yield from self._skills(("satellites", satellite, "skills"), table.skills or ())
        yield from self._engine(("session", "vad"), session.vad, "vad")
        if wake.words or any(table.wake_words for table in self._settings.satellites.values()):
            yield from self._engine(("wake", "engine"), wake.engine, "wake")

    def _group(self, group: str) -> Mapping[str, ComponentTable]:
        tables: Mapping[str, ComponentTable] = getattr(self._settings, group)
        return tables

    def _table(self, place: tuple[str, str], table: ComponentTable, offer: Offered) -> Iterator[Problem]:
        given, model = table.given, offer.settings
        for inner, message in unknown_keys(model, given):
            yield self._sources.problem((*place, *inner), message)
        try:
            settings = model.model_validate(given)
            if place[0] == "backends":
                yield from self._cascade(place, settings)
            if isinstance(offer.factory, type) and issubclass(offer.factory, Component):
                for inner, message in offer.factory.missing(settings):  # it may come: everything else can run
                    yield replace(self._sources.problem((*place, *inner), message), fatal=False)
        except ValidationError as error:
            for inner, message in findings(model, given, error):
                yield self._sources.problem((*place, *inner), message)
        except Exception as error:
            yield self._sources.problem(place, f"its plugin could not check it ({type(error).__name__})")
        for key in given:
            if is_secret(model, (key,)) and (exposed := self._sources.exposed((*place, key))):
                yield exposed

    def _unoffered(self, place: tuple[str, ...], kind: str) -> Problem:
        """A kind that nobody offers: a slip, or the plugin that would have does not run, which stops nothing else."""
        one = place[0].removesuffix("s")
        if kind in self._idle:
            message = f"no {one} {kind!r}: the plugin {kind} does not run: {self._idle[kind]}"
            return replace(self._sources.problem(place, message), fatal=False)
        kinds = [offered for group, offered in self._offers if group == place[0]]
        message = f"no plugin offers {'an' if one == 'engine' else 'a'} {one} {kind!r}; {suggestion(kind, kinds)}"
        if self._idle and not get_close_matches(kind, kinds):
            message += f"; these plugins do not run: {', '.join(sorted(self._idle))}"
            return replace(self._sources.problem(place, message), fatal=False)
        return self._sources.problem(place, message)

    def _allowed(self) -> Iterator[Problem]:
        """A plugin that is not there cannot run, which stops nothing else."""
        for number in self._strange:
            name = (self._settings.policy.plugins or ())[number]
            message = f"no plugin {name!r}; {suggestion(name, self._plugins)}"
            yield replace(self._sources.problem(("policy", "plugins", number), message), fatal=False)

    def _cascade(self, place: tuple[str, str], settings: BaseModel) -> Iterator[Problem]:
        """The engines that a backend names, as far as its owner wrote them. One may do without some."""
        for role in CASCADE:
            names: object = getattr(settings, role, None)
            if isinstance(names, list) and self._sources.given((*place, role)):
                for number, name in enumerate(names):
                    for problem in self._engine((*place, role, number), str(name), role):
                        yield replace(problem, fatal=False)

    def _backends(self, place: tuple[str, ...], names: Sequence[str]) -> Iterator[Problem]:
        for number, name in enumerate(names):
            if message := self._missing("backends", name):
                yield self._sources.problem((*place, number), message)

    def _skills(self, place: tuple[str, ...], names: Sequence[str]) -> Iterator[Problem]:
        """A skill that nobody offers cannot run, which stops nothing else."""
        kinds = {kind for group, kind in self._offers if group == "skills"} | set(self._settings.skills)
        for number, name in enumerate(names):
            if name not in kinds:
                message = f"no plugin offers a skill {name!r}; {suggestion(name, sorted(kinds))}"
                yield replace(self._sources.problem((*place, number), message), fatal=False)

    def _engine(self, place: tuple[str | int, ...], name: str, role: str) -> Iterator[Problem]:
        if message := self._missing("engines", name):
            yield self._sources.problem(place, message)
            return
        offer = self._offers.get(("engines", self._settings.engines[name].kind or name))
        if offer is not None and offer.role != role:
            fitting = [
                known
                for known, table in self._settings.engines.items()
                if (other := self._offers.get(("engines", table.kind or known))) and other.role == role
            ]
            yield self._sources.problem(
                place, f"{name!r} is an engine of another kind ({offer.role}); {suggestion(name, fitting)}"
            )

    def _missing(self, group: str, name: str) -> str:
        tables = self._group(group)
        if name not in tables:
            return f"there is no [{group}.{name}]; {suggestion(name, tables)}"
        return "" if tables[name].enabled else f"[{group}.{name}] is switched off (enabled = false)"
