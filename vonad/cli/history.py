"""history: what was said, read, searched, exported and really deleted."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from vonad.cli import past
from vonad.cli.exits import Failure
from vonad.cli.output import local_time, print_json, print_table

Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="How many at most: the latest.")
]
Search = Annotated[str | None, typer.Option(metavar="TEXT", help="Only turns with words that begin like this.")]
Satellite = Annotated[str | None, typer.Option("--satellite", "-s", metavar="ID", help="Only of this satellite.")]
Wakes = Annotated[bool, typer.Option("--wakes", help="Wakes instead of turns, also the refused ones and why.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write it like 2026-01-31 or 2026-01-31T08:00") from None


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        name="history",
        help="What was said: read, search, export, really delete.",
        epilog="Example: vonad history --search lamp --limit 5",
    )
    group.callback(invoke_without_command=True)(_history)
    group.command("list", epilog="Example: vonad history list --satellite kitchen --json")(show)
    group.command(epilog="Example: vonad history export turns.jsonl")(export)
    group.command(epilog="Example: vonad history delete --last")(delete)
    app.add_typer(group)


def _history(
    ctx: typer.Context,
    *,
    limit: Limit = 20,
    search: Search = None,
    satellite: Satellite = None,
    wakes: Wakes = False,
    as_json: AsJson = False,
) -> None:
    if ctx.invoked_subcommand is None:
        show(limit=limit, search=search, satellite=satellite, wakes=wakes, as_json=as_json)


def show(
    limit: Limit = 20, search: Search = None, satellite: Satellite = None, wakes: Wakes = False, as_json: AsJson = False
) -> None:
    """Turns, the oldest first."""
    if wakes:
        found = [one for one in past.wakes(limit) if satellite in (None, one["satellite"])]
    else:
        found = past.turns(limit, search, satellite)
    if as_json:
        print_json(found)
    elif wakes:
        rows = [
            (
                local_time(one["ts"]),
                one["satellite"],
                one["source"],
                one["phrase"],
                "accepted" if one["accepted"] else f"refused: {one['reason']}",
            )
            for one in found
        ]
        empty = f"no wakes of {satellite}" if satellite else "no wakes yet"
        print_table(("time", "satellite", "source", "phrase", "outcome"), rows, empty=empty)
    else:
        turns = [
            (local_time(one["ts"]), one["satellite"], one["transcript"], one["reply"], one["outcome"]) for one in found
        ]
        empty = "no such turn in the history" if satellite or search else "nothing was said yet"
        print_table(("time", "satellite", "said", "replied", "outcome"), turns, empty=empty)


def export(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file that is written; - is the standard output.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write every turn to a file, as it is stored: a JSON object a line; one array if its name ends in .json."""
    rows = past.everything()
    if str(path) == "-":
        for line in _lines(rows, array=False):
            sys.stdout.write(line)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if path.exists() and not force:
        raise Failure(f"{path} is there already: --force replaces it")
    try:
        # Words that were said are nobody else's.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            count = 0
            for line in _lines(rows, array=path.suffix == ".json"):
                count += line.startswith("{")
                file.write(line)
        draft.replace(path)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    print(f"{count} {'turn' if count == 1 else 'turns'} written to {path}")


def delete(
    last: Annotated[bool, typer.Option("--last", help="The latest turn.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    before: Annotated[
        datetime | None, typer.Option(metavar="DATE", parser=_date, help="What is older: 2026-01-31, 2026-01-31T08:00.")
    ] = None,
    satellite: Annotated[str | None, typer.Option("--satellite", "-s", metavar="ID", help="Of this satellite.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Really delete turns: nothing of them remains in the file."""
    which = [
        *(["the latest turn"] if last else []),
        *(["the whole history"] if everything else []),
        *([f"all turns before {before:%Y-%m-%d %H:%M}"] if before else []),
        *([f"all turns of {satellite}"] if satellite else []),
    ]
    if len(which) != 1:
        raise Failure("say what to delete: one of --last, --all, --before DATE, --satellite ID", status=2)
    if not yes:
        if not sys.stdin.isatty():
            raise Failure(f"nobody can be asked whether to delete {which[0]}: add --yes", status=2)
        typer.confirm(f"Delete {which[0]} for good?", abort=True)
    count = past.delete(last=last, everything=everything, before=before and before.astimezone(), satellite=satellite)
    print(f"{count} {'turn' if count == 1 else 'turns'} deleted")


def _lines(rows: Iterable[object], *, array: bool) -> Iterator[str]:
    if not array:
        for row in rows:
            yield json.dumps(row, ensure_ascii=False) + "\n"
        return
    yield "[\n"
    comma = ""
    for row in rows:
        if comma:
            yield comma
        yield json.dumps(row, ensure_ascii=False)
        comma = ",\n"
    yield "\n]\n"
