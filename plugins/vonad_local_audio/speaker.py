"""The speaker: sound for the playback process, and what it says has been heard."""

import asyncio

from vonad import Samples, VonadError
from vonad_local_audio import child
from vonad_local_audio.process import DeviceProcess

AHEAD_S = 0.5
"""Seconds of sound that may wait in the child: enough for a loop that is held up, little enough to be thrown away."""


class Speaker:
    """All counts are samples since the device was opened.

    rate: Hz. done: how many of those sent have been heard or thrown away.
    """

    def __init__(self, device: DeviceProcess) -> None:
        self.rate = device.rate
        self.done = 0
        self._device = device
        self._sent = 0
        self._heard = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = ""
        device.received = self._received

    @property
    def busy(self) -> bool:
        """Whether something is waiting to be heard."""
        return self._sent > self.done

    @property
    def played(self) -> float:
        """Seconds heard."""
        return self._heard / self.rate

    async def play(self, samples: Samples) -> None:
        """Send it; returns when at most AHEAD_S is waiting. Raises transport_send_failed."""
        self._check()
        self._device.send(child.PLAY, samples.tobytes())
        self._sent += len(samples)
        await self._until_done(self._sent - int(AHEAD_S * self.rate))

    def hush(self) -> None:
        """Have what was not heard thrown away; nothing while it is closed."""
        if not self._closed:
            self._device.send(child.CLEAR)

    async def clear(self) -> None:
        """Throw away what was not heard; returns when the device is silent. Raises transport_send_failed."""
        self._check()
        self.hush()
        await self._until_done(self._sent)

    async def drained(self) -> None:
        """Returns when everything sent has been heard or thrown away. Raises transport_send_failed."""
        await self._until_done(self._sent)

    def close(self, reason: str) -> None:
        """Nothing more will be heard."""
        self._closed = reason
        self._wake()

    async def _until_done(self, count: int) -> None:
        while self.done < count:
            self._check()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def _check(self) -> None:
        if self._closed:
            raise VonadError("transport_send_failed", self._closed, op="local_audio.play", retryable=True)

    def _received(self, kind: int, body: bytes) -> None:
        if kind == child.POSITION:
            self._heard, self.done = child.PLAYED.unpack(body)
            self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
