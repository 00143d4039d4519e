"""The whole surface of a plugin: five ways to register something, six to have a say. All are synchronous.

A plugin is a module with `@hookimpl` functions of these names (take the arguments you need):

    from vonad import hookimpl

    @hookimpl
    def register_skills(registrar):
        registrar.add(Weather)
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pluggy
from pydantic import BaseModel

from vonad.control import ControlEvent, Decision, FallbackReason
from vonad.host import Role
from vonad.plan import Plan, Refusal, SessionView, Wake
from vonad.skill import Allow, Confirm, Deny, SkillCall

GROUP = "vonad"
"""Entry-point group of installed plugins, and pluggy's project name."""

API_VERSION = (1, 0)
"""What plugins state as `VONAD_API = ">=1,<2"`; only additions within a major version."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Registrar(ABC):
    """Where a plugin leaves what it offers."""

    @abstractmethod
    def add(
        self,
        kind: object,
        factory: object = None,
        *,
        settings: type[BaseModel] | None = None,
        role: Role | None = None,
    ) -> None:
        """Offer a component.

        kind:     what the configuration calls it (`kind = "..."`, by default its table's name); or a skill alone.
        factory:  called with (settings, host); makes an asynchronous context manager that yields the component.
        settings: the pydantic model of its table; none: it has no settings.
        role:     of an engine.

        Raises plugin_error for what is no component, plugin_conflict for a name taken, naming both origins.
        """


@hookspec
def register_transports(registrar: Registrar) -> None:
    """Offer transports."""


@hookspec
def register_backends(registrar: Registrar) -> None:
    """Offer backends."""


@hookspec
def register_engines(registrar: Registrar) -> None:
    """Offer engines; each `add` names its role."""


@hookspec
def register_skills(registrar: Registrar) -> None:
    """Offer skills: `registrar.add(Weather)`."""


@hookspec
def register_frontends(registrar: Registrar) -> None:
    """Offer frontends."""


@hookspec(firstresult=True)
def plan_session(wake: Wake, active: Sequence[SessionView]) -> Plan | Refusal | None:
    """Decide what a wake becomes; None leaves it to the next. active: the sessions open now."""


@hookspec(firstresult=True)
def review_skill_call(call: SkillCall, session: SessionView) -> Allow | Deny | Confirm | None:
    """Decide whether a skill may run; None leaves it to the next."""


@hookspec(firstresult=True)
def review_control_event(event: ControlEvent, session: SessionView) -> Decision | None:
    """Decide about something a backend did other than speaking; None leaves it to the next."""


@hookspec(firstresult=True)
def should_fall_back(reason: FallbackReason, session: SessionView) -> bool | None:
    """Decide whether the next backend of the chain takes over; None leaves it to the next."""


@hookspec(firstresult=True)
def rewrite_user_text(text: str, session: SessionView) -> str | None:
    """Replace what the user said before it is answered; None leaves it."""


@hookspec(firstresult=True)
def rewrite_reply(text: str, session: SessionView) -> str | None:
    """Replace a sentence of a reply before it is spoken or shown; None leaves it."""
