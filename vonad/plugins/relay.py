"""The relay: who has a say in a policy hook, one by one, so that a fault and a delay can be put down to its plugin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pluggy


@dataclass(frozen=True, slots=True)
class Say:
    """One plugin's implementation of a hook. arguments: the names it takes."""

    function: Callable[..., object]
    arguments: Sequence[str]

    def __call__(self, **about: object) -> object:
        return self.function(*(about[name] for name in self.arguments))


class PolicyRelay:
    """The policy hooks of all plugins together; the plugin loaded last is asked first, and who is `trylast` last."""

    def __init__(self, hooks: pluggy.HookRelay) -> None:
        self._hooks = hooks

    def says(self, hook: str) -> Sequence[tuple[str, Callable[..., object]]]:
        """(plugin, what to call with the hook's arguments by name), in the order of asking.

        What it raises comes out as it is. Where a plugin wraps the others they can only be asked together.
        """
        caller: pluggy.HookCaller = getattr(self._hooks, hook)
        implementations = caller.get_hookimpls()[::-1]
        if any(own.wrapper or own.hookwrapper for own in implementations):
            return [(" or ".join(own.plugin_name for own in implementations), caller)]
        return [(own.plugin_name, Say(own.function, own.argnames)) for own in implementations]
