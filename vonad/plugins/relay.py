"""The relay: who has a say in a policy hook, one by one, so that a fault and a delay can be put down to its plugin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pluggy

from vonad import hookspecs
from vonad.errors import VonadError
from vonad.hookspecs import GROUP
from vonad.plugins.hook import REGISTER, Hook

ELSEWHERE = "plan_session"
"""What is decided before there is a session."""

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
        self._known: dict[str, Saying] = {}

    def says(self, hook: str) -> Saying:
        """(who, what to call), in the order of asking: with the hook's arguments by name, a Look for its session.

        What it raises comes out as it is. Where a plugin wraps the others they can only be asked together.
        """
        known = self._known.get(hook)
        if known is None:
            caller: pluggy.HookCaller = getattr(self._hooks, hook)
            known = self._known[hook] = _saying(caller, caller.get_hookimpls()[::-1])
        return known

    def anew(self) -> None:
        """Plugins have come or gone."""
        self._known.clear()


def _saying(caller: pluggy.HookCaller, implementations: Sequence[pluggy.HookImpl]) -> Saying:
    if any(own.wrapper or own.hookwrapper for own in implementations):
        return [("plugin " + " or ".join(own.plugin_name for own in implementations), AllSay(caller))]
    return [(f"plugin {own.plugin_name}", Say(own.function, own.argnames)) for own in implementations]


class SessionHooks:
    """One object's methods under @hookimpl, which have a say in one session.

    who: what a fault is put down to.

    Raises plugin_error for what could never be asked, naming it and those that could.
    """

    def __init__(self, hooks: object, who: str) -> None:
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        known = sorted(name for name in vars(manager.hook) if hasattr(hookspecs, name))
        asked = [name for name in known if name not in REGISTER and name != ELSEWHERE]
        self._says: dict[str, Say] = {}
        try:
            manager.register(hooks, name=who)
            for caller in manager.get_hookcallers(hooks) or ():
                for own in caller.get_hookimpls():
                    hook = Hook(caller.name, own.function, own.argnames, own.wrapper or own.hookwrapper)
                    if hook.name in known and hook.name not in asked:
                        raise VonadError(
                            "plugin_error", f"{hook.name} is not asked in a session: {', '.join(asked)} are"
                        )
                    hook.check(asked)
                    if hook.wrapper:
                        raise VonadError("plugin_error", f"{hook.name} cannot be a wrapper: it is asked alone")
                    self._says[hook.name] = Say(own.function, own.argnames)
            manager.check_pending()
        except VonadError as error:
            raise VonadError("plugin_error", f"{who}: {error.message}", op="hooks") from None
        except Exception as error:  # its attributes are looked at, and they are foreign code
            raise VonadError("plugin_error", f"{who}: {' '.join(str(error).split())}", op="hooks") from error
        if not self._says:
            why = f"no method of it is under @hookimpl (from vonad import hookimpl); there are {', '.join(asked)}"
            raise VonadError("plugin_error", f"{who}: {why}", op="hooks")
        self._who = who

    def says(self, hook: str) -> Saying:
        """It alone, if it has a say in this; called as those of plugins."""
        own = self._says.get(hook)
        return [] if own is None else [(self._who, own)]
