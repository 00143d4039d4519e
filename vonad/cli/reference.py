"""The command line's reference as Markdown: what docs/cli.md holds, and what a test compares it with."""

import inspect
from collections.abc import Iterator, Mapping

from typer.main import get_command

from vonad.cli.app import build
from vonad.cli.exits import ALREADY_RUNNING, BAD_CONFIGURATION, FAILED, NO_DAEMON, OK

STATUSES: Mapping[int, str] = {
    OK: "done",
    FAILED: "it could not be done; a sentence on the standard error says why",
    2: "the command line itself is wrong",
    NO_DAEMON: "no daemon answers",
    ALREADY_RUNNING: "another daemon is running",
    BAD_CONFIGURATION: "the configuration cannot be used",
}
"""Exit status → what it means."""


def commands() -> list[str]:
    """Every command that can be given, groups by their first word: `ask`, `history`, `history export`."""
    return [name.removeprefix("vonad ") for name, _ in _walk("vonad", get_command(build())) if name != "vonad"]


def reference() -> str:
    """The whole reference."""
    lines = ["# The command line", "", "Made from the commands themselves by `vonad.cli.reference`; do not edit.", ""]
    for name, command in _walk("vonad", get_command(build())):
        lines += [f"## `{name}`", "", inspect.cleandoc(getattr(command, "help", None) or ""), ""]
        rows = list(_parameters(command))
        if rows:
            lines += ["| | |", "|---|---|", *rows, ""]
        if example := (getattr(command, "epilog", None) or "").partition(": ")[2]:
            lines += ["```", example, "```", ""]
    lines += ["## Exit status", "", "| status | means |", "|---|---|"]
    lines += [f"| {status} | {means} |" for status, means in STATUSES.items()]
    return "\n".join(lines) + "\n"


def _walk(name: str, command: object) -> Iterator[tuple[str, object]]:
    yield name, command
    below = getattr(command, "commands", {})
    for word, child in below.items():
        yield from _walk(f"{name} {word}", child)


def _parameters(command: object) -> Iterator[str]:
    for parameter in getattr(command, "params", ()):
        if getattr(parameter, "hidden", False):
            continue
        metavar = parameter.metavar or ("" if getattr(parameter, "is_flag", False) else parameter.name.upper())
        if parameter.param_type_name == "argument":
            form = metavar
        else:
            form = ", ".join([*parameter.opts, *parameter.secondary_opts]) + (f" {metavar}" if metavar else "")
        yield f"| `{form}` | {getattr(parameter, 'help', None) or ''} |"
