"""A chime: a short sound beside the reply, straight to the line. It belongs to no turn's words, and may fail."""

from collections.abc import Sequence

from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.resampling import Resampler
from vonad.session.floor import Floor

CONFIRM_S = 5.0
"""How much longer than its sound a chime may take to be confirmed."""

ECHO_S = 0.1
"""From the confirmed end of a chime until a microphone beside it hears it no more."""


class Chime:
    """One at a time.

    overheard: a chime sounds that the open microphone would take for somebody's voice.
    """

    def __init__(self, floor: Floor) -> None:
        self.overheard = False
        self._floor = floor

    def beside_microphone(self, frames: Sequence[Frame]) -> None:
        """Play while the microphone is open; where it hears that, what is captured meanwhile is to be left out."""
        if self._floor.line is not None and frames:
            self._floor.spawn(self._beside(frames, overheard=not self._floor.line.capabilities.full_duplex), "chime")

    async def _beside(self, frames: Sequence[Frame], *, overheard: bool) -> None:
        self.overheard = overheard
        try:
            await self.play(frames)
            if overheard:
                await self._floor.clock.sleep(ECHO_S)
        finally:
            self.overheard = False

    async def play(self, frames: Sequence[Frame]) -> None:
        """Return when it has been heard; when it cannot be, that is told as an error, and nothing else comes of it."""
        floor, line = self._floor, self._floor.line
        if line is None or not frames:
            return
        resampler = Resampler(line.capabilities.playback_rate)
        try:
            async with floor.clock.deadline(sum(frame.seconds for frame in frames) + CONFIRM_S):
                for frame in frames:
                    piece = resampler.push(frame)
                    if len(piece.samples):
                        await line.play(piece)
                rest = resampler.flush()
                if len(rest):
                    await line.play(Frame(rest, resampler.rate))
                await line.drained()
        except TimeoutError:
            message = f"satellite {line.satellite} did not confirm within {CONFIRM_S:g} s that it played a short sound"
            floor.tell_error(VonadError("transport_send_failed", message, op="play"), "play")
        except VonadError as error:
            floor.tell_error(error, "play")
