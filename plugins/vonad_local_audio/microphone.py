"""The microphone: what the capture process hears, as frames."""

from collections.abc import AsyncIterator

import numpy as np

from vonad import Frame, Mailbox
from vonad_local_audio import child
from vonad_local_audio.process import DeviceProcess

WAITING_S = 2
"""Seconds of sound that may wait for a loop that is held up; older sound is dropped, and counted."""


class Microphone:
    """Frames of 20 ms at the device's rate.

    blocks: how many have come. overruns: how often the device lost samples because nobody took them in time.
    """

    def __init__(self, device: DeviceProcess) -> None:
        self.blocks = 0
        self.overruns = 0
        self._rate = device.rate
        self._frames = Mailbox[Frame](WAITING_S * child.BLOCKS_PER_S)
        device.received = self._received

    @property
    def dropped(self) -> int:
        """Frames that were dropped because nobody took them in time."""
        return self._frames.dropped

    def frames(self) -> AsyncIterator[Frame]:
        """Until it is closed; raises what it is closed with."""
        return self._frames

    def close(self, error: Exception | None = None) -> None:
        """Nothing more comes."""
        self._frames.close(error)

    def _received(self, kind: int, body: bytes) -> None:
        if kind != child.SOUND:
            return
        at, lost = child.CAPTURED.unpack_from(body)
        self.blocks += 1
        self.overruns += lost
        samples = np.frombuffer(body, dtype=np.int16, offset=child.CAPTURED.size)
        self._frames.put(Frame(samples, self._rate, at))
