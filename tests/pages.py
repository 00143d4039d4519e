"""The documents as tests read them: which there are, what stands in their fences, tables and sections."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
ALL = [*PAGES, *sorted((DOCS / "examples").rglob("README.md"))]


def blocks(text: str, *languages: str) -> Iterator[str]:
    """What stands in fences of these languages."""
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        if language in languages:
            yield body


def prose(text: str) -> str:
    """Without what stands in fences."""
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables, but for their heads."""
    for body in re.findall(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)*)", prose(text), re.M):
        for row in body.splitlines():
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def section(text: str, title: str) -> str:
    """What stands under a title of the second level, up to the next."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"there is no section {title}"
    return found[1]


def coded(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def named(text: str) -> list[str]:
    """What stands in backticks in the tables' first columns."""
    return [name for row in rows(text) for name in coded(row[0])]


def anchors(text: str) -> set[str]:
    """What a link can point at."""
    titles = re.findall(r"^#+ (.*)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
