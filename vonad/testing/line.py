"""A line without a satellite: what is captured is put in by hand, what is played is kept."""

import asyncio
from collections.abc import AsyncIterator

from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.mailbox import Mailbox
from vonad.plan import Wake
from vonad.transport import Line, LineCapabilities


class ScriptedLine(Line):
    """Plays at once unless `hold` is called; then nothing counts as heard until `release`, or `heard` says how much.

    captured: put frames here; close it to hang up.
    sound:    what was given to play, and not cleared before it was heard.
    clears:   how often what waited was thrown away.
    shown:    every state it was told, with what opened the microphone.
    broken:   set it, and playing fails.
    """

    def __init__(self, satellite: str = "desk", *, full_duplex: bool = False) -> None:
        self.satellite = satellite
        self.capabilities = LineCapabilities(playback_rate=16_000, full_duplex=full_duplex, position=True)
        self.captured: Mailbox[Frame] = Mailbox(10_000)
        self.sound: list[Frame] = []
        self.clears = 0
        self.shown: list[tuple[str, Wake | None]] = []
        self.broken = False
        self._silent = asyncio.Event()
        self._silent.set()
        self._played_s: float | None = None

    async def frames(self) -> AsyncIterator[Frame]:
        async for frame in self.captured:
            yield frame

    async def play(self, frame: Frame) -> None:
        if self.broken:
            raise VonadError("transport_send_failed", f"satellite {self.satellite} does not take sound", op="play")
        self.sound.append(frame)

    async def clear(self) -> None:
        self.clears += 1
        self._silent.set()

    async def drained(self) -> None:
        await self._silent.wait()

    @property
    def played(self) -> float:
        if self._played_s is not None:
            return self._played_s
        return sum(frame.seconds for frame in self.sound)

    def show(self, state: str, *, opened_by: Wake | None = None) -> None:
        self.shown.append((state, opened_by))

    def hold(self) -> None:
        """From now on nothing counts as heard."""
        self._played_s = self.played
        self._silent.clear()

    def heard(self, seconds: float) -> None:
        """So much more has been heard."""
        self._played_s = self.played + seconds

    def release(self) -> None:
        """Everything has been heard."""
        self._played_s = None
        self._silent.set()
