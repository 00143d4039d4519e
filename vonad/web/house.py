"""/api for what belongs to the whole house: history, wakes, skills, plugins, its events; and how it is."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from vonad.errors import VonadError
from vonad.service import Service
from vonad.web.asked import Time, YesOrNo
from vonad.web.events import Events, EventStream
from vonad.web.gate import over_socket
from vonad.web.sessions import LastEventId, Wait
from vonad.web.shapes import Cancelled, Deleted, Health, Past, Plugin, Ready, Reloaded, Say, Skill, Why

Many = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[Time | None, Query(description="only what is older than this: ISO 8601, or seconds since 1970")]
Which = Annotated[str | None, Query(max_length=64)]


def routes(service: Service, events: Events) -> APIRouter:
    """The endpoints."""
    router = APIRouter()
    house = service.house

    @router.get("/api/history", response_model=list[Past], tags=["history"])
    async def history(
        limit: Many = 20,
        search: Annotated[str | None, Query(max_length=1000)] = None,
        satellite: Which = None,
        before: Before = None,
    ) -> object:
        """Turns, the oldest first: the latest `limit` of those that match."""
        return await house.history(limit=limit, search=search, satellite=satellite, before=before)

    @router.delete("/api/history", response_model=Deleted, tags=["history"])
    async def forget(
        *,
        last: YesOrNo = False,
        everything: Annotated[YesOrNo, Query(alias="all")] = False,
        before: Before = None,
        satellite: Which = None,
    ) -> object:
        """Really delete turns: exactly one of `last=true`, `all=true`, `before=...`, `satellite=...`."""
        if [last, everything, before is not None, satellite is not None].count(True) != 1:
            raise VonadError(
                "malformed",
                "say what to delete: exactly one of last=true, all=true, before=<time>, satellite=<id>",
                op="history.delete",
            )
        count = await house.delete_history(last=last, everything=everything, before=before, satellite=satellite)
        return Deleted(deleted=count)

    @router.get("/api/history/export", tags=["history"], status_code=200, response_class=Response)
    async def export() -> Response:
        """Every turn as it is stored: a JSON object a line, the oldest first."""
        return StreamingResponse(_lines(house.export_history()), media_type="application/x-ndjson")

    @router.get("/api/turns/{turn_id}", tags=["history"])
    async def turn(turn_id: str) -> object:
        """All that is known about one turn; `last` is the latest."""
        return await house.turn(turn_id)

    @router.get("/api/turns/{turn_id}/why", response_model=Why, tags=["history"])
    async def why(turn_id: str) -> object:
        """Where a turn's time went, stage by stage, and who was slow; `last` is the latest."""
        return await house.why(turn_id)

    @router.get("/api/wakes", tags=["history"])
    async def wakes(limit: Many = 20) -> object:
        """The latest wakes, accepted or refused, the oldest first."""
        return await house.wakes(limit=limit)

    @router.get("/api/announcements/{id}", response_model=Say, tags=["house"])
    async def announcement(id: str, wait: Wait = None) -> object:
        """One of the latest announcements, or with `wait` once it is over."""
        return house.announcement(id) if wait is None else await house.wait_said(id, wait)

    @router.delete("/api/announcements/{id}", response_model=Cancelled, tags=["house"])
    async def cancel(id: str) -> object:
        """Do not say it, or no further."""
        return Cancelled(cancelled=house.cancel_say(id))

    @router.get("/api/skills", response_model=list[Skill], tags=["house"])
    async def skills() -> object:
        """What can be asked for."""
        return house.skills()

    @router.get("/api/plugins", response_model=list[Plugin], tags=["house"])
    async def plugins() -> object:
        """Every plugin found, and why it does not run if it does not."""
        return house.plugins()

    @router.post("/api/reload", response_model=Reloaded, tags=["house"])
    async def reload() -> object:
        """Read the configuration again; a bad one changes nothing."""
        return Reloaded(changed=await house.reload())

    @router.get("/api/events", status_code=200, response_class=EventStream, tags=["house"])
    async def all_events(last_event_id: LastEventId = None) -> EventStream:
        """Everything that happens, as it happens (server-sent)."""
        return events.stream(session_id=None, after=last_event_id)

    @router.get("/healthz", response_model=Health, response_model_exclude_none=True, tags=["health"])
    async def healthz(request: Request) -> object:
        """Answers as long as the daemon lives; `ok` says whether all its parts are well."""
        health = house.health()
        return health if over_socket(request.scope) else {**health, "parts": None}

    @router.get("/readyz", response_model=Ready, tags=["health"])
    async def readyz(response: Response) -> object:
        """200 once turns can be answered, else 503."""
        ready = house.ready()
        response.status_code = 200 if ready else 503
        return Ready(ready=ready)

    return router


async def _lines(rows: AsyncIterator[Mapping[str, object]]) -> AsyncIterator[bytes]:
    async for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"
