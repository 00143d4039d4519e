"""All commands together, or only those that are asked for."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated

import typer

from vonad import __version__

HOMES: Mapping[str, str] = {
    "run": "run",
    "demo": "demo",
    "check": "check",
    "plugins": "plugins",
    "ask": "talk",
    "say": "talk",
    "listen": "talk",
    "stop": "talk",
    "satellites": "house",
    "sessions": "house",
    "skills": "house",
    "history": "history",
    "why": "why",
    "transcribe": "speech",
    "speak": "speech",
}
"""Command → the module that registers it, in the order of the help."""


def build(arguments: Sequence[str] = ()) -> typer.Typer:
    """The application. arguments: when they begin with a known command, only its module is made ready: it is faster."""
    app = typer.Typer(
        name="vonad",
        help="The voice layer of a home server: any microphone, any brain, any skill, steerable over MQTT.",
        epilog="Example: vonad demo",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    homes = [HOMES[arguments[0]]] if arguments and arguments[0] in HOMES else dict.fromkeys(HOMES.values())
    for home in homes:
        import_module(f"vonad.cli.{home}").register(app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"vonad {__version__}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Options of no command in particular."""
