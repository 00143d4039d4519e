"""The outbox: what is to be published, in order, and what the broker should retain. Never blocks who puts."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable

import aiomqtt

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

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._truth: dict[str, Outgoing] = {}
        self._states: deque[Outgoing] = deque()
        self._events: deque[Outgoing] = deque()
        self._open = False
        self._home = False
        self._in_flight = 0
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()

    @property
    def truth(self) -> Iterable[Outgoing]:
        """What the broker should retain: the newest of each topic."""
        return self._truth.values()

    def put(self, message: Outgoing) -> None:
        """Send it, unless it is retained already. Without a connection events are dropped, and states wait: the newest
        of each topic is what the next connection begins with.
        """
        if message.state:
            known = self._truth.get(message.topic)
            self.remember(message)
            if self._home and known != message:
                self.insist(message)
        elif not self._open:
            self.counts["dropped"] += 1
        else:
            if len(self._events) >= LIMIT:
                self._events.popleft()
                self.counts["dropped"] += 1
            self._events.append(message)
            self._news.set()

    def insist(self, message: Outgoing) -> None:
        """Send a state, also when it is retained already."""
        if len(self._states) >= LIMIT:
            self._states = deque({message.topic: message for message in self._states}.values())
        self._states.append(message)
        self._news.set()

    def remember(self, message: Outgoing) -> None:
        """Make it true, or with an empty payload no longer true, without sending it."""
        if message.payload:
            self._truth[message.topic] = message
        else:
            self._truth.pop(message.topic, None)

    def open(self) -> None:
        """A connection is being made: events wait for it from now on."""
        self._open = True

    def arrive(self) -> None:
        """There is one: from now on states are sent as they change."""
        self._home = True

    def close(self) -> None:
        """The connection is gone, and with it what waited."""
        self._open = self._home = False
        self.counts["dropped"] += len(self._events)
        self._states.clear()
        self._events.clear()
        self._in_flight = 0

    async def send(self, client: aiomqtt.Client) -> None:
        """Publish whatever is put, WINDOW at a time, until cancelled. Raises ConnectionFailed, in a group."""
        slots = asyncio.Semaphore(WINDOW)
        async with asyncio.TaskGroup() as group:
            while True:
                while not (lane := self._states or self._events):
                    self._news.clear()
                    await self._news.wait()
                self._in_flight += 1
                message = lane.popleft()
                await slots.acquire()
                group.create_task(self._publish(client, message, slots), name="mqtt-publish")

    async def flush(self, seconds: float) -> None:
        """Wait until the broker has everything; no longer than that, and not at all without a connection."""
        if self._home and (self._states or self._events or self._in_flight):
            self._quiet.clear()
            waiting = asyncio.ensure_future(self._quiet.wait())
            await asyncio.wait({waiting}, timeout=seconds)
            waiting.cancel()

    async def _publish(self, client: aiomqtt.Client, message: Outgoing, slots: asyncio.Semaphore) -> None:
        # A task each, so that none waits for the acknowledgement of the one before. Tasks start in order, and paho
        # writes in that first step: topics keep their order.
        outcome = "lost"
        try:
            await client.publish(message.topic, message.payload, message.qos, message.retain, timeout=ACKNOWLEDGED_S)
            outcome = "published"
        except aiomqtt.MqttError as error:
            raise ConnectionFailed("lost", str(error)) from error
        finally:
            self.counts[outcome] += 1
            self._in_flight -= 1
            slots.release()
            if not (self._in_flight or self._states or self._events):
                self._quiet.set()
