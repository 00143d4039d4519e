"""/api/satellites: what can be asked of a room."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Path, Response

from vonad.errors import VonadError
from vonad.plan import REFUSALS, SATELLITE_ID, Wake
from vonad.service import Service
from vonad.web.sessions import Wait
from vonad.web.shapes import (
    Announcement,
    Queued,
    Reply,
    Said,
    Satellite,
    Spoken,
    Stopped,
    TurnStarted,
    WakeUp,
    Woken,
)

REFUSED_AS = {"unknown_satellite": "not_found", "rate": "rate_limited", "overload": "overload"}
"""Reasons of refusal that HTTP has a word of its own for; any other is wake_refused."""

SatelliteId = Annotated[str, Path(pattern=f"^{SATELLITE_ID.pattern}$")]


def routes(service: Service) -> APIRouter:
    """The endpoints."""
    router = APIRouter(prefix="/api/satellites", tags=["satellites"])
    house = service.house

    @router.get("", response_model=list[Satellite])
    async def satellites() -> object:
        """The satellites that are known."""
        return house.satellites()

    @router.post("/{satellite}/wake", response_model=Woken)
    async def wake(satellite: SatelliteId, wanted: WakeUp | None = None) -> object:
        """Open the microphone, or with `text` start a turn from text."""
        asked = (wanted or WakeUp()).model_dump()
        answer = house.wake(Wake(satellite=satellite, source="api", at=time.monotonic(), **asked))
        if not answer.accepted:
            why = REFUSALS.get(answer.reason, answer.reason)
            raise VonadError(
                REFUSED_AS.get(answer.reason, "wake_refused"),
                f"{satellite}: {why}{f' ({answer.detail})' if answer.detail else ''}",
                op="wake",
                details={"reason": answer.reason, "detail": answer.detail},
            )
        return answer

    @router.post("/{satellite}/text", status_code=202, response_model=TurnStarted | Reply)
    async def text(satellite: SatelliteId, said: Spoken, response: Response, wait: Wait = None) -> object:
        """A turn as if spoken, answered aloud: 202 at once, or with `wait` 200 and the reply."""
        started = await house.text(satellite, said.text, id=said.id)
        if wait is None:
            return TurnStarted(turn_id=started.id)
        response.status_code = 200
        return Reply.model_validate(await service.sessions.wait(started.id, wait))

    @router.post("/{satellite}/say", status_code=202, response_model=Said | Queued)
    async def say(satellite: SatelliteId, wanted: Announcement, response: Response, wait: Wait = None) -> object:
        """Queue an announcement: 202 at once, or with `wait` 200 when it has been played."""
        with house.events(limit=100) as events:
            queued = house.say(
                satellite, wanted.text, id=wanted.id, priority=wanted.priority, interrupt=wanted.interrupt
            )
            if wait is None:
                return Queued(id=queued)
            response.status_code = 200
            try:
                async with asyncio.timeout(wait):
                    async for event in events:
                        if event.type == "say.finished" and event.data.get("id") == queued:
                            return Said.model_validate({"reason": "", **event.data})
            except TimeoutError:
                pass
        raise VonadError(
            "timeout", f"announcement {queued!r} was not finished within {wait:g} s", op="say", details={"id": queued}
        )

    @router.post("/{satellite}/stop", response_model=Stopped)
    async def stop(satellite: SatelliteId) -> object:
        """End playback, turn and follow-up at once."""
        return Stopped(stopped=house.stop(satellite))

    return router
