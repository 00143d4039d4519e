"""Writes what the documents take from the code: `python -m tools.documents`. tests/test_docs.py holds them to it."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi.routing import APIRoute

from tests import ancestors
from tests.test_architecture import FLOORS
from vonad.cli.reference import reference
from vonad.errors import CODES
from vonad.events import EVENTS
from vonad.plan import REFUSALS
from vonad.web import house, satellites, sessions
from vonad.web.errors import STATUS_CODES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CLI = DOCS / "cli.md"


def events() -> Iterator[str]:
    """Every type of event with what it carries."""
    yield "| event | says | data |"
    yield "|---|---|---|"
    for name, kind in EVENTS.items():
        data = ", ".join(f"`{key}`{'°' if key in kind.words else ''}" for key in kind.data)
        yield f"| `{name}`{'' if kind.kept else ' ¹'} | {kind.says} | {data} |"


def refusals() -> Iterator[str]:
    """Every reason for which a wake is refused."""
    yield "| reason | why |"
    yield "|---|---|"
    yield from (f"| `{reason}` | {why} |" for reason, why in REFUSALS.items())


def errors() -> Iterator[str]:
    """Every error code under its HTTP status."""
    codes: dict[int, list[str]] = defaultdict(list)
    for code, status in CODES.items():
        codes[status].append(code)
    for status, code in STATUS_CODES.items():
        if code not in codes[status]:
            codes[status].append(code)
    yield "| status | codes |"
    yield "|---|---|"
    yield from (f"| {status} | {', '.join(f'`{code}`' for code in codes[status])} |" for status in sorted(codes))


def endpoints() -> Iterator[str]:
    """Every operation of the API with its first sentence."""
    nobody: Any = SimpleNamespace(house=None, sessions=None)  # only what the routes are, not what they do
    yield "| | | |"
    yield "|---|---|---|"
    for router in (sessions.routes(nobody, nobody), satellites.routes(nobody), house.routes(nobody, nobody)):
        for route in router.routes:
            if isinstance(route, APIRoute):
                says = " ".join(route.description.split())
                yield f"| {' '.join(sorted(route.methods or ()))} | `{route.path}` | {says} |"


def floors() -> Iterator[str]:
    """The layer table as the architecture test enforces it."""
    yield "| floor | room | modules |"
    yield "|---|---|---|"
    for number, rooms in enumerate(FLOORS, start=1):
        for room, modules in rooms.items():
            yield f"| {number} | {room} | {' '.join(f'`{module}`' for module in modules.split())} |"


def rows() -> Iterator[str]:
    """Every row of the ancestors' tables with the tests whose names say so."""
    yield "| table | row | tests |"
    yield "|---|---|---|"
    for row, found in ancestors.tests().items():
        if len(row) == 2:
            elsewhere = f"belongs to the issue of {ancestors.ELSEWHERE[row]}" if row in ancestors.ELSEWHERE else ""
            yield f"| {' | '.join(row)} | {_named(found) or elsewhere} |"


def faults() -> Iterator[str]:
    """Every fault of the ancestors that is known, with the tests that keep it out."""
    yield "| fault | tests |"
    yield "|---|---|"
    yield from (f"| {row[0]} | {_named(found)} |" for row, found in ancestors.tests().items() if len(row) == 1)


def _named(found: Mapping[str, str]) -> str:
    return "<br>".join(f"`{file}::{name}`" for name, file in found.items())


BLOCKS: Mapping[str, tuple[Path, Callable[[], Iterator[str]]]] = {
    "events": (DOCS / "mqtt.md", events),
    "refusals": (DOCS / "mqtt.md", refusals),
    "errors": (DOCS / "http.md", errors),
    "endpoints": (DOCS / "http.md", endpoints),
    "floors": (DOCS / "architecture.md", floors),
    "rows": (DOCS / "sessions.md", rows),
    "faults": (DOCS / "sessions.md", faults),
}
"""Name of a block → the document it stands in, and what makes its lines."""


def replaced(text: str, name: str, lines: str) -> str:
    """A document with other lines between the markers of a block."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"there must be one block {begin} … {end}")
    return pattern.sub(lambda _: f"{begin}\n{lines}\n{end}", text)


def written() -> dict[Path, str]:
    """Each document that has something of the code in it, as it should be."""
    texts = {path: path.read_text() for path, _ in BLOCKS.values()}
    for name, (path, make) in BLOCKS.items():
        texts[path] = replaced(texts[path], name, "\n".join(make()))
    return texts | {CLI: reference()}


if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text)
