"""The one place where a request's body is taken in: its size first, then its type, then strict JSON."""

import asyncio
import json
import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from vonad.web.errors import BadRequest

LIMIT = 64 * 1024
"""Bytes of a body."""
SECONDS = 20.0
"""Time in which a body must have arrived."""

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""In what json writes: not behind a backslash that is itself one of the text."""
_JSON = re.compile(r"application/(?:json|[a-z0-9.+-]+\+json)", re.IGNORECASE)


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """A body that FastAPI may parse; empty when there is none. Raises BadRequest."""
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > LIMIT:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message["type"] == "http.request" and message.get("more_body", False)
                if len(body) > LIMIT:
                    raise _too_large()
    except TimeoutError:
        raise _bad(400, f"it did not arrive within {SECONDS:.0f} s") from None
    if not body:
        return b""
    encoding, kind = headers.get("content-encoding", "identity"), headers.get("content-type", "")
    if encoding.lower() != "identity":
        raise _bad(415, f"Content-Encoding {encoding[:80]!r}: send it uncompressed")
    if not _JSON.fullmatch(kind.partition(";")[0].strip()):
        raise BadRequest(
            415, f"request body: Content-Type {kind[:80]!r}: send JSON, with Content-Type: application/json"
        )
    decode(bytes(body))
    return bytes(body)


def decode(body: bytes) -> object:
    """The value of a body. Raises BadRequest: not UTF-8, not JSON, NaN, a key twice, lone surrogates, NUL, too deep."""
    try:
        value: object = json.loads(body.decode(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
        if _NUL.search(text):
            raise _bad(400, "a NUL character in it")
    except RecursionError:
        raise _bad(400, "nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadRequest(
            400, f"request body: not JSON: {error.msg}: line {error.lineno} column {error.colno}"
        ) from None
    except UnicodeError:
        raise _bad(400, "not UTF-8, or half of a surrogate pair in it") from None
    except ValueError as error:
        raise _bad(400, f"not JSON: {error}") from None
    return value


def _no_key_twice(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _bad(400, f"the key {twice[:40]!r} is there twice")
    return value


def _no_constant(name: str) -> object:
    raise _bad(400, f"{name} is no JSON number")


def _too_large() -> BadRequest:
    return _bad(413, f"larger than {LIMIT // 1024} KiB")


def _bad(status: int, what: str) -> BadRequest:
    return BadRequest(status, f"request body: {what}")
