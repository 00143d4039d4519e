"""The one error, and its codes."""

import re

import pytest

from vonad import CODES, VonadError


def test_an_error_carries_what_a_caller_can_act_on() -> None:
    error = VonadError(
        "overload", "3 of 3 streams are taken", op="stt", retryable=True, retry_after_ms=250, details={"streams": 3}
    )

    assert str(error) == error.message == "3 of 3 streams are taken"
    assert (error.code, error.status, error.op) == ("overload", 503, "stt")
    assert (error.retryable, error.retry_after_ms, error.details) == (True, 250, {"streams": 3})


def test_a_plain_error_promises_nothing() -> None:
    error = VonadError("not_found", "no satellite 'desk'")

    assert (error.op, error.retryable, error.retry_after_ms, error.details) == (None, False, None, {})


def test_details_cannot_be_changed_by_whoever_catches_it() -> None:
    given = {"name": "desk"}
    error = VonadError("not_found", "no satellite 'desk'", details=given)
    given["name"] = "hall"

    assert error.details == {"name": "desk"}
    assert not hasattr(error.details, "__setitem__")


def test_an_unknown_code_is_a_defect() -> None:
    with pytest.raises(ValueError, match="unknown error code 'no_such_code'"):
        VonadError("no_such_code", "?")


def test_meerkat_error_codes_are_lower_snake_and_have_an_http_status_each() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in CODES)
    assert all(400 <= status <= 599 for status in CODES.values())
