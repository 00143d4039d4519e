"""plugins: what was found, where it comes from, and why it does not run."""

from pathlib import Path
from typing import Annotated

import typer

from vonad.cli.client import Daemon, NoDaemon, records
from vonad.cli.output import print_json, print_table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="PATH", help="Without a daemon: this configuration's.")
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        name="plugins",
        help="Every plugin found: origin, version, what it offers, running or why not.",
        epilog="Example: vonad plugins --json",
    )
    group.callback(invoke_without_command=True)(_plugins)
    group.command("list", epilog="Example: vonad plugins list")(show)
    app.add_typer(group)


def _plugins(ctx: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    if ctx.invoked_subcommand is None:
        show(as_json=as_json, config=config)


def show(as_json: AsJson = False, config: Config = None) -> None:
    """The plugins of the running daemon; without one, those that a daemon would load."""
    found = _without_daemon(config) if config is not None else _of_daemon()
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["name"],
            one["origin"],
            one["version"],
            one["offers"],
            _status(running=bool(one["running"]), reason=str(one["reason"])),
        )
        for one in found
    ]
    print_table(("plugin", "origin", "version", "offers", "status"), rows, empty="no plugins were found")


def _status(*, running: bool, reason: str) -> str:
    if running:
        return f"running, but {reason}" if reason else "running"
    return f"not running: {reason}"


def _of_daemon() -> list[dict[str, object]]:
    try:
        with Daemon() as daemon:
            return records(daemon.get("/api/plugins"))
    except NoDaemon:
        return _without_daemon(None)


def _without_daemon(config: Path | None) -> list[dict[str, object]]:
    """Load them here, as a daemon would."""
    from dataclasses import asdict

    from vonad.cli.inspection import inspect

    return [asdict(status) for status in inspect(config).plugins.statuses]
