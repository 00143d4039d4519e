"""The MQTT frontend: serves the house on one broker until it is stopped."""

import asyncio
import logging
from collections.abc import Iterable
from random import Random, SystemRandom

from vonad.bus import Subscription
from vonad.clock import Clock
from vonad.events import Event
from vonad.identity import NodeIdentity
from vonad.mqtt.connection import Broker
from vonad.mqtt.link import Link
from vonad.mqtt.message import Outgoing
from vonad.mqtt.outbox import Outbox
from vonad.mqtt.presence import AlreadyRunning
from vonad.mqtt.publisher import Publisher
from vonad.mqtt.receiver import Receiver
from vonad.mqtt.topics import Topics
from vonad.service import House, Service
from vonad.settings import Mqtt

log = logging.getLogger(__name__)

GRACE_S = 2.0
"""What the last messages get to reach the broker."""


async def serve_mqtt(
    mqtt: Mqtt,
    service: Service,
    broker: Broker,
    *,
    node: NodeIdentity,
    clock: Clock,
    stop: asyncio.Event,
    random: Random | None = None,
) -> None:
    """Serve until `stop` or cancelled; then what has happened is published, and `offline`.

    The house is told of its health, as `mqtt`. Raises AlreadyRunning when another live daemon has this node's topics.
    """
    house = service.house
    topics = Topics(mqtt.prefix, node.id)
    publisher = Publisher(topics, publish_text=mqtt.publish_text, satellites=house.satellites, info=house.info)
    receiver = Receiver(topics, service, clock)
    link = Link(
        broker,
        topics,
        clock=clock,
        random=random or SystemRandom(),
        keepalive_s=mqtt.keepalive_s,
        deliver=receiver.deliver,
        truth=publisher.truth,
        stale=publisher.stale,
        on_health=lambda health: house.report("mqtt", ok=health.ok, detail=health.detail),
    )
    try:
        await _serve(Teller(house, publisher, link.outbox), receiver, link, stop)
    except BaseExceptionGroup as group:
        rivals, _ = group.split(AlreadyRunning)
        if rivals is not None:
            raise _only(rivals) from None
        raise


async def _serve(teller: "Teller", receiver: Receiver, link: Link, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(teller.run(), name="mqtt-tell")
        receiving = group.create_task(receiver.run(), name="mqtt-receive")
        linking = group.create_task(link.run(), name="mqtt-link")
        try:
            await stop.wait()
        finally:
            receiving.cancel()
            if not linking.done():
                teller.close()
                await asyncio.wait({telling}, timeout=GRACE_S)
                await link.leave(GRACE_S)
            telling.cancel()
            linking.cancel()


class Teller:
    """Reads the bus and publishes."""

    def __init__(self, house: House, publisher: Publisher, outbox: Outbox) -> None:
        self._house = house
        self._publisher = publisher
        self._outbox = outbox
        self._events: Subscription | None = None
        self._closing = False

    async def run(self) -> None:
        """Until closed. A reader that was too slow begins anew, with what is true then."""
        while not self._closing:
            with self._house.events() as self._events:
                for state in self._publisher.truth():
                    self._outbox.put(state)
                async for event in self._events:
                    self._tell(event)

    def _tell(self, event: Event) -> None:
        """The boundary of one event: a defect in it must not silence all others."""
        try:
            for state in self._publisher.states(event):
                self._outbox.put(state)
        except Exception:
            log.exception("MQTT: the states after %s could not be published", event.type)
        self._outbox.tell(lambda: self._made(event))

    def _made(self, event: Event) -> Iterable[Outgoing]:
        try:
            return list(self._publisher.tells(event))
        except Exception:  # as above
            log.exception("MQTT: %s could not be published", event.type)
            return ()

    def close(self) -> None:
        """End once what has happened is published."""
        self._closing = True
        if self._events is not None:
            self._events.close()


def _only(group: BaseExceptionGroup[AlreadyRunning]) -> AlreadyRunning:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, AlreadyRunning)
    return error
