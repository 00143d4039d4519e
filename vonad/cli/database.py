"""The history's database, opened by the command line because no daemon runs."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import TypeVar

from vonad.clock import SystemClock
from vonad.daemon import DATABASE
from vonad.directories import directories
from vonad.errors import VonadError
from vonad.history import Journal, open_journal
from vonad.why import why as explain

T = TypeVar("T")


def turns(limit: int, search: str | None, satellite: str | None) -> list[dict[str, object]]:
    """The latest turns that match, the oldest first. Raises store_error, as all of these."""

    async def read(journal: Journal) -> list[dict[str, object]]:
        return [asdict(view) for view in await journal.history(limit=limit, search=search, satellite=satellite)]

    return _opened(read, nothing=[])


def wakes(limit: int) -> list[dict[str, object]]:
    """The latest wakes, the oldest first."""

    async def read(journal: Journal) -> list[dict[str, object]]:
        return [asdict(view) for view in await journal.wakes(limit=limit)]

    return _opened(read, nothing=[])


def why(turn_id: str) -> dict[str, object]:
    """Where a turn's time went; `last` is the latest. Raises not_found."""

    async def read(journal: Journal) -> dict[str, object] | None:
        told = asdict(explain(await journal.turn(turn_id)))
        return {**told, **{key: list(told[key]) for key in ("steps", "attempts", "fallbacks")}}

    told = _opened(read, nothing=None)
    if told is None:
        raise VonadError("not_found", "nothing was said yet: there is no turn to explain", op="why")
    return told


def everything() -> list[dict[str, object]]:
    """Every turn as it is stored, the oldest first."""

    async def read(journal: Journal) -> list[dict[str, object]]:
        return [row async for row in journal.export()]

    return _opened(read, nothing=[])


def delete(*, last: bool, everything: bool, before: datetime | None, satellite: str | None) -> int:
    """Really delete; how many turns that were."""

    async def erase(journal: Journal) -> int:
        return await journal.delete(last=last, everything=everything, before=before, satellite=satellite)

    return _opened(erase, nothing=0, read_only=False)


def _opened(work: Callable[[Journal], Awaitable[T]], *, nothing: T, read_only: bool = True) -> T:
    """Work on the database that the daemon would use; `nothing` where there is none yet."""
    path = directories(os.environ, None).state / DATABASE
    if not path.exists():
        return nothing

    async def opened() -> T:
        async with open_journal(path, clock=SystemClock(), owner=False, read_only=read_only) as journal:
            return await work(journal)

    return asyncio.run(opened())
