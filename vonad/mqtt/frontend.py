"""The MQTT frontend: serves the house on one broker until it is stopped."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from random import Random, SystemRandom

from vonad.bus import Subscription
from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.mqtt.choice import choose_broker
from vonad.mqtt.connection import Broker
from vonad.mqtt.health import Health
from vonad.mqtt.link import Link
from vonad.mqtt.presence import AlreadyRunning
from vonad.mqtt.publisher import Publisher
from vonad.mqtt.receiver import Receiver
from vonad.mqtt.topics import Topics
from vonad.service import House, Service
from vonad.settings import Settings

log = logging.getLogger(__name__)

GRACE_S = 2.0
"""What the last messages get to reach the broker."""


async def serve_mqtt(
    settings: Settings,
    service: Service,
    *,
    node: str,
    state_dir: Path,
    clock: Clock,
    random: Random | None = None,
    stop: asyncio.Event | None = None,
    on_health: Callable[[Health], None] | None = None,
    on_broker: Callable[[Broker], None] | None = None,
) -> None:
    """Choose a broker and serve until `stop` or cancelled; then what has happened is published, and `offline`.

    node: its id, the level below the prefix. on_health, on_broker: told of each change, and of the choice; the house
    is told of its health in any case. Raises AlreadyRunning when another live daemon has this base.
    """
    house, stop = service.house, stop or asyncio.Event()

    def tell(health: Health) -> None:
        house.report("mqtt", ok=health.ok, detail=health.detail)
        if on_health is not None:
            on_health(health)

    try:
        async with choose_broker(settings.mqtt, state_dir) as broker:
            if on_broker is not None:
                on_broker(broker)
            topics = Topics(settings.mqtt.prefix, node)
            publisher = Publisher(
                topics, publish_text=settings.mqtt.publish_text, satellites=house.satellites, info=house.info
            )
            receiver = Receiver(topics, house, clock)
            link = Link(
                broker,
                topics,
                clock=clock,
                random=random or SystemRandom(),
                keepalive_s=settings.mqtt.keepalive_s,
                deliver=receiver.deliver,
                truth=publisher.truth,
                on_health=tell,
            )
            await _serve(house, publisher, receiver, link, stop)
    except AlreadyRunning:
        raise
    except VonadError as error:
        log.error("MQTT: %s", error.message)  # noqa: TRY400  (a sentence for the owner)
        tell(Health("unconfigured", error.message))
        await stop.wait()


async def _serve(house: House, publisher: Publisher, receiver: Receiver, link: Link, stop: asyncio.Event) -> None:
    try:
        await _serve_until(stop, Teller(house, publisher, link), receiver, link)
    except BaseExceptionGroup as group:
        rivals, _ = group.split(AlreadyRunning)
        if rivals is not None:
            raise _only(rivals) from None
        raise


async def _serve_until(stop: asyncio.Event, teller: "Teller", receiver: Receiver, link: Link) -> None:
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
