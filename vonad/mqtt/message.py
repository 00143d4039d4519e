"""Messages as they cross the socket."""

from dataclasses import dataclass

PAYLOAD_LIMIT = 16 * 1024
"""Bytes of a command; more is malformed."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """To be published. qos: 0 or 1; a retained message with an empty payload clears its topic."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """As delivered. payload: cut one byte past PAYLOAD_LIMIT: what waits stays small, and is seen as too long."""

    topic: str
    payload: bytes
    retained: bool = False
