"""/api/sessions: conversations."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from vonad.errors import VonadError
from vonad.plan import ContextEvent
from vonad.service import Service
from vonad.web.asked import Injected, NewSession, NewTurn
from vonad.web.events import Events, EventStream
from vonad.web.shapes import Acknowledged, Compacted, Created, Reply, Session, TurnStarted

LONGEST_WAIT_S = 300.0

Wait = Annotated[
    float | None,
    Query(gt=0, le=LONGEST_WAIT_S, allow_inf_nan=False, description="seconds to wait for the end"),
]
LastEventId = Annotated[str | None, Header(description="the last event seen: what came after it is sent again")]


def routes(service: Service, events: Events) -> APIRouter:
    """The endpoints."""
    router = APIRouter(prefix="/api/sessions", tags=["sessions"])
    sessions = service.sessions

    @router.post("", status_code=201, response_model=Created)
    async def create(asked: NewSession | None = None, wait: Wait = None) -> object:
        """Open a session; with `run_immediately` its first turn begins, from `text` or by opening the microphone."""
        wanted = asked or NewSession()
        if wait is not None and wanted.text is None:
            raise VonadError("malformed", "wait: there is no reply to wait for without a text", op="create")
        view = await sessions.create(
            satellite=wanted.satellite,
            initial_turn=wanted.initial_turn,
            text=wanted.text,
            overrides=wanted.overrides(),
            resume=wanted.resume,
            output_schema=wanted.output_schema,
        )
        turn_id = sessions.first_turn(view.session_id) if wanted.text is not None else None
        if wait is None or turn_id is None:
            return Created.model_validate(view).model_copy(update={"turn_id": turn_id})
        try:
            reply = Reply.model_validate(await sessions.wait(turn_id, wait))
        except VonadError as error:  # the session is there all the same
            there = {**error.details, "session_id": view.session_id, "turn_id": turn_id}
            raise VonadError(error.code, error.message, op=error.op, retryable=error.retryable, details=there) from None
        now = Created.model_validate(await sessions.read(view.session_id))
        return now.model_copy(update={"turn_id": turn_id, "reply": reply})

    @router.get("", response_model=list[Session])
    async def sessions_now(
        limit: Annotated[int, Query(ge=1, le=1000)] = 50, offset: Annotated[int, Query(ge=0)] = 0
    ) -> object:
        """The sessions, the latest first."""
        return await sessions.list(limit=limit, offset=offset)

    @router.get("/{session_id}", response_model=Session)
    async def session(session_id: str) -> object:
        """One session."""
        return await sessions.read(session_id)

    @router.post("/{session_id}/turns", status_code=202, response_model=TurnStarted | Reply)
    async def turn(session_id: str, said: NewTurn, response: Response, wait: Wait = None) -> object:
        """Say something: 202 at once, or with `wait` 200 and the reply. On `on_busy: "queue"` one turn may wait.

        With `output_schema` the reply is JSON that fits it, and `output` what it says; if three replies do not fit,
        `structured_output_invalid`.
        """
        started = await sessions.start_turn(
            session_id,
            said.text,
            on_busy=said.on_busy,
            follow_up=said.follow_up,
            budget=None if said.budget is None else said.budget.wanted(),
            output_schema=said.output_schema,
        )
        if wait is None:
            return TurnStarted(turn_id=started.id, session_id=session_id)
        response.status_code = 200
        return Reply.model_validate(await sessions.wait(started.id, wait))

    @router.post("/{session_id}/interrupt", status_code=204)
    async def interrupt(session_id: str) -> None:
        """Cut the running turn short."""
        await sessions.interrupt(session_id)

    @router.post("/{session_id}/inject", response_model=Acknowledged)
    async def inject(session_id: str, told: Injected) -> object:
        """Make something known to the conversation: with the next turn, into the running one, or in its place."""
        event = ContextEvent(source=told.source, payload=told.payload, spoken_summary=told.spoken_summary)
        return Acknowledged(happened=await sessions.inject(session_id, event, told.mode))

    @router.post("/{session_id}/compact", response_model=Compacted)
    async def compact(session_id: str) -> object:
        """Sum up what was said, but for the last exchanges."""
        before, after = await sessions.compact(session_id)
        return Compacted(before=before, after=after)

    @router.delete("/{session_id}", status_code=204)
    async def archive(session_id: str) -> None:
        """Close the session; what was said stays in the history."""
        await sessions.archive(session_id)

    @router.get("/{session_id}/events", status_code=200, response_class=EventStream)
    async def session_events(session_id: str, last_event_id: LastEventId = None) -> EventStream:
        """The session's events as they happen (server-sent), until it is closed."""
        await sessions.read(session_id)
        return events.stream(session_id=session_id, after=last_event_id)

    return router
