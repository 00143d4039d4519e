"""The daemon is a function: `serve` composes everything above into one nested scope, and takes it down in reverse."""

import asyncio
import importlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from vonad import __version__
from vonad.bus import Bus
from vonad.clock import Clock, SystemClock
from vonad.directories import Directories
from vonad.errors import VonadError
from vonad.history import open_journal
from vonad.identity import identity
from vonad.instance import only_one
from vonad.mqtt.broker import choose_broker
from vonad.mqtt.frontend import serve_mqtt
from vonad.plugins import Plugins
from vonad.reload import Reload
from vonad.runtime import Runtime
from vonad.service import House, Service, SessionService
from vonad.settings import Loaded, Settings
from vonad.settings.component_check import refuse_or_warn

log = logging.getLogger(__name__)

DATABASE = "vonad.db"
SOCKET = "vonad.sock"


@dataclass(slots=True)
class Requests:
    """What the outside asks of a running daemon."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)


async def serve(
    loaded: Loaded,
    places: Directories,
    requests: Requests,
    *,
    environ: Mapping[str, str],
    clock: Clock | None = None,
    started: Callable[[Service], None] = lambda _: None,
) -> None:
    """Everything, from the first file to the last, until `requests.stop`.

    started: told once, when the parts are open and every face is served. Raises AlreadyRunning; ConfigProblems for
    component tables that their plugins refuse; store_error when the state directory or the history cannot be used.
    """
    clock = clock or SystemClock()
    settings = loaded.settings
    async with AsyncExitStack() as stack:
        stack.enter_context(only_one(places.state))
        node = identity(places.state, settings.node, socket.gethostname())
        plugins = Plugins(drop_ins=places.config / "plugins", allowed=settings.policy.plugins)
        plugins.load()
        refuse_or_warn(loaded, plugins.offers.values(), plugins.statuses)
        database = places.state / DATABASE if settings.history.enabled else None
        journal = await stack.enter_async_context(
            open_journal(database, clock=clock, retention_days=settings.history.retention_days)
        )
        bus = Bus(node.id, clock)
        runtime = Runtime(
            settings=settings,
            plugins=plugins,
            directories=places,
            timezone=local_timezone(settings.node.timezone),
            bus=bus,
            journal=journal,
            clock=clock,
        )
        reload = Reload(loaded, plugins, runtime, environ)
        sessions = SessionService(runtime, clock)
        house = House(
            runtime,
            sessions,
            node=node,
            version=__version__,
            bus=bus,
            journal=journal,
            plugins=plugins,
            clock=clock,
            reloaded=reload.now,
        )
        for action in journal.recovered:
            log.warning("skill %s had begun when vonad crashed: nobody knows whether it was done", action.name)
        journal.on_health = lambda ok, detail: house.report("history", ok=ok, detail=detail)
        service = Service(sessions, house)
        broker = await stack.enter_async_context(choose_broker(settings.mqtt, places.state, report=house.report))
        faces_stop, parts_open, web_serves = asyncio.Event(), asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            web = _web(settings, service, places.runtime, stop=faces_stop, ready=web_serves)
            group.create_task(web, name="web")
            if broker is not None:
                mqtt = serve_mqtt(settings.mqtt, service, broker, node=node, clock=clock, stop=faces_stop)
                group.create_task(mqtt, name="mqtt")
            group.create_task(reload.on_request(requests.reload, house), name="reload")
            group.create_task(_ready((parts_open, web_serves), service, started), name="ready")
            await runtime.run(requests.stop, parts_open.set)
            faces_stop.set()
            reload.end()


async def _web(
    settings: Settings, service: Service, runtime: Path, *, stop: asyncio.Event, ready: asyncio.Event
) -> None:
    """A house that cannot be reached over HTTP still answers people."""
    # The libraries take a third of a second to import: that is done beside the engines that load.
    server = await asyncio.to_thread(importlib.import_module, "vonad.web.server")
    try:
        _make(runtime)
        await server.serve_web(settings, service, socket_path=runtime / SOCKET, stop=stop, ready=ready)
    except (VonadError, OSError) as error:
        detail = error.message if isinstance(error, VonadError) else f"{runtime}: {error.strerror or error}"
        log.error("HTTP: %s", detail)  # noqa: TRY400  (a sentence for the owner)
        service.house.report("web", ok=False, detail=detail)
        ready.set()


def _make(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


async def _ready(conditions: tuple[asyncio.Event, ...], service: Service, started: Callable[[Service], None]) -> None:
    for condition in conditions:
        await condition.wait()
    service.house.now_ready()
    started(service)


def local_timezone(name: str | None) -> ZoneInfo:
    """The one named, else the machine's, else UTC."""
    link = Path("/etc/localtime")
    machine = str(link.resolve()).partition("zoneinfo/")[2] if link.exists() else ""
    try:
        return ZoneInfo(name or os.environ.get("TZ", "").removeprefix(":") or machine or "UTC")
    except (ValueError, OSError):
        return ZoneInfo("UTC")
