"""A line without a satellite: what is captured is put in by hand, what is played is kept."""

import asyncio
from collections.abc import AsyncIterator

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.mailbox import Mailbox
from vonad.plan import Wake
from vonad.testing.rules import rule
from vonad.transport import Line, LineCapabilities

STATES = ("idle", "listening", "processing", "responding")

AHEAD_S = 0.5
"""Seconds of sound that may wait to be heard before `play` waits, when it is paced."""


class ScriptedLine(Line):
    """Plays at once unless `hold` is called; then nothing counts as heard until `release`, or `heard` says how much.

    pace:     a clock at whose pace it plays instead, as a loudspeaker does; `play` waits when it is AHEAD_S ahead.
    captured: put frames here; close it to hang up.
    wake:     put wakes here that the device itself found; closed with `captured` by `hang_up`.
    sound:    what was given to play, also if it was cleared before it was heard.
    clears:   how often what waited was thrown away; hushes: how often that could not wait.
    muted:    set it, and the device's own switch has cut the microphone off.
    shown:    every state it was told, with what opened the microphone.
    broken:   set it, and playing fails.
    """

    muted = False

    def __init__(
        self, satellite: str = "desk", *, full_duplex: bool = False, position: bool = True, pace: Clock | None = None
    ) -> None:
        self.satellite = satellite
        self.capabilities = LineCapabilities(playback_rate=16_000, full_duplex=full_duplex, position=position)
        self.captured: Mailbox[Frame] = Mailbox(10_000)
        self.wake: Mailbox[Wake] = Mailbox(100)
        self.sound: list[Frame] = []
        self.clears = self.hushes = 0
        self.shown: list[tuple[str, Wake | None]] = []
        self.broken = False
        self._pace = pace
        self._until = 0.0
        self._lost_s = 0.0
        self._heard_out = False
        self._silent = asyncio.Event()
        self._silent.set()
        self._news = asyncio.Event()
        self._played_s: float | None = None

    def frames(self) -> AsyncIterator[Frame]:
        rule(not self._heard_out, "Line.frames has one consumer: it was asked for a second time")
        self._heard_out = True
        return self.captured

    async def play(self, frame: Frame) -> None:
        wanted = self.capabilities.playback_rate
        rule(frame.rate == wanted, f"Line.play takes frames at the playback rate, {wanted} Hz: got {frame.rate} Hz")
        self._check("play")
        self.sound.append(frame)
        if self._pace is not None:
            self._until = max(self._until, self._pace.monotonic()) + frame.seconds
            await self._until_left(self._pace, AHEAD_S)
            self._check("play")

    async def clear(self) -> None:
        self.clears += 1
        self._throw_away()
        self._silent.set()

    def hush(self) -> None:
        self.hushes += 1
        self._throw_away()

    async def drained(self) -> None:
        await self._silent.wait()
        if self._pace is not None:
            await self._until_left(self._pace, 0.0)
        self._check("drained")

    @property
    def played(self) -> float:
        if not self.capabilities.position:
            return 0.0
        if self._played_s is not None:
            return self._played_s
        given = sum(frame.seconds for frame in self.sound)
        return given if self._pace is None else given - self._lost_s - self._waiting_s(self._pace)

    async def wakes(self) -> AsyncIterator[Wake]:
        async for wake in self.wake:
            yield wake

    @property
    def dropped(self) -> int:
        return self.captured.dropped

    def show(self, state: str, *, opened_by: Wake | None = None) -> None:
        rule(state in STATES, f"Line.show takes one of {', '.join(STATES)}: got {state!r}")
        self.shown.append((state, opened_by))

    def hang_up(self) -> None:
        """The satellite goes."""
        self.captured.close()
        self.wake.close()

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

    def _throw_away(self) -> None:
        if self._pace is not None:
            self._lost_s += self._waiting_s(self._pace)
            self._until = self._pace.monotonic()
            self._tell()

    def _check(self, op: str) -> None:
        if self.broken:
            raise VonadError("transport_send_failed", f"satellite {self.satellite} does not take sound", op=op)

    def _waiting_s(self, clock: Clock) -> float:
        return max(0.0, self._until - clock.monotonic())

    async def _until_left(self, clock: Clock, seconds: float) -> None:
        while (excess := self._waiting_s(clock) - seconds) > 1e-9:
            timer = clock.call_later(excess, self._tell)
            try:
                await self._news.wait()
            finally:
                timer.cancel()

    def _tell(self) -> None:
        self._news.set()
        self._news.clear()
