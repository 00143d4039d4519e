"""The one line of this machine's sound devices, and how it is noticed that it is dead."""

import asyncio
from collections.abc import AsyncIterator

from vonad import Clock, Frame, Line, LineCapabilities, VonadError
from vonad_local_audio.child import DeviceError
from vonad_local_audio.microphone import Microphone
from vonad_local_audio.process import DeviceProcess
from vonad_local_audio.speaker import Speaker

CHECK_S = 0.25
DEAF_S = 1.5
MUTE_S = 3.0
"""Seconds without a sign of life after which a microphone, or a speaker that has something to play, is wedged."""

WARM_UP_S = 3.0
"""Seconds that a device may take to deliver its first sound."""


class Pulse:
    """Seconds since a count last moved. grace_s: added before its first move."""

    def __init__(self, clock: Clock, *, grace_s: float = 0.0) -> None:
        self._clock = clock
        self._count = 0
        self._moved_at = clock.monotonic() + grace_s

    def still_s(self, count: int, *, expected: bool = True) -> float:
        """expected: whether it should move at all."""
        if count != self._count or not expected:
            self._count = count
            self._moved_at = self._clock.monotonic()
        return self._clock.monotonic() - self._moved_at


class LocalLine(Line):
    """A microphone and a speaker, for as long as both of them live."""

    def __init__(self, satellite: str, capture: DeviceProcess, playback: DeviceProcess, clock: Clock) -> None:
        self.satellite = satellite
        self.capabilities = LineCapabilities(playback_rate=playback.rate, position=True)
        self.microphone = Microphone(capture)
        self.speaker = Speaker(playback)
        self._lost = {capture.lost, playback.lost}
        self._clock = clock
        self._error: DeviceError | None = None

    def frames(self) -> AsyncIterator[Frame]:
        return self.microphone.frames()

    async def play(self, frame: Frame) -> None:
        if frame.rate != self.speaker.rate:
            raise VonadError(
                "unsupported_audio_format",
                f"this line plays {self.speaker.rate} Hz: got {frame.rate} Hz",
                op="local_audio.play",
            )
        await self.speaker.play(frame.samples)

    async def clear(self) -> None:
        await self.speaker.clear()

    def hush(self) -> None:
        self.speaker.hush()

    async def drained(self) -> None:
        await self.speaker.drained()

    @property
    def played(self) -> float:
        return self.speaker.played

    @property
    def dropped(self) -> int:
        return self.microphone.dropped + self.microphone.overruns

    async def watch(self) -> DeviceError:
        """Wait until a device is gone or wedged, and end the line; why."""
        capture, playback = Pulse(self._clock, grace_s=WARM_UP_S), Pulse(self._clock)
        while self._error is None:
            done, _ = await asyncio.wait(self._lost, timeout=CHECK_S, return_when=asyncio.FIRST_COMPLETED)
            if done:
                self.close(done.pop().result())
            elif capture.still_s(self.microphone.blocks) > DEAF_S:
                self.close(DeviceError("lost", f"the microphone has delivered nothing for {DEAF_S} s"))
            elif playback.still_s(self.speaker.done, expected=self.speaker.busy) > MUTE_S:
                self.close(DeviceError("lost", f"the speaker has played nothing for {MUTE_S} s"))
        return self._error

    def close(self, error: DeviceError | None = None) -> None:
        """End the frames, with an error unless it is closed in good order."""
        self._error = error = self._error or error
        lost = None
        if error is not None:
            lost = VonadError("transport_recv_failed", str(error), op="local_audio.capture", retryable=True)
        self.microphone.close(lost)
        self.speaker.close(str(error or "the sound device was closed"))
