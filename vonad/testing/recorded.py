"""A satellite that hears recordings: the one of a test's assistant."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

from vonad.clock import Clock
from vonad.frame import Frame
from vonad.plan import Wake
from vonad.testing.line import ScriptedLine
from vonad.testing.sound import pieces, quiet

SATELLITE = "assistant"


class RecordedLine(ScriptedLine):
    """Hears recordings while its microphone is open, as fast as they are taken, and the silence behind each.

    clock:     says when; sound is captured when it is taken.
    recording: what is being heard; None: nothing is captured, as long as that may be.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(SATELLITE)
        self._clock = clock
        self.recording: Iterator[Frame] | None = None
        self._heard = asyncio.Event()
        self._gone = False

    @property
    def listening(self) -> bool:
        """Whether the microphone is open."""
        return bool(self.shown) and self.shown[-1][0] == "listening"

    async def frames(self) -> AsyncIterator[Frame]:
        while not self._gone:
            if self.recording is None or not self.listening:
                self._heard.clear()
                await self._heard.wait()
                continue
            await asyncio.sleep(0)  # others have their turn, however fast they are taken
            heard = next(self.recording, None) or quiet(0.02)
            yield replace(heard, at=self._clock.monotonic())

    def play_to(self, sound: Frame | None) -> None:
        """The satellite hears this; None: nothing more."""
        self.recording = pieces(sound) if sound is not None else None
        self._heard.set()

    def show(self, state: str, *, opened_by: Wake | None = None) -> None:
        super().show(state, opened_by=opened_by)
        self._heard.set()

    def hang_up(self) -> None:
        super().hang_up()
        self._gone = True
        self._heard.set()
