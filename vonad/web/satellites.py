"""/api/satellites: what can be asked of a room."""

import time
from typing import Annotated

from fastapi import APIRouter, Path, Response

from vonad.errors import VonadError
from vonad.plan import REFUSALS, SATELLITE_ID, Wake
from vonad.service import Service
from vonad.web.asked import Announcement, Spoken, WakeUp
from vonad.web.sessions import Wait
from vonad.web.shapes import Queued, Reply, Said, Satellite, Stopped, TurnStarted, Woken

REFUSED_AS = {
    "unknown_satellite": "not_found",
    "rate": "rate_limited",
    "overload": "overload",
    "backend_unavailable": "backend_unavailable",
}
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
        started = await house.text(satellite, said.text, id=said.id, on_busy=said.on_busy)
        if wait is None:
            return TurnStarted(turn_id=started.id, session_id=service.sessions.session_of(started.id))
        response.status_code = 200
        return Reply.model_validate(await service.sessions.wait(started.id, wait))

    @router.post("/{satellite}/say", status_code=202, response_model=Said | Queued)
    async def say(satellite: SatelliteId, wanted: Announcement, response: Response, wait: Wait = None) -> object:
        """Queue an announcement: 202 at once, or with `wait` 200 when it has been played."""
        queued = house.say(
            satellite,
            wanted.text,
            id=wanted.id,
            priority=wanted.priority,
            interrupt=wanted.interrupt,
            interruptible=wanted.interruptible,
            preannounce=wanted.preannounce,
            durable=wanted.durable,
            style=None if wanted.style is None else wanted.style.wanted(),
            volume=wanted.volume,
        )
        if wanted.durable:
            await house.says_kept()
        if wait is None:
            return Queued(id=queued)
        response.status_code = 200
        said = await house.wait_said(queued, wait)
        return Said(id=said.id, ok=said.state == "finished", reason=said.reason, state=said.state)

    @router.post("/{satellite}/stop", response_model=Stopped)
    async def stop(satellite: SatelliteId) -> object:
        """End playback, turn and follow-up at once."""
        return Stopped(stopped=house.stop(satellite))

    return router
