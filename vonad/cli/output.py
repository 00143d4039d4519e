"""What commands print: tables that fit a terminal, plain columns elsewhere, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime


def print_json(value: object) -> None:
    """For programs: stable, indented, UTF-8."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Rows under headers: a table on a terminal, columns elsewhere. empty: said when there are no rows."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        print(empty)
    elif sys.stdout.isatty():
        _print_rich(headers, cells)
    else:
        widths = [max(len(row[column]) for row in (headers, *cells)) for column in range(len(headers))]
        for row in ([header.upper() for header in headers], *cells):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def local_time(ts: object) -> str:
    """A time of the API as the owner's clock says it."""
    try:
        return datetime.fromisoformat(str(ts)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return str(ts)


def _print_rich(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def plain(text: str) -> str:
    """On one line, without anything a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return plain(text) or "-"
