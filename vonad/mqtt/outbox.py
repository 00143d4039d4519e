"""The outbox: what is to be published, in order, and what the broker should retain. Never blocks who puts."""

import asyncio
from collections import Counter
from collections.abc import Iterable

import aiomqtt

from vonad.mailbox import Mailbox
from vonad.mqtt.connection import WINDOW, ConnectionFailed
from vonad.mqtt.message import Outgoing

LIMIT = 1_000
"""Messages that wait for a slow broker: several busy turns' worth. Then events go, oldest first; states stay."""

ACKNOWLEDGED_S = 10.0
"""A broker that has not acknowledged a message by then does not hear us."""


class Outbox:
    """One daemon's. counts: `published`, `dropped` before and `lost` after they were handed to a connection."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._truth: dict[str, Outgoing] = {}
        self._waiting: Mailbox[Outgoing] = Mailbox(LIMIT)
        self._home = False
        self._in_flight = 0
        self._delivered = asyncio.Event()
        self._waiting.close()

    @property
    def truth(self) -> Iterable[Outgoing]:
        """What the broker should retain: the newest of each topic."""
        return self._truth.values()

    def put(self, message: Outgoing) -> None:
        """Send it, unless the broker retains just that. Without a connection what is retained waits, replaced by
        what is newer; the rest is dropped.
        """
        if message.retain:
            known = self._truth.get(message.topic)
            self.remember(message)
            if not self._home or known == message:
                return  # the next birth says it; or it has been said
        self.insist(message)

    def insist(self, message: Outgoing) -> None:
        """Send it in any case."""
        self._delivered.clear()
        missed = self._waiting.dropped
        put = self._waiting.put(message)
        self.counts["dropped"] += self._waiting.dropped - missed + (not put)

    def remember(self, message: Outgoing) -> None:
        """Make it true, or with an empty payload no longer true, without sending it."""
        if message.payload:
            self._truth[message.topic] = message
        else:
            self._truth.pop(message.topic, None)

    def open(self) -> None:
        """A connection is being made: events wait for it from now on."""
        self._waiting = Mailbox(LIMIT, keep=lambda message: message.retain)
        self._in_flight = 0

    def arrive(self) -> None:
        """From now on retained messages are sent as well: what was true until now is for `send` to begin with."""
        self._home = True
        self._delivered.clear()

    def close(self) -> None:
        """The connection is gone, and with it what waited."""
        self._home = False
        self._waiting.close()
        self.counts["dropped"] += self._waiting.clear()

    async def send(self, client: aiomqtt.Client, *, first: Iterable[Outgoing]) -> None:
        """Publish these, then whatever is put, WINDOW at a time. Raises ConnectionFailed, in a group."""
        slots = asyncio.Semaphore(WINDOW)
        async with asyncio.TaskGroup() as group:
            for message in first:
                await self._start(client, message, slots, group)
            async for message in self._waiting:
                await self._start(client, message, slots, group)
        raise ConnectionFailed("lost", "it takes messages too slowly")

    async def flush(self, seconds: float) -> None:
        """Wait until the broker has everything; no longer than that, and not at all without a connection."""
        if self._home:
            waiting = asyncio.ensure_future(self._delivered.wait())
            await asyncio.wait({waiting}, timeout=seconds)
            waiting.cancel()

    async def _start(
        self, client: aiomqtt.Client, message: Outgoing, slots: asyncio.Semaphore, group: asyncio.TaskGroup
    ) -> None:
        self._in_flight += 1
        await slots.acquire()
        group.create_task(self._publish(client, message, slots), name="mqtt-publish")

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
            if not self._in_flight and not len(self._waiting):
                self._delivered.set()
