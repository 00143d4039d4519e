"""An observer: another client of the broker, as an automation would be one. Sees everything, may publish."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex

import aiomqtt
from aiomqtt import ProtocolVersion

from vonad.mailbox import Mailbox
from vonad.mqtt.connection import Broker, connect
from vonad.mqtt.message import Incoming

WAITING = 10_000
"""Messages that wait to be looked at: a demo's worth many times over."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A message as it came. at: monotonic seconds."""

    topic: str
    text: str
    retained: bool
    at: float


class Observer:
    """Iterate over what comes."""

    def __init__(self, client: aiomqtt.Client, seen: Mailbox[Observed]) -> None:
        self._client = client
        self._seen = seen

    async def publish(self, topic: str, text: str) -> None:
        """At QoS 1; returns when the broker has it."""
        await self._client.publish(topic, text.encode(), qos=1)

    def __aiter__(self) -> AsyncIterator[Observed]:
        return self._seen


@asynccontextmanager
async def observe(host: str, port: int, topic_filter: str) -> AsyncIterator[Observer]:
    """Connect and subscribe. Raises ConnectionFailed."""
    seen: Mailbox[Observed] = Mailbox(WAITING)

    def deliver(message: Incoming) -> None:
        text = message.payload.decode(errors="replace")
        seen.put(Observed(message.topic, text, message.retained, time.monotonic()))

    name = f"observer-{token_hex(4)}"
    async with connect(Broker(host=host, port=port), ProtocolVersion.V311, identifier=name, deliver=deliver) as client:
        await client.subscribe(topic_filter, qos=1)
        yield Observer(client, seen)
