"""The HTTP API as an application: its endpoints together, and every error in the one form."""

import re
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from vonad.errors import VonadError
from vonad.service import Service
from vonad.settings.problem import suggestion
from vonad.web import docs, house, satellites, sessions
from vonad.web.errors import Refused, problem
from vonad.web.events import Events
from vonad.web.gate import Gate

SAYS = {
    "missing": "must be given",
    "extra_forbidden": "unknown key",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a list",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
}
"""What is wrong, in words of JSON; else the library's, in which an input LIBRARY something."""

LIBRARY = "Input should be "

_WAKE = re.compile(r"/api/satellites/([a-z0-9_-]{1,64})/wake")


def build_app(service: Service, events: Events) -> ASGIApp:
    """Everything HTTP answers. The caller runs `events.remember()` beside it."""
    api = FastAPI(
        title="vonad",
        version=service.house.version,
        description="The voice layer of a home server, on the Unix socket vonad.sock.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(_known_query)],
        responses={"default": {"model": Refused, "description": "What went wrong."}},
    )
    api.include_router(sessions.routes(service, events))
    api.include_router(satellites.routes(service))
    api.include_router(house.routes(service, events))

    @api.get("/api/docs", include_in_schema=False)
    async def describe() -> HTMLResponse:
        return HTMLResponse(docs.page(api.openapi()), headers={"Content-Security-Policy": docs.POLICY})

    def refused_body(method: str, path: str, message: str) -> None:
        if method == "POST" and (wake := _WAKE.fullmatch(path)):
            # Wakes delivered = accepted + refused, also those that could not be read.
            service.house.refuse(satellite=wake[1], source="api", reason="malformed", detail=message)
        service.house.error("malformed", message, op=f"http {method} {path[:200]}")

    async def invalid(request: Request, error: Exception) -> Response:
        message = _sentence(error) if isinstance(error, RequestValidationError) else str(error)
        refused_body(request.method, request.url.path, message)
        return problem(400, message, request_id=_id_of(request))

    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(VonadError, _refused)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _defect)
    return Gate(api, refused=refused_body)


async def _known_query(request: Request) -> None:
    """Raises RequestValidationError for parameters that the operation does not have, naming those that it has."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not request.query_params:
        return
    takes = request.app.openapi()["paths"][route.path_format][request.method.lower()].get("parameters", ())
    known = [str(one["name"]) for one in takes if one["in"] == "query"]
    strange = [name for name in request.query_params if name not in known]
    if strange:
        what = f"unknown; {suggestion(strange[0], known)}" if known else "unknown; none is taken here"
        raise RequestValidationError([{"type": "unknown", "loc": ("query", strange[0]), "msg": what}])


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, VonadError)
    after = {} if error.retry_after_ms is None else {"Retry-After": str(-(-error.retry_after_ms // 1000))}
    return problem(
        error.status,
        error.message,
        code=error.code,
        request_id=_id_of(request),
        details=error.details,
        headers=after,
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    told = {
        404: f"there is nothing at {path!r}: see /api/docs",
        405: f"{path!r} does not answer to {request.method[:20]}: see /api/docs",
    }
    message = told.get(error.status_code, HTTPStatus(error.status_code).phrase)
    return problem(error.status_code, message, request_id=_id_of(request), headers=error.headers)


async def _defect(request: Request, _error: Exception) -> Response:
    """The Gate logs it."""
    return problem(500, "something in vonad failed: see its log", request_id=_id_of(request))


def _id_of(request: Request) -> str:
    return str(request.state.request_id)


def _sentence(error: RequestValidationError) -> str:
    """`request body: text: must be given`, each fault once, never the value."""
    faults = []
    for fault in error.errors():
        source, *where = (str(part) for part in fault["loc"])
        what = SAYS.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ").replace(LIBRARY, "must be ")
        faults.append(": ".join([{"body": "request body"}.get(source, source), *(part[:64] for part in where), what]))
    return "; ".join(dict.fromkeys(faults))
