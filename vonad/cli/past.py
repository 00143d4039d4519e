"""The history as the command line reaches it: through the daemon where one runs, else in the database itself."""

from collections.abc import Iterable
from datetime import datetime

from vonad.cli.client import Daemon, NoDaemon, record, records


def turns(limit: int, search: str | None, satellite: str | None) -> list[dict[str, object]]:
    """The latest turns that match, the oldest first."""
    try:
        return records(Daemon().get("/api/history", limit=limit, search=search, satellite=satellite))
    except NoDaemon:
        from vonad.cli import database

        return database.turns(limit, search, satellite)


def wakes(limit: int) -> list[dict[str, object]]:
    """The latest wakes, the oldest first."""
    try:
        return records(Daemon().get("/api/wakes", limit=limit))
    except NoDaemon:
        from vonad.cli import database

        return database.wakes(limit)


def everything() -> Iterable[object]:
    """Every turn as it is stored, the oldest first."""
    daemon = Daemon()
    try:
        daemon.get("/healthz")
    except NoDaemon:
        from vonad.cli import database

        return database.everything()
    return daemon.lines("/api/history/export")


def delete(*, last: bool, everything: bool, before: datetime | None, satellite: str | None) -> int:
    """Really delete; how many turns that were."""
    query = {"last": last, "all": everything, "before": before and before.isoformat(), "satellite": satellite}
    try:
        return int(str(record(Daemon().delete("/api/history", **query))["deleted"]))
    except NoDaemon:
        from vonad.cli import database

        return database.delete(last=last, everything=everything, before=before, satellite=satellite)
