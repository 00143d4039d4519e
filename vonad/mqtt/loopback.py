"""amqtt, mended: what it retains reaches only who subscribed to it, and no client can fill its memory or hold it up.

Imported only when a broker is started: amqtt takes 140 ms to load.
"""

import asyncio
import logging
import socket
from functools import partial

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.session import Session

log = logging.getLogger(__name__)

PACKET_LIMIT = 2 * 1024 * 1024
"""Bytes: the longest message of the contract is a picture of 1 MiB. Who sends more is cut off."""

for _name in ("amqtt", "transitions.core"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def _is_news(record: logging.LogRecord) -> bool:
    """Somebody who only looks whether the port is open is no error."""
    return not record.getMessage().endswith(("No more data", "No data to decode MQTT packet fixed header"))


logging.getLogger("amqtt.broker").addFilter(_is_news)


NOT_MQTT_5 = bytes((0x20, 0x03, 0x00, 0x84, 0x00))
"""CONNACK as MQTT 5 reads it: unsupported protocol version."""

_GREETING = b"\x00\x04MQTT"


class _CappedReader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt has no types
    def __init__(self, reader: asyncio.StreamReader, begun: bytes) -> None:
        super().__init__(reader)
        self._begun = begun

    async def read(self, n: int = -1) -> bytes:
        if n > PACKET_LIMIT:
            raise ConnectionError(f"a packet of {n} bytes: at most {PACKET_LIMIT}")
        if not self._begun:
            data: bytes = await super().read(n)
            return data
        taken, self._begun = self._begun[:n], self._begun[n:]
        rest: bytes = await super().read(n - len(taken)) if n > len(taken) else b""
        return taken + rest


async def _greeting(reader: asyncio.StreamReader) -> bytes:
    """The beginning of a client's first packet, up to the protocol it speaks."""
    begun = await reader.readexactly(2)
    while begun[-1] & 0x80 and len(begun) < 5:
        begun += await reader.readexactly(1)
    return begun + await reader.readexactly(len(_GREETING) + 1)


class LoopbackBroker(Broker):  # type: ignore[misc]  # amqtt has no types
    """Serves on a socket that listens already."""

    def __init__(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()
        super().__init__({"listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}}, "plugins": {}})
        self._listener = listener
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def stop(self) -> None:
        """Part from every client, also from those that never introduced themselves: newer Pythons wait for them."""
        for server in self._servers.values():
            server.instance.close()
        for writer in self._clients.values():
            writer.transport.abort()
        if self._clients:
            await asyncio.wait(self._clients)
        await self.shutdown()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """The boundary of one client."""
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = writer
        try:
            begun = await _greeting(reader)
            if begun.endswith(_GREETING + b"\x05"):
                # amqtt would read it as MQTT 3.1.1, and wait for ever for what that makes of it.
                writer.write(NOT_MQTT_5)
                await writer.drain()
            else:
                await self._client_connected(listener_name, _CappedReader(reader, begun), StreamWriterAdapter(writer))
        except asyncio.IncompleteReadError:
            pass  # somebody who only looked whether the port is open
        except Exception as error:  # whatever a client sends, and however amqtt takes it, the others are served
            log.warning("embedded MQTT broker: a client was cut off: %s: %s", type(error).__name__, error)
        finally:
            del self._clients[task]
            writer.close()

    async def _create_server_instance(self, listener_name: str, *_: object) -> asyncio.Server:
        return await asyncio.start_server(
            partial(self.stream_connected, listener_name=listener_name), sock=self._listener
        )

    async def _authenticate(self, session: Session, _: object) -> bool:
        session.is_anonymous = True
        return True

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # amqtt calls this for every filter of every client whenever somebody connects: a stranger would get them all.
        own = self.subscriptions.get(subscription[0], ())
        if any(subscriber.client_id == session.client_id for subscriber, _ in own):
            await super()._publish_retained_messages_for_subscription(subscription, session)
