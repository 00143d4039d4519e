"""One hook of one plugin: whether it is a function that can be called, and what it leaves with the registrar."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import CoroutineType, MappingProxyType

from vonad.errors import VonadError
from vonad.hookspecs import Registrar
from vonad.plugins.offer import Group

REGISTER: Mapping[str, Group] = MappingProxyType(
    {
        "register_transports": "transports",
        "register_backends": "backends",
        "register_engines": "engines",
        "register_skills": "skills",
        "register_frontends": "frontends",
    }
)
"""The hooks that the loader itself calls, plugin by plugin, and the group that each one fills."""


@dataclass(frozen=True, slots=True)
class Hook:
    """An implementation. arguments: the names it takes; wrapper: it runs around the others, as a generator."""

    name: str
    function: Callable[..., object]
    arguments: Sequence[str]
    wrapper: bool

    def check(self, known: Sequence[str]) -> None:
        """Raises plugin_error for what could never work."""
        if self.name not in known:
            near = get_close_matches(self.name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the hooks are {', '.join(known)}"
            raise VonadError("plugin_error", f"there is no hook {self.name}; {hint}")
        if inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function):
            raise VonadError("plugin_error", f"{self.name} must be a plain function, not async: nobody awaits a hook")
        if inspect.isgeneratorfunction(self.function) and not self.wrapper:
            raise VonadError("plugin_error", f"{self.name} must be a plain function: with yield in it, it never runs")
        if self.wrapper and self.name in REGISTER:
            raise VonadError("plugin_error", f"{self.name} cannot be a wrapper: every plugin registers its own")

    def register(self, registrar: Registrar) -> None:
        """Call a `register_` hook. Raises plugin_error for an answer nobody wants, and whatever the plugin raises."""
        answer = self.function(*([registrar] if self.arguments else []))
        if isinstance(answer, CoroutineType):
            answer.close()
            raise VonadError("plugin_error", f"{self.name} returned a coroutine: call plain functions in it")
        if answer is not None:
            raise VonadError("plugin_error", f"{self.name} must return nothing: offers go to registrar.add")
