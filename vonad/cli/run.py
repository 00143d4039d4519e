"""run: the daemon."""

import os
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: vonad run --config vonad.toml")(run)


def run(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="PATH", help="The configuration; otherwise the usual places.")
    ] = None,
) -> None:
    """Run the daemon in the foreground.

    SIGTERM and Ctrl-C stop it, SIGHUP reloads. Exit status 78: bad configuration; 75: already running.
    """
    from vonad import process

    raise typer.Exit(process.run(config, os.environ))
