"""The one error that vonad raises on purpose, and the table of its codes.

    VonadError
        code            lower_snake, one of CODES: what a caller branches on
        message         a sentence for a tired owner: the thing, the value, the remedy
        op              what was being done ("mqtt.connect"), None when the code says it all
        retryable       whether the same call may succeed later
        retry_after_ms  when, if known
        details         values a program may want, JSON-able

Everything else that is raised is a defect, caught only where work is spawned.
"""

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, int] = MappingProxyType(
    {
        "invalid_config": 400,
        "malformed": 400,
        "unauthorized": 401,
        "control_rejected": 403,
        "hook_denied": 403,
        "skill_rejected": 403,
        "not_found": 404,
        "session_not_found": 404,
        "skill_not_found": 404,
        "invalid_state": 409,
        "plugin_conflict": 409,
        "session_busy": 409,
        "session_already_active": 409,
        "session_not_active": 409,
        "session_not_running": 409,
        "wake_refused": 409,
        "session_expired": 410,
        "unsupported_audio_format": 415,
        "skill_schema_violation": 422,
        "structured_output_invalid": 422,
        "budget_exceeded": 429,
        "rate_limited": 429,
        "cancelled": 499,
        "internal_error": 500,
        "plugin_error": 500,
        "skill_failed": 500,
        "store_error": 500,
        "capability_unsupported": 501,
        "compaction_disabled": 501,
        "persistence_disabled": 501,
        "backend_start_failed": 502,
        "backend_inject_failed": 502,
        "backend_step_failed": 502,
        "transport_recv_failed": 502,
        "transport_clear_failed": 502,
        "transport_send_failed": 502,
        "backend_unavailable": 503,
        "circuit_open": 503,
        "overload": 503,
        "session_limit": 503,
        "hook_timeout": 504,
        "skill_timeout": 504,
        "timeout": 504,
    }
)
"""Error code → the HTTP status that stands for it."""


class VonadError(Exception):
    """Something vonad refuses, or could not do, said so that code and people can act on it."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        op: str | None = None,
        retryable: bool = False,
        retry_after_ms: int | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        if code not in CODES:
            raise ValueError(f"unknown error code {code!r}: add it to vonad.errors.CODES")
        self.code = code
        self.message = message
        self.op = op
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        self.details: Mapping[str, object] = MappingProxyType(dict(details or {}))

    @property
    def status(self) -> int:
        """The HTTP status of this code."""
        return CODES[self.code]

    def __repr__(self) -> str:
        return f"VonadError({self.code!r}, {self.message!r})"


def first_error(errors: BaseExceptionGroup[VonadError]) -> VonadError:
    """The first of a group, however deep: one thing went wrong, and the rest followed from it."""
    error = errors.exceptions[0]
    return first_error(error) if isinstance(error, BaseExceptionGroup) else error
