"""The relay: who has a say in a policy hook, one by one, so that a fault and a delay can be put down to its plugin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pluggy

Saying = Sequence[tuple[str, Callable[..., object]]]


@dataclass(frozen=True, slots=True)
class Say:
    """One plugin's implementation of a hook. arguments: the names it takes."""

    function: Callable[..., object]
    arguments: Sequence[str]

    def __call__(self, **about: object) -> object:
        if "session" in self.arguments:
            look = about["session"]
            assert callable(look)
            about["session"] = look()
        return self.function(*[about[name] for name in self.arguments])


@dataclass(frozen=True, slots=True)
class AllSay:
    """All plugins' implementations of a hook, which can only be asked together: one wraps the others."""

    caller: pluggy.HookCaller

    def __call__(self, **about: object) -> object:
        if callable(look := about.get("session")):
            about["session"] = look()
        return self.caller(**about)


class PolicyRelay:
    """The policy hooks of all plugins together; the plugin loaded last is asked first, and who is `trylast` last."""

    def __init__(self, hooks: pluggy.HookRelay) -> None:
        self._hooks = hooks
        self._known: dict[str, tuple[list[pluggy.HookImpl], Saying]] = {}

    def says(self, hook: str) -> Saying:
        """(plugin, what to call), in the order of asking: with the hook's arguments by name, a Look for its session.

        What it raises comes out as it is. Where a plugin wraps the others they can only be asked together.
        """
        caller: pluggy.HookCaller = getattr(self._hooks, hook)
        implementations = caller.get_hookimpls()
        known = self._known.get(hook)
        if known is None or known[0] != implementations:  # plugins come and go
            known = self._known[hook] = (implementations, _saying(caller, implementations[::-1]))
        return known[1]


def _saying(caller: pluggy.HookCaller, implementations: Sequence[pluggy.HookImpl]) -> Saying:
    if any(own.wrapper or own.hookwrapper for own in implementations):
        return [(" or ".join(own.plugin_name for own in implementations), AllSay(caller))]
    return [(own.plugin_name, Say(own.function, own.argnames)) for own in implementations]
