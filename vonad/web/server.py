"""Serves the API: on vonad.sock always, on a port of the loopback if wanted. Embeds uvicorn, without its signals."""

import asyncio
import contextlib
import json
import logging
import secrets
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from vonad.errors import VonadError
from vonad.service import Service
from vonad.settings import Settings
from vonad.web.api import build_app
from vonad.web.events import Events
from vonad.web.sockets import listen_port, listen_unix

CONNECTIONS = 256
"""Connections at once; one more is closed unheard."""
HEAD_LIMIT = 32 * 1024
"""Bytes of a request's head."""
STALLED_S = 20.0
"""Seconds for a request's head to arrive, and for a reader to take what is sent: then the connection is cut."""
DATE_S = 1.0
"""Between two looks at the clock for the Date of responses."""
GRACE_S = 2
"""Seconds that requests have to end in when the daemon stops."""

log = logging.getLogger(__name__)


async def serve_web(
    settings: Settings, service: Service, *, socket_path: Path, stop: asyncio.Event, ready: asyncio.Event | None = None
) -> None:
    """Serve until `stop`. ready: set once requests are answered.

    A port that is taken is a warning; the socket is always there. Raises invalid_state when another daemon answers
    on it, OSError when its directory is unusable.
    """
    events = Events(lambda session_id, limit: service.sessions.subscribe(session_id, limit=limit))
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(listen_unix(socket_path))]
        if settings.web.enabled:
            try:
                sockets.append(stack.enter_context(listen_port(settings.web.port)))
            except VonadError as error:
                log.warning("%s; vonad goes on without it, on %s", error.message, socket_path)
        server = _Server(
            uvicorn.Config(
                build_app(service, events),
                http=_Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                # Everything that matters is told by the Gate; uvicorn would let any client fill the log.
                log_level=logging.CRITICAL,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                h11_max_incomplete_event_size=HEAD_LIMIT,
                timeout_graceful_shutdown=GRACE_S,
            ),
            ready or asyncio.Event(),
        )
        async with asyncio.TaskGroup() as tasks:
            memory = tasks.create_task(events.remember(), name="web.remember")
            served = tasks.create_task(server.serve(sockets), name="web.serve")
            await stop.wait()
            events.end()
            server.leave()
            await served
            memory.cancel()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready
        self._over = asyncio.Event()

    def leave(self) -> None:
        """Serve no longer."""
        self.should_exit = True
        self._over.set()

    async def main_loop(self) -> None:
        """uvicorn's looks ten times a second whether it should stop, all day; all that has to be done is the date."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_S):
                    await self._over.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the daemon's."""
        yield


class _Connection(H11Protocol):
    """uvicorn's connection with limits, and with refusals in our form."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        if len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._taken()
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP at all."""
        request_id = secrets.token_hex(6)
        error = {"code": "malformed", "message": "this is not HTTP as it should be", "request_id": request_id}
        body = json.dumps({"error": {**error, "details": {}}}).encode()
        head = f"HTTP/1.1 400 {STATUS_PHRASES[400].decode()}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\nX-Request-Id: {request_id}\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _taken(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _watch_head(self) -> None:
        """Between requests the next head is awaited, but not for ever."""
        awaited = self.cycle is None or self.cycle.response_complete
        if awaited and self._late is None:
            self._late = self.loop.call_later(STALLED_S, self.transport.abort)
        elif not awaited and self._late is not None:
            self._late.cancel()
            self._late = None
