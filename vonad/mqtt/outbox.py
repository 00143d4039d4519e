"""The outbox: what is to be published, in order, and what the broker should retain. Never blocks who puts."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import aiomqtt

from vonad.clock import Clock
from vonad.mqtt.client import Client
from vonad.mqtt.connection import WINDOW, ConnectionFailed
from vonad.mqtt.message import Outgoing

LIMIT = 1_000
"""Events that wait for a slow broker: several busy turns' worth; then the oldest go. Of so many states the newest of
each topic stay."""

ACKNOWLEDGED_S = 10.0
"""A broker that has not acknowledged a message by then does not hear us."""


class Outbox:
    """Two lanes: states overtake events, because somebody waits for them.

    counts: `published`, `dropped` before and `lost` after they were handed to a connection.
    """

    def __init__(self, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._truth: dict[str, Outgoing] = {}
        self._states: deque[Outgoing] = deque()
        self._events: deque[Callable[[], Iterable[Outgoing]]] = deque()
        self._made: deque[Outgoing] = deque()
        self._open = False
        self._client: Client | None = None
        self._in_flight: dict[int, float] = {}
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()

    @property
    def truth(self) -> Iterable[Outgoing]:
        """What the broker should retain: the newest of each topic."""
        return self._truth.values()

    def put(self, state: Outgoing) -> None:
        """Send a state, unless it is retained already. Without a connection it waits: the newest of each topic is what
        the next connection begins with.
        """
        known = self._truth.get(state.topic)
        self.remember(state)
        if known != state:
            self.insist(state)

    def tell(self, make: Callable[[], Iterable[Outgoing]]) -> None:
        """Send an event: what `make` makes of it when its turn comes. Without a connection it is dropped."""
        if not self._open:
            self.counts["dropped"] += 1
            return
        if len(self._events) >= LIMIT:
            self._events.popleft()
            self.counts["dropped"] += 1
        self._events.append(make)
        self._news.set()

    def insist(self, state: Outgoing) -> None:
        """Send a state, also when it is retained already: on the spot, if the broker keeps up."""
        if self._client is None:
            return
        if len(self._states) >= LIMIT:
            self._states = deque({waiting.topic: waiting for waiting in self._states}.values())
        self._states.append(state)
        if len(self._states) == 1 and len(self._in_flight) < WINDOW:
            # The connection's end is for `send` to tell: who says what is true has nothing to do with it.
            with suppress(aiomqtt.MqttError):
                self._post(self._client, self._states)
        self._news.set()

    def remember(self, state: Outgoing) -> None:
        """Make it true, or with an empty payload no longer true, without sending it."""
        if state.payload:
            self._truth[state.topic] = state
        else:
            self._truth.pop(state.topic, None)

    def open(self) -> None:
        """A connection is being made: events wait for it from now on."""
        self._open = True

    def arrive(self, client: Client) -> None:
        """There is one: from now on states are sent as they change."""
        self._client = client
        client.on_posted = self._posted

    def close(self) -> None:
        """The connection is gone, and with it what waited."""
        self._open = False
        self._client = None
        self.counts["lost"] += len(self._in_flight)
        self.counts["dropped"] += len(self._events)
        self._in_flight.clear()
        self._states.clear()
        self._events.clear()
        self._made.clear()

    async def send(self) -> None:
        """Publish what is put, WINDOW at a time, until cancelled. Raises ConnectionFailed."""
        while (client := self._client) is not None:
            self._news.clear()
            try:
                for _ in range(WINDOW):  # then others have their turn
                    if len(self._in_flight) < WINDOW and (lane := self._lane()):
                        self._post(client, lane)
            except aiomqtt.MqttError as error:
                raise ConnectionFailed("lost", str(error)) from error
            if not (self._in_flight or self._lane()):
                self._quiet.set()
            oldest = next(iter(self._in_flight.values()), None)
            if oldest is not None and self._clock.monotonic() - oldest > ACKNOWLEDGED_S:
                raise ConnectionFailed("lost", f"it has acknowledged nothing for {ACKNOWLEDGED_S:g} s")
            if len(self._in_flight) < WINDOW and self._lane():
                await asyncio.sleep(0)
            else:
                await self._news.wait()

    async def flush(self, seconds: float) -> None:
        """Wait until the broker has everything; no longer than that, and not at all without a connection."""
        if self._client is not None and (self._in_flight or self._lane()):
            self._quiet.clear()
            waiting = asyncio.ensure_future(self._quiet.wait())
            await asyncio.wait({waiting}, timeout=seconds)
            waiting.cancel()

    def _lane(self) -> deque[Outgoing]:
        """What is next."""
        while not (self._states or self._made) and self._events:
            self._made.extend(self._events.popleft()())
        return self._states or self._made

    def _post(self, client: Client, lane: deque[Outgoing]) -> None:
        number = client.post(lane[0])
        lane.popleft()
        self.counts["published"] += 1
        if number is not None:
            self._in_flight[number] = self._clock.monotonic()

    def _posted(self, number: int) -> None:
        # Called while paho reads: what is published now would wait for the socket to be writable. `send` does it.
        self._in_flight.pop(number, None)
        self._news.set()
