"""Events for readers of HTTP: server-sent, with a heartbeat, and with the latest ones again for who comes back."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vonad.bus import Subscription
from vonad.errors import VonadError
from vonad.events import Event

HEARTBEAT_S = 15.0
"""Seconds of quiet after which a comment tells both ends that the other is there."""
REMEMBERED = 256
"""Events that can be read again: some twenty turns, about 100 KB."""
READERS = 32
"""Streams at once."""
WAITING = 256
"""Events that wait for one reader; a slower one is told that some are gone."""

GAP = "events_dropped"
"""The type of the event that tells of others that are gone."""

Subscribe = Callable[[str | None, int], AbstractContextManager[Subscription]]
"""Events from now on, of one session or of all; how many may wait."""


class Events:
    """The events of the house as streams. Its `remember` runs for as long as the API is served."""

    def __init__(self, subscribe: Subscribe) -> None:
        self._subscribe = subscribe
        self._latest: deque[Event] = deque(maxlen=REMEMBERED)
        self._readers = 0
        self._ending = asyncio.Event()

    async def remember(self) -> None:
        """Keep the latest events, until cancelled."""
        while True:
            with self._subscribe(None, 4 * REMEMBERED) as events:
                async for event in events:
                    self._latest.append(event)

    def end(self) -> None:
        """End every stream: the daemon stops."""
        self._ending.set()

    def stream(self, *, session_id: str | None, after: str | None) -> "EventStream":
        """A response that lasts. after: the id of the last event its reader saw. Raises overload, malformed."""
        if self._readers >= READERS:
            raise VonadError("overload", f"{READERS} readers follow the events already", op="http", retryable=True)
        if after is not None and not (after.isdecimal() and len(after) < 20):
            raise VonadError("malformed", f"Last-Event-ID: {after[:40]!r} is not the id of an event", op="http")
        return EventStream(self._read(session_id, None if after is None else int(after)), self._ending)

    async def _read(self, session_id: str | None, after: int | None) -> AsyncGenerator[bytes]:
        """The stream's pieces."""
        self._readers += 1
        try:
            with self._subscribe(session_id, WAITING) as live:
                yield b": vonad\nretry: 2000\n\n"
                # What was published before we subscribed has already woken `remember`: one step lets it file that.
                await asyncio.sleep(0)
                seen = 0
                for event in self._missed(session_id, after):
                    seen = event.seq
                    yield _piece(event)
                while True:
                    try:
                        async with asyncio.timeout(HEARTBEAT_S):
                            event = await anext(live)
                    except TimeoutError:
                        yield b": still here\n\n"
                        continue
                    except StopAsyncIteration:
                        return
                    if event.seq > seen:
                        yield _piece(event)
                    elif event.type == GAP:
                        yield _piece(event._replace(seq=seen))
        finally:
            self._readers -= 1

    def _missed(self, session_id: str | None, after: int | None) -> Sequence[Event]:
        """What a reader who comes back has not seen; a gap is told first."""
        if after is None:
            return ()
        latest = tuple(self._latest)
        # Ahead of us: seen before the daemon started again, and counted anew since.
        if latest and after > latest[-1].seq:
            after = 0
        missed = [event for event in latest if event.seq > after and session_id in (None, event.session_id)]
        if latest and latest[0].seq > after + 1:
            # How many of them were of one session nobody knows any more.
            count = latest[0].seq - after - 1 if session_id is None else None
            missed.insert(0, Event(GAP, {"count": count}, seq=latest[0].seq - 1, ts=latest[0].ts, node=latest[0].node))
        return missed


class EventStream(Response):
    """Pieces, sent as they come, until the reader leaves or the daemon stops. Readers who stall are the server's."""

    media_type = "text/event-stream"

    def __init__(self, pieces: AsyncGenerator[bytes], ending: asyncio.Event) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._pieces = pieces
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until one of the ends is reached."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with asyncio.TaskGroup() as tasks:
            ends = [
                tasks.create_task(self._send(send), name="web.events.send"),
                tasks.create_task(_gone(receive), name="web.events.gone"),
                tasks.create_task(self._daemon_ends(), name="web.events.end"),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in ends:
                task.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _daemon_ends(self) -> None:
        await self._ending.wait()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _piece(event: Event) -> bytes:
    """A gap has no id: nobody comes back to it."""
    data = json.dumps(event.envelope(), ensure_ascii=False, separators=(",", ":"))
    name = "" if event.type == GAP else f"id: {event.seq}\n"
    return f"{name}event: {event.type}\ndata: {data}\n\n".encode()
