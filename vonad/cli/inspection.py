"""The configuration and the plugins as a daemon would find them, without one."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vonad.directories import Directories, directories
from vonad.plugins import Plugins
from vonad.settings import Loaded, load


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found."""

    loaded: Loaded
    places: Directories
    plugins: Plugins


def inspect(config: Path | None) -> Inspected:
    """Read the configuration and load the plugins it allows. Raises ConfigProblems."""
    loaded = load(config, os.environ)
    places = directories(os.environ, loaded.path)
    plugins = Plugins(drop_ins=places.config / "plugins", allowed=loaded.settings.policy.plugins)
    with _silent():
        plugins.load()
    return Inspected(loaded, places, plugins)


@contextmanager
def _silent() -> Iterator[None]:
    """What goes wrong is in the statuses: it need not be said twice."""
    log = logging.getLogger("vonad")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
