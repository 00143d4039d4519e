"""Plugins: finds them, loads each on its own, and knows for every one what it offers or why it does not run."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType, ModuleType

import pluggy

from vonad import hookspecs
from vonad.errors import VonadError
from vonad.hookspecs import GROUP
from vonad.plugins.api_version import api_fault
from vonad.plugins.fault import sentence
from vonad.plugins.hook import REGISTER, Hook
from vonad.plugins.offer import Group, Offer, OfferDesk, skill_fault
from vonad.plugins.origin import Candidate, Origin, candidates
from vonad.plugins.relay import PolicyRelay, SessionHooks

__all__ = ["Group", "Offer", "PluginStatus", "Plugins", "PolicyRelay", "SessionHooks", "skill_fault"]

POLICY_NAME = "vonad's own policy"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """A plugin that was found.

    location: its file, or the module that could not be imported.
    offers:   "engine:silero", "skill:clock"; "hook:plan_session" for a say in policy.
    reason:   why it does not run; of one that runs, what is wrong with it.
    """

    name: str
    origin: Origin
    version: str
    location: str
    offers: tuple[str, ...] = ()
    running: bool = False
    reason: str = ""


class Plugins:
    """All plugins of a daemon.

    drop_ins: the folder of single files; None: there is none.
    allowed:  names of the only plugins that may be imported; None: all.
    """

    def __init__(self, *, drop_ins: Path | None, allowed: Sequence[str] | None = None) -> None:
        self._drop_ins = drop_ins
        self._allowed = allowed
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._known = sorted(name for name in vars(self._manager.hook) if hasattr(hookspecs, name))
        self._offers: dict[tuple[Group, str], Offer] = {}
        self._statuses: list[PluginStatus] = []
        self._running: dict[str, tuple[Candidate, ModuleType]] = {}
        self.hook = PolicyRelay(self._manager.hook)

    @property
    def statuses(self) -> tuple[PluginStatus, ...]:
        """Every plugin found, in the order of loading."""
        return tuple(self._statuses)

    @property
    def offers(self) -> Mapping[tuple[Group, str], Offer]:
        """What the running plugins offer, by (group, kind)."""
        return MappingProxyType(self._offers)

    def offer(self, group: Group, kind: str) -> Offer:
        """What is offered under a name. Raises not_found with the nearest one."""
        if offer := self._offers.get((group, kind)):
            return offer
        kinds = [known for of, known in self._offers if of == group]
        near = get_close_matches(kind, kinds, n=1)
        idle = next((status for status in self._statuses if status.name == kind and not status.running), None)
        if idle is not None:
            hint = f"the plugin {kind} does not run: {idle.reason}"
        elif near:
            hint = f"did you mean {near[0]}?"
        else:
            hint = f"there are: {', '.join(sorted(kinds)) or 'none'}"
        raise VonadError("not_found", f"no plugin offers {kind!r} among the {group}; {hint}", op="plugins")

    def register_policy(self, policy: object) -> None:
        """The core's own answers; their hooks are marked `trylast`."""
        self._manager.register(policy, name=POLICY_NAME)
        self.hook.anew()
        self._manager.check_pending()

    def load(self) -> None:
        """Load whatever is found and does not run yet. A plugin's fault ends in its status, never here."""
        self._statuses = [status for status in self._statuses if status.running]
        for candidate in candidates(self._drop_ins):
            running = self._running.get(candidate.name)
            if running is None or running[0] != candidate:
                self._statuses.append(self._load(candidate))

    def unload(self, name: str) -> None:
        """Take a plugin's offers and hooks away; components that are open stay so. Raises not_found."""
        if name not in self._running:
            raise self._unknown(name, self._running)
        candidate, module = self._running.pop(name)
        self._drop(candidate, module)
        self._statuses = [status for status in self._statuses if not (status.name == name and status.running)]

    def reload(self, name: str) -> PluginStatus:
        """Load a plugin from its files as they are now; what ran before is unloaded. Raises not_found."""
        found = [candidate for candidate in candidates(self._drop_ins) if candidate.name == name]
        if not found:
            raise self._unknown(name, [status.name for status in self._statuses])
        if name in self._running:
            self.unload(name)
        loaded = [self._load(candidate, again=True) for candidate in found]
        self._statuses = [*(status for status in self._statuses if status.name != name), *loaded]
        return loaded[0]

    def _load(self, candidate: Candidate, *, again: bool = False) -> PluginStatus:
        if self._allowed is not None and candidate.name not in self._allowed:
            return _status(candidate, reason="not allowed: [policy] plugins does not name it")
        try:
            module, offers = self._admit(candidate, again=again)
        except KeyboardInterrupt:  # the owner's, at the keyboard
            raise
        except BaseException as error:
            reason = sentence(error, candidate)
            log.warning("plugin %s does not run: %s", candidate, reason)
            log.debug("plugin %s", candidate, exc_info=error)
            return _status(candidate, reason=reason)
        self._running[candidate.name] = (candidate, module)
        log.info("plugin %s runs: %s", candidate, ", ".join(offers))
        return _status(candidate, module, offers)

    def _admit(self, candidate: Candidate, *, again: bool) -> tuple[ModuleType, tuple[str, ...]]:
        """Import and register; of what goes wrong nothing remains."""
        if other := self._running.get(candidate.name):
            raise VonadError("plugin_conflict", f"{other[0]} has this name already; one of them needs another")
        module = candidate.module(again=again)
        made: dict[tuple[Group, str], Offer] = {}
        try:
            if fault := api_fault(getattr(module, "VONAD_API", None)):
                raise VonadError("plugin_error", fault)
            hooks = self._register(module, candidate)
            origins = {name: str(running) for name, (running, _) in self._running.items()}
            for hook in hooks:
                if hook.name in REGISTER:
                    desk = OfferDesk(
                        REGISTER[hook.name],
                        candidate.name,
                        made=made,
                        taken=self._offers,
                        origins=origins | {candidate.name: str(candidate)},
                    )
                    with desk:
                        hook.register(desk)
        except BaseException:
            self._drop(candidate, module)
            raise
        self._offers |= made
        policy = (f"hook:{hook.name}" for hook in hooks if hook.name not in REGISTER)
        return module, (*map(str, made.values()), *policy)

    def _register(self, module: ModuleType, candidate: Candidate) -> list[Hook]:
        try:
            self._manager.register(module, name=candidate.name)
            self.hook.anew()
            hooks = [
                Hook(caller.name, own.function, own.argnames, own.wrapper or own.hookwrapper)
                for caller in self._manager.get_hookcallers(module) or ()
                for own in caller.get_hookimpls()
                if own.plugin is module
            ]
            for hook in hooks:
                hook.check(self._known)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise VonadError("plugin_error", " ".join(str(error).split())) from error
        if not hooks:
            raise VonadError("plugin_error", "it has no function under @hookimpl (from vonad import hookimpl)")
        return hooks

    def _drop(self, candidate: Candidate, module: ModuleType) -> None:
        if self._manager.is_registered(module):
            self._manager.unregister(module)
            self.hook.anew()
        self._offers = {key: offer for key, offer in self._offers.items() if offer.plugin != candidate.name}

    def _unknown(self, name: str, known: Iterable[str]) -> VonadError:
        near = get_close_matches(name, list(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(set(known))) or 'none'}"
        return VonadError("not_found", f"there is no plugin {name!r}; {hint}", op="plugins")


def _status(
    candidate: Candidate, module: ModuleType | None = None, offers: tuple[str, ...] = (), *, reason: str = ""
) -> PluginStatus:
    source = candidate.source if isinstance(candidate.source, Path) else candidate.source.value
    location = getattr(module, "__file__", None) or source
    version = candidate.version or str(getattr(module, "__version__", ""))
    return PluginStatus(
        candidate.name, candidate.origin, version, str(location), offers, running=not reason, reason=reason
    )
