"""Reload: reads the configuration and the drop-in plugins again; the runtime takes them up, or nothing changes."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from vonad.errors import VonadError
from vonad.plugins import Plugins
from vonad.runtime import Runtime
from vonad.service import House
from vonad.settings import Loaded, load
from vonad.settings.component_check import refuse_or_warn

log = logging.getLogger(__name__)

FIXED = ("node", "mqtt", "web", "history", "log")
"""Tables that are read once: a change in them takes a restart."""


class Reload:
    """One reload at a time."""

    def __init__(self, loaded: Loaded, plugins: Plugins, runtime: Runtime, environ: Mapping[str, str]) -> None:
        self._loaded = loaded
        self._plugins = plugins
        self._runtime = runtime
        self._environ = environ
        self._one_at_a_time = asyncio.Lock()
        self._waiting: asyncio.Task[None] | None = None

    async def now(self) -> list[str]:
        """The labels of the parts that changed. Raises ConfigProblems: then everything stays as it was."""
        async with self._one_at_a_time:
            loaded = load(self._loaded.path, self._environ)
            self._refresh_drop_ins()
            refuse_or_warn(loaded, self._plugins.offers.values(), self._plugins.statuses)
            for table in FIXED:
                if getattr(loaded.settings, table) != getattr(self._loaded.settings, table):
                    log.warning("[%s] has changed: that takes a restart", table)
            if loaded.settings.policy.plugins != self._loaded.settings.policy.plugins:
                log.warning("[policy] plugins has changed: that takes a restart")
            self._loaded = loaded
            changed = await self._runtime.configure(loaded.settings)
            log.info("reloaded: %s", ", ".join(changed) or "nothing has changed")
            return changed

    async def on_request(self, asked: asyncio.Event, house: House) -> None:
        """Reload each time it is asked for, until `end`."""
        self._waiting = asyncio.current_task()
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asked.wait()
                asked.clear()
                try:
                    await house.reload()
                except VonadError as error:
                    log.error("not reloaded, everything stays as it was: %s", error.message)  # noqa: TRY400
                    house.error(error.code, error.message, op="reload")

    def end(self) -> None:
        """Take no more requests."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _refresh_drop_ins(self) -> None:
        for status in self._plugins.statuses:
            if status.origin != "drop-in":
                continue
            try:
                self._plugins.reload(status.name)
            except VonadError:  # its file is gone
                with contextlib.suppress(VonadError):
                    self._plugins.unload(status.name)
        self._plugins.load()
