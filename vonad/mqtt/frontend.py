"""The MQTT frontend: serves the house on one broker until it is stopped."""

import asyncio
import logging
from random import Random, SystemRandom

from vonad.bus import Subscription
from vonad.clock import Clock
from vonad.identity import NodeIdentity
from vonad.mqtt.connection import Broker
from vonad.mqtt.link import Link
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
    receiver = Receiver(topics, house, clock)
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
        await _serve(Teller(house, publisher, link), receiver, link, stop)
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

    def __init__(self, house: House, publisher: Publisher, link: Link) -> None:
        self._house = house
        self._publisher = publisher
        self._link = link
        self._events: Subscription | None = None
        self._closing = False

    async def run(self) -> None:
        """Until closed. A reader that was too slow begins anew, with what is true then."""
        while not self._closing:
            with self._house.events() as self._events:
                for message in self._publisher.truth():
                    self._link.publish(message)
                async for event in self._events:
                    try:
                        for message in self._publisher.messages(event):
                            self._link.publish(message)
                    except Exception:  # a defect in one event must not silence all others
                        log.exception("MQTT: %s could not be published", event.type)

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
