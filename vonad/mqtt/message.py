"""Messages as they cross the socket."""

from dataclasses import dataclass

PAYLOAD_LIMIT = 16 * 1024
"""Bytes of a command; more is malformed."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """To be published. qos: 0 or 1."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


def state(topic: str, payload: bytes) -> Outgoing:
    """What is true of a topic from now on; an empty payload: nothing any more."""
    return Outgoing(topic, payload, retain=True)


@dataclass(frozen=True, slots=True)
class Incoming:
    """As delivered. payload: cut one byte past PAYLOAD_LIMIT: what waits stays small, and is seen as too long."""

    topic: str
    payload: bytes
    retained: bool = False
