"""The house's voice: speaks its own words; when no voice can, what is ready is played, so that no turn is silent."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vonad.errors import VonadError
from vonad.frame import Frame, Samples
from vonad.session.announcement import Announcement
from vonad.session.floor import Floor
from vonad.session.turn import Turn
from vonad.session.utterance import Utterance
from vonad.streams import closing

VOICE_S = 8.0
"""What a voice may take for its next piece of sound before the house helps itself without it."""


class HouseVoice:
    """Puts what it says into an utterance; ending that is up to whoever asked."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def ready(self, key: str) -> Sequence[Frame]:
        """One of PHRASES as it was spoken before, else the sound of an error."""
        cues = self._floor.means.cues
        return cues.spoken(key, self._floor.plan.language) or cues.cue("error")

    async def say(
        self, turn: Turn, utterance: Utterance, text: str, *, key: str, announcement: Announcement | None
    ) -> str:
        """Say it as well as can be; what was wrong with the voice, or nothing.

        key: which of PHRASES it is, if any: such a one may have been spoken before.
        """
        cues = self._floor.means.cues
        if announcement is not None and announcement.preannounce:
            await put(turn, utterance, cues.cue("announce"))
        begun, trouble = await self._live(turn, utterance, text, announcement)
        if not begun:
            spoken = cues.spoken(key, self._floor.plan.language) if key else ()
            if spoken:
                await utterance.sentence(text)
            await put(turn, utterance, spoken or cues.cue("error"))
        return trouble

    async def _live(
        self, turn: Turn, utterance: Utterance, text: str, announcement: Announcement | None
    ) -> tuple[bool, str]:
        """Have a voice say it; whether anything of it was said, and what was wrong."""
        floor = self._floor
        style = announcement.style if announcement is not None and announcement.style else floor.plan.style
        volume = announcement.volume if announcement is not None else 1.0
        begun = False
        try:
            async with closing(floor.means.voice(text, floor.plan.language, style)) as frames:
                while True:
                    async with floor.clock.deadline(VOICE_S):
                        frame = await anext(frames, None)
                    if frame is None:
                        break
                    if not begun and len(frame.samples):
                        begun = True
                        await utterance.sentence(text)
                    await utterance.put(replace(frame, samples=_as_loud(frame.samples, volume), turn=turn.number))
            if begun:
                return True, ""
            error = VonadError("backend_step_failed", f"no voice made a sound of {text!r:.80}", op="tts")
        except TimeoutError:
            error = VonadError("timeout", f"no voice had its next sound within {VOICE_S:g} s", op="tts", retryable=True)
        except VonadError as raised:
            error = raised
        turn.failed = True
        floor.tell_error(error, "tts")
        return begun, error.message


async def put(turn: Turn, utterance: Utterance, frames: Sequence[Frame], *, filler: bool = False) -> None:
    """Play sound that is ready as this turn's."""
    for frame in frames:
        await utterance.put(replace(frame, turn=turn.number, filler=filler))


def _as_loud(samples: Samples, volume: float) -> Samples:
    return samples if volume == 1.0 else (samples * np.float32(volume)).astype(np.int16)
