"""In front of the API: who may pass (port or socket), on which host, with which body; and the request's id."""

import logging
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vonad.errors import VonadError
from vonad.web.body import read_body
from vonad.web.errors import BadRequest, problem

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that the port answers to everybody."""
HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""What the port may be called: a page elsewhere whose name was pointed at us is not let in."""
AT_ONCE = 128
"""Requests under way at once, waiting ones and event streams included."""

log = logging.getLogger(__name__)


class Gate:
    """An ASGI application around the API. refused: told of each body refused on the socket, (method, path, message)."""

    def __init__(self, app: ASGIApp, *, refused: Callable[[str, str, str], None]) -> None:
        self._app = app
        self._refused = refused
        self._passing = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        request_id = secrets.token_hex(6)
        scope["state"] = {"request_id": request_id}
        answer = _Answer(send, request_id)
        self._passing += 1
        try:
            await self._pass(scope, receive, answer, request_id)
        except Exception:
            log.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if not answer.begun:
                failed = problem(500, "something in vonad failed: see its log", request_id=request_id)
                await failed(scope, receive, answer)
        finally:
            self._passing -= 1

    async def _pass(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        try:
            self._admit(scope)
            body = await read_body(scope, receive)
        except VonadError as error:
            refusal = problem(error.status, error.message, code=error.code, request_id=request_id)
        except BadRequest as bad:
            if over_socket(scope):
                self._refused(scope["method"], scope["path"], str(bad))
            # Whoever sends too much goes on sending: nothing but the end of the connection stops that.
            close = {"Connection": "close"} if bad.status == 413 else {}
            refusal = problem(bad.status, str(bad), request_id=request_id, headers=close)
        else:
            await self._app(scope, _replay(body, receive), send)
            return
        await refusal(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        """Look at the request's head alone. Raises what it is refused for."""
        if self._passing > AT_ONCE:
            raise VonadError("overload", "too many requests at once: try again soon", op="http", retryable=True)
        if over_socket(scope):
            return
        host = Headers(scope=scope).get("host", "")
        if _name_of(host) not in HOSTS:
            raise BadRequest(421, f"this port answers to the names localhost and 127.0.0.1 only, not to {host[:80]!r}")
        if scope["path"] not in OPEN:
            message = "the API on this port comes with access tokens; use the socket (vonad.sock), as `vonad` does"
            raise VonadError("unauthorized", message, op="http")


class _Answer:
    """Where the answer goes, marked with the request's id."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def over_socket(scope: Scope) -> bool:
    """Whether the request came through vonad.sock: told by the listener's own address, never by a header."""
    server: tuple[str, int | None] | None = scope.get("server")
    return server is not None and server[1] is None


def _name_of(host: str) -> str:
    if "@" in host or "/" in host:
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once; then what happens to the connection."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
