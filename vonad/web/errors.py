"""Errors as HTTP says them: always one JSON form, whatever went wrong and wherever."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

STATUS_CODES: Mapping[int, str] = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    421: "wrong_host",
}
"""HTTP status → our code, for what the protocol itself refuses; VonadErrors bring their own code and status."""


class BadRequest(Exception):  # noqa: N818  (told to the client, raised to nobody else)
    """A request that HTTP refuses. status: one of STATUS_CODES; the text: what was wrong, and what is allowed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Problem(BaseModel):
    """What went wrong."""

    code: str = Field(description="lower_snake; what a program branches on")
    message: str = Field(description="a sentence for people: the thing, the value, the remedy")
    request_id: str = Field(description="also in the header X-Request-Id, and in the log of a defect")
    details: dict[str, object] = Field(default_factory=dict)


class Refused(BaseModel):
    """Every answer that is no success."""

    error: Problem


def problem(
    status: int,
    message: str,
    *,
    request_id: str,
    code: str | None = None,
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that says so. code: by default the one of the status."""
    told = Problem(
        code=code or STATUS_CODES.get(status, "internal_error" if status >= 500 else "malformed"),
        message=message,
        request_id=request_id,
        details=dict(details or {}),
    )
    return JSONResponse(Refused(error=told).model_dump(), status, headers=dict(headers or {}))
