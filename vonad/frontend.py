"""Frontends: other faces of the house (a protocol, a page). They use the host's service and nothing deeper."""

from abc import ABC, abstractmethod


class Frontend(ABC):
    """A face that a plugin adds."""

    @abstractmethod
    async def serve(self) -> None:
        """Serve until cancelled. What it raises is reported, and it is served again after a pause."""
