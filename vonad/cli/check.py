"""check: the configuration, with all its problems at once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vonad.cli.exits import BAD_CONFIGURATION
from vonad.settings.problem import ConfigProblems, Problem, in_order


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: vonad check --config /etc/vonad/vonad.toml")(check)


def check(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="PATH", help="The file; otherwise the one a daemon would use.")
    ] = None,
) -> None:
    """Validate the configuration: every problem with its file and line. Exit status 78 if there are any."""
    from vonad.cli.inspection import look
    from vonad.cli.trial import trial
    from vonad.settings.component_check import check_components
    from vonad.sounds import read_cues

    try:
        found = look(config)
    except ConfigProblems as error:
        raise _bad(error.problems) from None
    statuses = found.plugins.statuses
    problems = [*found.problems, *check_components(found.loaded, found.plugins.offers.values(), statuses)]
    tried = asyncio.run(trial(found))
    told = {problem.where.partition(" ")[0] for problem in problems}
    problems += [problem for problem in tried.problems if problem.where not in told]
    if problems:
        raise _bad(in_order(problems))
    for warning in tried.warnings:
        print(f"warning: {warning}")
    for status in statuses:
        if not status.running:
            print(f"warning: plugin {status.name} does not run: {status.reason}")
    _, wrong = read_cues(found.loaded.settings.sounds, found.places.config)
    for sentence in wrong:
        print(f"warning: {sentence}")
    print(f"{found.loaded.path or 'the defaults (there is no vonad.toml)'}: no problems")


def _bad(problems: Sequence[Problem]) -> typer.Exit:
    for problem in problems:
        print(problem)
    print(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}")
    return typer.Exit(BAD_CONFIGURATION)
