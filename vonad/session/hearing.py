"""Hearing: tells when the user's turn is over, from the voice activity in it. Timers count samples, not seconds."""

from typing import Literal

from vonad.engine import VoiceActivity
from vonad.frame import CAPTURE_RATE, Frame
from vonad.plan import Endpointing

EndpointReason = Literal["silence", "no_speech", "max_length"]

SPEECH_ON = 0.5
SPEECH_OFF = 0.35
"""Hysteresis on the detector's probability: syllables dip, noise seldom rises."""

SHORTEST_SPEECH_S = 0.16
"""Less speech than this in a row is a knock or a cough; the shortest word of ours, "stop", lasts about 0.3 s."""


class Hearing:
    """One turn's ear. Push every captured frame; it answers with the reason once the turn is over.

    spoke:         whether there has been speech.
    speech_end_at: monotonic capture time of the end of the last speech.
    """

    def __init__(self, activity: VoiceActivity, window: int, endpointing: Endpointing) -> None:
        self.spoke = False
        self.speech_end_at = 0.0
        self._activity = activity
        self._window_s = window / CAPTURE_RATE
        self._window = window
        self._endpointing = endpointing
        self._waiting = 0
        self._in_speech = False
        self._run_s = 0.0
        self._quiet_s = 0.0
        self._total_s = 0.0

    def push(self, frame: Frame) -> EndpointReason | None:
        """Consume a 16 kHz frame; the reason when the turn ends with it."""
        before = self._waiting
        probabilities = self._activity.push(frame.samples)
        self._waiting = before + len(frame.samples) - len(probabilities) * self._window
        for index, probability in enumerate(probabilities):
            end = frame.at + ((index + 1) * self._window - before) / CAPTURE_RATE
            self._count(probability, end)
            reason = self._over()
            if reason is not None:
                return reason
        return None

    def _count(self, probability: float, end: float) -> None:
        self._total_s += self._window_s
        self._in_speech = probability >= (SPEECH_OFF if self._in_speech else SPEECH_ON)
        if not self._in_speech:
            self._run_s = 0.0
            self._quiet_s += self._window_s
            return
        self._run_s += self._window_s
        if self.spoke or self._run_s >= SHORTEST_SPEECH_S:
            self.spoke = True
            self.speech_end_at = end
            self._quiet_s = 0.0

    def _over(self) -> EndpointReason | None:
        limits = self._endpointing
        if self.spoke and self._quiet_s >= limits.silence_s:
            return "silence"
        if not self.spoke and self._total_s >= limits.no_speech_s:
            return "no_speech"
        if self._total_s >= limits.maximum_s:
            return "max_length"
        return None
