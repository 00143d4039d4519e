"""Connections: aiomqtt's client, made to hand over messages at once, to say why it failed, to leave nothing behind."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiomqtt
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from vonad.mqtt.client import LOGGER, Client, direct
from vonad.mqtt.message import Incoming, Outgoing

CONNECT_S = 5.0
"""How long a broker may take to accept us, or to take note of our leaving."""

WINDOW = 20
"""Publishes on their way at once: what brokers and paho allow by default."""

PACKET_LIMIT = 16 * 1024 * 1024
"""A broker that speaks MQTT 5 keeps longer messages to itself, before they cost us memory."""

# Without it Nagle's algorithm and delayed acknowledgements make each QoS 1 message take 44 ms.
_NODELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)

_UNSUPPORTED_PROTOCOL, _BAD_CREDENTIALS, _TAKEN_OVER = 132, {134, 135, 140}, 142

Failure = Literal["unreachable", "tls", "silent", "protocol", "credentials", "refused", "lost", "taken_over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is and who we are there. speaks: what is known of it; embedded: it is ours."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    speaks: ProtocolVersion | None = None
    embedded: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class ConnectionFailed(Exception):  # noqa: N818  (read as a sentence where it is caught)
    """There is no connection, or no longer. kind: what to do about it; the text: why, as the machine put it."""

    def __init__(self, kind: Failure, why: str) -> None:
        super().__init__(why)
        self.kind = kind


@asynccontextmanager
async def connect(
    broker: Broker,
    protocol: ProtocolVersion,
    *,
    identifier: str,
    will: Outgoing | None = None,
    keepalive_s: int = 10,
    patience_s: float = CONNECT_S,
    deliver: Callable[[Incoming], None],
) -> AsyncIterator[Client]:
    """A clean session. Raises ConnectionFailed.

    deliver: told of each message where it is read, without a task or a queue between; must not raise.
    """
    try:
        client = _client(
            broker, protocol, identifier=identifier, will=will, keepalive_s=keepalive_s, queue_type=direct(deliver)
        )
        client.timeout = patience_s
        await _enter(client)
        client.timeout = CONNECT_S
    except aiomqtt.MqttError as error:
        raise _why(error) from error
    except (OSError, ValueError) as error:  # an unusable certificate; a host name that can be none
        raise ConnectionFailed("tls" if broker.tls else "unreachable", str(error)) from error
    try:
        yield client
    except (ConnectionFailed, BaseExceptionGroup):
        if _is_taken_over(client.broken):  # what failed first may not be what was wrong
            raise ConnectionFailed("taken_over", str(client.broken)) from None
        raise
    finally:
        await _leave(client)


async def lost(client: Client) -> None:
    """Wait, and raise ConnectionFailed when the connection breaks."""
    try:
        async for _ in client.messages:
            pass  # never: `deliver` has taken them
    except aiomqtt.MqttError as error:
        raise ConnectionFailed("lost", str(error.__cause__ or error)) from error


def _is_taken_over(error: BaseException | None) -> bool:
    rc = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    return isinstance(rc, ReasonCode) and rc.value == _TAKEN_OVER


def _client(
    broker: Broker,
    protocol: ProtocolVersion,
    *,
    identifier: str,
    will: Outgoing | None,
    keepalive_s: int,
    queue_type: type[asyncio.Queue[aiomqtt.Message]],
) -> Client:
    v5 = protocol is ProtocolVersion.V5
    properties = None
    if v5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's is not annotated
        properties.MaximumPacketSize = PACKET_LIMIT
    return Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=broker.password,
        identifier=identifier,
        protocol=protocol,
        clean_session=None if v5 else True,
        properties=properties,
        will=aiomqtt.Will(will.topic, will.payload, will.qos, will.retain) if will else None,
        queue_type=queue_type,
        timeout=CONNECT_S,
        logger=LOGGER,
        # paho looks once a second, and needs two silent periods to notice: this keeps them within two of the owner's
        keepalive=max(1, keepalive_s - 1),
        max_inflight_messages=WINDOW,
        tls_context=ssl.create_default_context(cafile=broker.ca_file) if broker.tls else None,
        socket_options=_NODELAY,
    )


async def _enter(client: Client) -> None:
    # paho connects in a thread, which nothing can stop: a cancelled caller waits for its end, then closes what it made.
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait({entering}, timeout=CONNECT_S)
        if entering.done() and not entering.cancelled() and entering.exception() is None:
            await _leave(client)
        entering.cancel()
        raise
    except aiomqtt.MqttError:
        client.timeout = 0.01  # a socket that was opened is closed at once; there is no answer to wait for
        await _leave(client)
        raise


async def _leave(client: Client) -> None:
    with suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)
    _ = client.broken  # looked at, or asyncio complains


def _why(error: aiomqtt.MqttError) -> ConnectionFailed:
    if not isinstance(error, aiomqtt.MqttCodeError):
        if str(error) == "Operation timed out":
            return ConnectionFailed("silent", "connected, and never answered")  # perhaps not in this protocol
        return ConnectionFailed("tls" if "SSL" in str(error) else "unreachable", str(error))
    code = error.rc.value if isinstance(error.rc, ReasonCode) else error.rc
    why = str(error.rc) if isinstance(error.rc, ReasonCode) else str(error)
    if code == _UNSUPPORTED_PROTOCOL:
        return ConnectionFailed("protocol", why)
    return ConnectionFailed("credentials" if code in _BAD_CREDENTIALS else "refused", why)
