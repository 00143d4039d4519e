"""The history as the command line reaches it: through the daemon where one runs, else in the database itself."""

from collections.abc import Iterator
from datetime import datetime

from vonad.cli.client import Daemon, NoDaemon, record, records, segment


def turns(limit: int, search: str | None, satellite: str | None) -> list[dict[str, object]]:
    """The latest turns that match, the oldest first."""
    try:
        with Daemon() as daemon:
            return records(daemon.get("/api/history", limit=limit, search=search, satellite=satellite))
    except NoDaemon:
        from vonad.cli import database

        return database.turns(limit, search, satellite)


def wakes(limit: int) -> list[dict[str, object]]:
    """The latest wakes, the oldest first."""
    try:
        with Daemon() as daemon:
            return records(daemon.get("/api/wakes", limit=limit))
    except NoDaemon:
        from vonad.cli import database

        return database.wakes(limit)


def why(turn_id: str) -> dict[str, object]:
    """Where a turn's time went; `last` is the latest."""
    try:
        with Daemon() as daemon:
            return record(daemon.get(f"/api/turns/{segment(turn_id)}/why"))
    except NoDaemon:
        from vonad.cli import database

        return database.why(turn_id)


def everything() -> Iterator[object]:
    """Every turn as it is stored, the oldest first."""
    with Daemon() as daemon:
        try:
            daemon.get("/healthz")
        except NoDaemon:
            from vonad.cli import database

            yield from database.everything()
        else:
            yield from daemon.lines("/api/history/export")


def delete(*, last: bool, everything: bool, before: datetime | None, satellite: str | None) -> int:
    """Really delete; how many turns that were."""
    query = {"last": last, "all": everything, "before": before and before.isoformat(), "satellite": satellite}
    try:
        with Daemon() as daemon:
            return int(str(record(daemon.delete("/api/history", **query))["deleted"]))
    except NoDaemon:
        from vonad.cli import database

        return database.delete(last=last, everything=everything, before=before, satellite=satellite)
