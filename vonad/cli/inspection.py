"""The configuration and the plugins as a daemon would find them, without one."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vonad.directories import Directories, directories
from vonad.plugins import Plugins
from vonad.settings import ConfigProblems, Loaded, Problem, survey


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found. problems: of the tables that no plugin has a say in; loaded is what is left without them."""

    loaded: Loaded
    places: Directories
    plugins: Plugins
    problems: Sequence[Problem]


def inspect(config: Path | None) -> Inspected:
    """Read the configuration and load the plugins it allows. Raises ConfigProblems."""
    found = look(config)
    if found.problems:
        raise ConfigProblems(found.problems)
    return found


def look(config: Path | None) -> Inspected:
    """As `inspect`, whatever is wrong with it. Raises ConfigProblems for a file that cannot be parsed."""
    loaded, problems = survey(config, os.environ)
    places = directories(os.environ, loaded.path)
    plugins = Plugins(drop_ins=places.config / "plugins", allowed=loaded.settings.policy.plugins)
    with silent():
        plugins.load()
    return Inspected(loaded, places, plugins, problems)


@contextmanager
def silent() -> Iterator[None]:
    """For what goes wrong and is told by who looks: it need not be said twice."""
    log = logging.getLogger("vonad")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
