"""aiomqtt's client, with a publish that does not wait, and mended where a connection breaks at the wrong moment.

aiomqtt 2.5.1 registers its socket with the event loop one step after paho asked for it. A connection that breaks in
between is closed by then: the loop is given a dead descriptor, or one that belongs to another socket meanwhile, and
spins on it for ever. And it forgets a connection's end that came together with its beginning.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Self, TypeGuard

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from vonad.mqtt.message import PAYLOAD_LIMIT, Incoming, Outgoing

LOGGER = logging.getLogger("vonad.mqtt.paho")
LOGGER.setLevel(logging.CRITICAL)  # what paho calls errors the link reports in its own words


class Client(aiomqtt.Client):
    """on_posted: told of each message that is over: acknowledged, or at QoS 0 written. Must not publish."""

    on_posted: Callable[[int], None] | None = None
    _reading = False

    def post(self, message: Outgoing) -> int | None:
        """Write it to the socket in this very call; its number while it is not over. Raises MqttError."""
        sent = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(sent.rc, "could not publish")
        if not self._reading:
            # Under a foreign event loop paho leaves it to that: some milliseconds later, when the loop is busy.
            self._client.loop_write()
        return None if sent.is_published() else sent.mid

    @property
    def broken(self) -> BaseException | None:
        """Why the connection has ended, if it has."""
        ended = self._disconnected
        return ended.exception() if ended.done() and not ended.cancelled() else None

    async def __aenter__(self) -> Self:
        ended = self._disconnected
        await super().__aenter__()
        if ended.done() and not ended.cancelled() and ended.exception() is not None:
            self._disconnected = ended
        return self

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        self._reading = True  # paho's locks are taken: to write now would wait for ever
        try:
            super()._on_message(client, userdata, message)
        finally:
            self._reading = False

    def _on_publish(
        self, client: paho.Client, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        super()._on_publish(client, userdata, mid, reason_code, properties)
        if self.on_posted is not None:
            self.on_posted(mid)

    def _on_socket_open(self, client: paho.Client, userdata: object, sock: object) -> None:
        opened = super()._on_socket_open
        self._loop.call_soon_threadsafe(lambda: opened(client, userdata, sock) if _is_open(sock) else None)

    def _on_socket_register_write(self, client: paho.Client, userdata: object, sock: object) -> None:
        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:  # the connection broke
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def register() -> None:
            if _is_open(sock) and client.want_write():
                self._loop.add_writer(sock, write)

        self._loop.call_soon_threadsafe(register)


def direct(deliver: Callable[[Incoming], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """A queue for aiomqtt that is none: its own drops messages that it has acknowledged, and says so in a log line."""

    class Direct(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            deliver(Incoming(item.topic.value, bytes(item.payload[: PAYLOAD_LIMIT + 1]), bool(item.retain)))

    return Direct


def _is_open(sock: object) -> TypeGuard[socket.socket]:
    return isinstance(sock, socket.socket) and sock.fileno() >= 0
