"""The process: gives the daemon a log, an event loop, signals, the service manager and an exit status."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import uvloop

from vonad import __version__
from vonad.clock import SystemClock
from vonad.daemon import Requests, serve
from vonad.directories import Directories, directories
from vonad.errors import VonadError, first_error
from vonad.garbage import collect_at_rest
from vonad.instance import InstanceTaken
from vonad.mqtt.presence import AlreadyRunning
from vonad.service import Service
from vonad.settings import Loaded, load
from vonad.settings.problem import ConfigProblems
from vonad.systemd import Notify, watchdog

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_ALREADY_RUNNING = 75
EXIT_BAD_CONFIGURATION = 78

LAST_DEADLINE_S = 12.0
"""From the signal to the end of the process, whatever refuses to end."""

NOISY = ("httpx", "uvicorn", "aiosqlite", "asyncio", "amqtt", "transitions.core")
"""Libraries whose everyday news is not the owner's."""


def run(config: Path | None, environ: Mapping[str, str]) -> int:
    """The daemon in the foreground, until a signal; its exit status."""
    try:
        loaded = load(config, environ)
    except ConfigProblems as problems:
        print(problems.message, file=sys.stderr)  # noqa: T201  (there is no log yet)
        return EXIT_BAD_CONFIGURATION
    _log_to_stderr(loaded.settings.log.level, environ)
    status = 0
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(loaded, directories(environ, loaded.path), environ))
    except* ConfigProblems as errors:
        print(first_error(errors).message, file=sys.stderr)  # noqa: T201  (as `vonad check` shows them)
        status = EXIT_BAD_CONFIGURATION
    except* (InstanceTaken, AlreadyRunning) as errors:
        log.error("%s", first_error(errors).message)  # noqa: TRY400
        status = EXIT_ALREADY_RUNNING
    except* VonadError as errors:
        log.error("%s", first_error(errors).message)  # noqa: TRY400
        status = EXIT_FAILED
    return status


async def _until_signalled(loaded: Loaded, places: Directories, environ: Mapping[str, str]) -> None:
    loop = asyncio.get_running_loop()
    requests, clock = Requests(), SystemClock()
    notify = Notify(environ)

    def stop(name: str) -> None:
        if requests.stop.is_set():
            return
        log.info("%s: stopping", name)
        notify.stopping()
        requests.stop.set()
        last = threading.Timer(LAST_DEADLINE_S, os._exit, (EXIT_FAILED,))
        last.daemon = True
        last.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, requests.reload.set)

    def started(service: Service) -> None:
        log.info("vonad %s is ready as node %s", __version__, service.house.node.id)
        beside.append(group.create_task(collect_at_rest(clock, service.sessions.busy), name="garbage"))
        notify.ready()

    async with asyncio.TaskGroup() as group:
        # The loop itself pings: one that is stuck does not, and is restarted.
        beside = [group.create_task(watchdog(notify, clock, lambda: True), name="watchdog")]
        await serve(loaded, places, requests, environ=environ, clock=clock, started=started)
        for task in beside:
            task.cancel()
    log.info("stopped")


def _log_to_stderr(level: str, environ: Mapping[str, str]) -> None:
    stamp = "" if environ.get("JOURNAL_STREAM") else "%(asctime)s "  # the journal stamps its lines itself
    logging.basicConfig(level=level, format=f"{stamp}%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mqtt").setLevel(logging.ERROR)  # aiomqtt's: the link says itself what becomes of a connection
