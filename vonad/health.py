"""Health: whether the house has started, and what of it should run and does not, with the reason."""

from dataclasses import replace

from vonad.bus import Bus
from vonad.events import Event
from vonad.plugins import Plugins, PluginStatus
from vonad.runtime import Runtime


class Health:
    """What is wrong is looked up when somebody asks, but for what parts of the house report of themselves.

    ready: whether start-up is over.
    """

    def __init__(self, runtime: Runtime, plugins: Plugins, bus: Bus) -> None:
        self.ready = False
        self._runtime = runtime
        self._plugins = plugins
        self._bus = bus
        self._reported: dict[str, str] = {}

    def report(self, name: str, *, ok: bool, detail: str) -> None:
        """A part of the house says how it is; published when that changes."""
        was = self._reported.get(name)
        if ok:
            self._reported.pop(name, None)
        else:
            self._reported[name] = detail
        if was != self._reported.get(name):
            self._bus.publish(Event("backend.health", {"name": name, "ok": ok, "detail": detail}))

    def ills(self) -> dict[str, str]:
        """What does not run as it should, and why."""
        parts = {part.label: part.reason for part in self._runtime.parts.all() if not part.running}
        deaf = {
            f"satellite {satellite.id}": f"it hears no wake word: {complaint}"
            for satellite in self._runtime.lines.online
            if (complaint := satellite.wake_words.complaint)
        }
        lost = {f"[backends.{name}]": why for name, why in self._runtime.equipment.roster.lost.items()}
        return {**lost, **parts, **deaf, **self._reported}

    def plugins(self) -> list[PluginStatus]:
        """Every plugin found; one that runs, but whose backend was lost, says so."""
        lost = self._runtime.equipment.roster.lost
        why: dict[str, str] = {}
        for part in self._runtime.parts.all("backends"):
            if part.offer is not None and part.name in lost:
                why[part.offer.plugin] = f"backend {part.name} was lost: {lost[part.name]}"
        return [
            replace(status, reason=why[status.name]) if status.running and status.name in why else status
            for status in self._plugins.statuses
        ]
