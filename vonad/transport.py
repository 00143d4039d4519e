"""Transports: where sound comes from and goes. A Transport offers Lines; a Line is one connected satellite's sound."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

from vonad.frame import CAPTURE_RATE, Frame
from vonad.plan import Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCapabilities:
    """What a line can do.

    playback_rate: Hz of the frames that `play` is given.
    full_duplex:   it can hear while it plays without hearing itself, or hardly.
    position:      `played` is measured, not guessed.
    """

    playback_rate: int = CAPTURE_RATE
    full_duplex: bool = False
    position: bool = False


class Line(ABC):
    """One satellite's sound, from the moment it connects until `frames` ends. No detector lives here.

    satellite: its id.
    """

    satellite: str
    capabilities: LineCapabilities = LineCapabilities()

    @abstractmethod
    def frames(self) -> AsyncIterator[Frame]:
        """Captured sound, any rate; one consumer. Ends when the satellite has gone; raises transport_recv_failed.

        Each frame says in `at` when it was captured, by the host's clock: sound that seems to have stopped coming ends
        the turn, though somebody still speaks.
        """

    @abstractmethod
    async def play(self, frame: Frame) -> None:
        """Queue a frame at the playback rate; returns when there is room. Raises transport_send_failed."""

    @abstractmethod
    async def clear(self) -> None:
        """Throw away at once whatever has not been heard yet; returns when it is."""

    def hush(self) -> None:  # noqa: B027  (optional)
        """Somebody interrupts: throw away what has not been heard yet, as far as that needs no waiting.

        `clear` follows, whatever comes of this. Where it does not need to wait either, have both do the same: `clear`
        begins only when the loop comes to it, this before anything else happens.
        """

    @abstractmethod
    async def drained(self) -> None:
        """Return when everything queued has been heard. Raises transport_send_failed when it never will be."""

    @property
    def played(self) -> float:
        """Seconds of sound heard since the line opened, nothing thrown away, where capabilities.position says so."""
        return 0.0

    @property
    def dropped(self) -> int:
        """Frames that were captured since the line opened, and thrown away because nobody took them in time."""
        return 0

    @property
    def muted(self) -> bool:
        """Whether a switch on the device has cut its microphone off: no wake opens it then."""
        return False

    async def wakes(self) -> AsyncIterator[Wake]:
        """Wakes that the device itself finds; none by default."""
        none: tuple[Wake, ...] = ()
        for wake in none:
            yield wake

    def show(self, state: str, *, opened_by: Wake | None = None) -> None:  # noqa: B027  (optional)
        """The satellite's state is now idle, listening, processing or responding: light the lamp.

        opened_by: with `listening`: the wake or request that opened the microphone; None for a follow-up.
        """


class Transport(ABC):
    """Where satellites connect."""

    @abstractmethod
    def lines(self) -> AsyncIterator[Line]:
        """Yield a Line for each satellite as it connects, for as long as the transport is open."""
