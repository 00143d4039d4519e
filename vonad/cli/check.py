"""check: the configuration, with all its problems at once."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vonad.cli.exits import BAD_CONFIGURATION
from vonad.problem import ConfigProblems, Problem


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: vonad check --config /etc/vonad/vonad.toml")(check)


def check(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="PATH", help="The file; otherwise the one a daemon would use.")
    ] = None,
) -> None:
    """Validate the configuration: every problem with its file and line. Exit status 78 if there are any."""
    from vonad.component_check import check_components
    from vonad.directories import directories
    from vonad.plugins import Plugins
    from vonad.settings import load

    # What keeps a plugin from running is told as a problem of the tables that want it.
    logging.getLogger("vonad").setLevel(logging.CRITICAL)
    try:
        loaded = load(config, os.environ)
    except ConfigProblems as error:
        raise _bad(error.problems) from None
    plugins = Plugins(
        drop_ins=directories(os.environ, loaded.path).config / "plugins", allowed=loaded.settings.policy.plugins
    )
    plugins.load()
    if problems := check_components(loaded, plugins.offers.values(), plugins.statuses):
        raise _bad(problems)
    for status in plugins.statuses:
        if not status.running:
            print(f"warning: plugin {status.name} does not run: {status.reason}")
    print(f"{loaded.path or 'the defaults (there is no vonad.toml)'}: no problems")


def _bad(problems: Sequence[Problem]) -> typer.Exit:
    for problem in problems:
        print(problem)
    print(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}")
    return typer.Exit(BAD_CONFIGURATION)
