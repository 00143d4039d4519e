"""What a plugin offers, and the registrar it leaves it with, which tells its author of each fault on the spot."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, get_args

from pydantic import BaseModel

from vonad.errors import VonadError
from vonad.hookspecs import Registrar
from vonad.host import Host, NoSettings, Role
from vonad.plan import SATELLITE_ID
from vonad.sentences import sentences_of
from vonad.skill import AnySkill, Risk, Skill

Group = Literal["transports", "backends", "engines", "skills", "frontends"]
Factory = Callable[[BaseModel, Host], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True)
class Offer:
    """A component that can be opened with `factory(settings, host)`.

    settings: the model of its table.
    role:     of an engine.
    plugin:   who offers it.
    skill:    the class, where a skill was offered as one.
    """

    group: Group
    kind: str
    factory: Factory
    settings: type[BaseModel]
    role: Role | None
    plugin: str
    skill: type[AnySkill] | None = None

    def __str__(self) -> str:
        return f"{self.group.removesuffix('s')}:{self.kind}"


class OfferDesk(Registrar):
    """One plugin's registrar for one group. Offers wait in `made` until the loader takes them over.

    taken:   what is offered already.
    origins: of plugins by name, for the message when two offer the same.
    """

    def __init__(
        self,
        group: Group,
        plugin: str,
        *,
        made: dict[tuple[Group, str], Offer],
        taken: Mapping[tuple[Group, str], Offer],
        origins: Mapping[str, str],
    ) -> None:
        self._group = group
        self._plugin = plugin
        self._made = made
        self._taken = taken
        self._origins = origins
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False

    def add(
        self,
        kind: object,
        factory: object = None,
        *,
        settings: type[BaseModel] | None = None,
        role: Role | None = None,
    ) -> None:
        if not self._open:
            raise self._fault("registrar.add may only be called inside of the register_ function that got it")
        if factory is None and not isinstance(kind, str):
            kind, factory = self._name_of(kind), kind
        skill = self._skill(factory)
        model = NoSettings if settings is None else settings
        if not isinstance(kind, str) or not SATELLITE_ID.fullmatch(kind):
            raise self._fault(f"the kind {kind!r} must be a text of a-z, 0-9, _ and -, at most 64 of them")
        if not callable(factory):
            raise self._fault(f"{kind}: the second argument must be what is called with (settings, host): {factory!r}")
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise self._fault(f"{kind}: settings must be a pydantic model class, not {model!r}")
        self._check_role(kind, role)
        key = (self._group, kind)
        if other := self._made.get(key) or self._taken.get(key):
            raise VonadError(
                "plugin_conflict",
                f"{self._group.removesuffix('s')} {kind!r} is offered by {self._origins[other.plugin]} already; "
                f"{self._origins[self._plugin]} cannot offer it too",
                op=self._plugin,
            )
        self._made[key] = Offer(self._group, kind, factory, model, role, self._plugin, skill)

    def _name_of(self, skill: object) -> object:
        """A skill passed alone brings its name."""
        if self._group != "skills":
            raise self._fault(f"write registrar.add('name', {getattr(skill, '__name__', skill)}, …)")
        if not (isinstance(skill, type) and issubclass(skill, Skill)):
            remedy = "decorate it with @skill(…)" if inspect.isroutine(skill) else "pass a class made from vonad.Skill"
            raise self._fault(f"{getattr(skill, '__name__', repr(skill))} is no skill: {remedy}")
        return getattr(skill, "name", None)

    def _skill(self, factory: object) -> type[AnySkill] | None:
        if not (isinstance(factory, type) and issubclass(factory, Skill)):
            return None
        if self._group != "skills":
            raise self._fault(f"{factory.__name__} is a skill: offer it in register_skills")
        if fault := skill_fault(factory):
            raise self._fault(f"skill {factory.__name__}: {fault}")
        return factory

    def _check_role(self, kind: str, role: Role | None) -> None:
        if self._group == "engines":
            if role not in get_args(Role):
                raise self._fault(f"{kind}: role must be one of {', '.join(get_args(Role))}, not {role!r}")
        elif role is not None:
            raise self._fault(f"{kind}: only engines have a role")

    def _fault(self, message: str) -> VonadError:
        return VonadError("plugin_error", message, op=self._plugin)


def skill_fault(skill: type[AnySkill]) -> str:
    """What is wrong with a skill's declarations; empty when nothing is."""
    for attribute in ("name", "description"):
        value = getattr(skill, attribute, None)
        if not (isinstance(value, str) and value.strip()):
            return f"it needs {attribute} = '…'"
    if inspect.isabstract(skill) or not inspect.iscoroutinefunction(skill.run):
        return "it needs `async def run(self, args, call)`"
    arguments: object = skill.Args
    if not (isinstance(arguments, type) and issubclass(arguments, BaseModel)):
        return f"Args must be a pydantic model class, not {arguments!r}"
    if skill.risk not in get_args(Risk):
        return f"risk must be one of {', '.join(get_args(Risk))}, not {skill.risk!r}"
    if isinstance(skill.timeout_s, bool) or not isinstance(skill.timeout_s, int | float) or not skill.timeout_s > 0:
        return f"timeout_s must be seconds, more than 0, not {skill.timeout_s!r}"
    if isinstance(skill.sentences, str):
        return "sentences must be a list, not one text"
    try:
        sentences_of(skill.name, skill.sentences, skill.lists)
    except VonadError as error:
        return error.message
    except Exception as error:
        return f"its sentences or lists cannot be read ({error})"
    return ""
