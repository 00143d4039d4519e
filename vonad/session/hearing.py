"""Hearing: tells when the user's turn is over, from the voice activity in it. Timers count samples, not seconds."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Literal

import numpy as np

from vonad.engine import VoiceActivity
from vonad.frame import CAPTURE_RATE, Frame, Samples
from vonad.plan import Endpointing

EndpointReason = Literal["silence", "semantic", "no_speech", "max_length"]

Verdict = Literal["complete", "open", "partial", "unknown"]
"""What a TurnDetector says about the words so far."""

SPEECH_ON = 0.5
SPEECH_OFF = 0.35
"""Hysteresis on the detector's probability: syllables dip, noise seldom rises."""

WAVERING = 0.9
"""Behind a whole sentence a detector that is no longer sure is enough: it falls 0.1 s later than the voice does."""

SHORTEST_SPEECH_S = 0.16
"""Less speech than this in a row is a knock or a cough; the shortest word of ours, "stop", lasts about 0.3 s."""

PAUSE_S = 0.06
"""So much quiet is a pause: time to prepare an answer."""

REST_S = 0.12
"""So much quiet may be the end, as half of what ends a turn may be: time to ask for the words of all that was said. No
consonant is that long, detectors being slow to fall."""

TAIL_S = 0.2
"""Recognisers know a word before it has died away: words told so long before the end of speech may be all of it. Those
told earlier are old: more was said since."""

OLD_S = 1.0
"""So old, words in the middle of a sentence say no longer that it will go on."""

SETTLED_S = 0.1
"""Words that have just changed may be the first of more: recognisers hear a voice come back before detectors do."""

LAG_S = 0.25
"""The most by which a detector is believed to hear speech that is over."""

REMEMBERED_S = 1.5
"""The sound in which the end of speech is looked for; its loudest tenth is the voice."""

REMEMBERED = round(REMEMBERED_S / 0.02)
"""Frames that hold so much, unless they are longer."""

BLOCK = 160
"""Samples, 10 ms, whose loudness is looked at together."""


class Hearing:
    """One turn's ear. Push every captured frame; it answers with the reason once the turn is over.

    sound:     the last frames; all of them if `keeps`.
    in_speech: whether somebody speaks just now.
    spoke:     whether there has been speech.
    """

    def __init__(self, activity: VoiceActivity, window: int, endpointing: Endpointing, *, keeps: bool = False) -> None:
        self.sound: deque[Frame] = deque(maxlen=None if keeps else REMEMBERED)
        self.in_speech = self.spoke = False
        self._activity = activity
        self._window = window
        self._pushed = 0
        self._judged = 0
        self._doubtful = False
        self._run = 0
        self._speech_end = 0
        self._ended_in: Frame | None = None
        self._ended_from = 0
        self._verdict: Verdict | None = None
        self._worded = 0
        self._changed = 0
        # in samples, as everything here
        self._no_speech = round(endpointing.no_speech_s * CAPTURE_RATE)
        self._maximum = round(endpointing.maximum_s * CAPTURE_RATE)
        self._silence = round(endpointing.silence_s * CAPTURE_RATE)
        self._complete = round(endpointing.complete_s * CAPTURE_RATE)
        self._rest = round(min(REST_S, endpointing.silence_s / 2) * CAPTURE_RATE)
        self._partial = max(self._silence, round(endpointing.partial_s * CAPTURE_RATE))

    @property
    def speech_end_at(self) -> float:
        """Monotonic capture time of the end of the last speech; 0.0 before there is any."""
        frame = self._ended_in
        return 0.0 if frame is None else frame.at + (self._speech_end - self._ended_from) / CAPTURE_RATE

    @property
    def current(self) -> bool:
        """Whether the words told last are about all that was said, as far as can be known."""
        return self._verdict is not None and self._speech_end - self._worded <= TAIL_S * CAPTURE_RATE

    @property
    def pausing(self) -> bool:
        """Whether somebody has spoken, and is quiet now."""
        return self.spoke and not self.in_speech and self._judged - self._speech_end >= PAUSE_S * CAPTURE_RATE

    @property
    def resting(self) -> bool:
        """Whether somebody who has spoken, if only before they were asked to, has been quiet for so long that they may
        have finished."""
        heard = self.spoke or self._doubtful
        return heard and not self.in_speech and self._judged - self._speech_end >= self._rest

    def push(self, frame: Frame) -> EndpointReason | None:
        """Consume a 16 kHz frame; the reason when the turn ends with it."""
        for probability in self._windows(frame):
            self._judged += self._window
            self._count(probability, frame)
            reason = self.over()
            if reason is not None:
                return reason
        return self.over() if not self.in_speech and self.pausing else None

    def past(self, frame: Frame) -> None:
        """Consume a 16 kHz frame that ends nothing: somebody is known to have spoken on behind it."""
        for probability in self._windows(frame):
            self._judged += self._window
            self._count(probability, frame)

    def woken(self) -> None:
        """What was heard so far was captured before anybody was asked to speak: speech that is over is believed to be
        meant once there are words in it, and nobody has been quiet until now."""
        self._no_speech += self._judged
        if self.spoke and not self.in_speech:
            self.spoke, self._doubtful = False, True

    def told(self, verdict: Verdict | None, *, again: bool = False) -> None:
        """The words so far have come, or come again; None: there are none. They cover no more than was pushed."""
        self._verdict = verdict
        self._worded = self._pushed
        if self._doubtful and verdict is not None:
            self.spoke, self._doubtful = True, False
        if not again:
            self._changed = self._pushed

    def over(self) -> EndpointReason | None:
        """Why the turn is over; None: it goes on."""
        if self.spoke and not self.in_speech:
            quiet = self._judged - self._speech_end
            if quiet >= self._partial or (quiet >= self._silence and not self._unsettled):
                return "silence"
            if self._whole and (quiet >= self._complete or self._quiet_by(self._complete - quiet)):
                return "semantic"
        elif not self.spoke and self._judged >= self._no_speech:
            return "no_speech"
        if self._judged >= self._maximum:
            return "max_length" if self.spoke else "no_speech"
        return None

    @property
    def _whole(self) -> bool:
        return self._verdict == "complete" and self.current

    @property
    def _unsettled(self) -> bool:
        """In doubt the rest of the words is waited for: those that are not quite current may be nearly all."""
        midway = self._verdict == "partial" and self._speech_end - self._worded <= OLD_S * CAPTURE_RATE
        return midway or self._pushed - self._changed < SETTLED_S * CAPTURE_RATE

    def _windows(self, frame: Frame) -> Sequence[float]:
        self.sound.append(frame)
        samples = frame.samples
        self._pushed += len(samples)
        return self._activity.push(samples)

    def _count(self, probability: float, frame: Frame) -> None:
        """In one piece: this is done for every window of every frame."""
        needed = SPEECH_OFF if self.in_speech else SPEECH_ON
        if self._verdict == "complete" and self.current:
            needed = WAVERING
        if probability >= needed:
            self.in_speech = True
            self._run += self._window
            if not self.spoke and self._run < SHORTEST_SPEECH_S * CAPTURE_RATE:
                return
            self.spoke = True
            end = self._judged
        else:
            ended = self.in_speech and self.spoke and self._run
            self.in_speech, self._run = False, 0
            if not ended:
                return
            end = self._judged - self._trailing()
        self._speech_end = end
        self._ended_in, self._ended_from = frame, self._pushed - len(frame.samples)

    def _trailing(self) -> int:
        """Samples up to the last one judged that only the detector still took for speech."""
        quiet = quiet_behind(self._sound(but=self._pushed - self._judged))
        return max(min(quiet, round(LAG_S * CAPTURE_RATE)), self._window)

    def _quiet_by(self, lacking: int) -> bool:
        """Whether the samples that the detector has not judged yet are as many as are lacking, and quiet too."""
        waiting = self._pushed - self._judged
        return waiting >= lacking and quiet_behind(self._sound()) >= waiting

    def _sound(self, *, but: int = 0) -> Samples:
        """The last seconds, without so many samples at their end."""
        recent = islice(self.sound, max(0, len(self.sound) - REMEMBERED), None)
        sound = np.concatenate([frame.samples for frame in recent])
        end = len(sound) - but
        return sound[max(0, end - round(REMEMBERED_S * CAPTURE_RATE)) : end]


def quiet_behind(sound: Samples) -> int:
    """How many samples at the end of some sound with a voice in it are quiet; few or none where noise is as loud.

    Quiet: below a tenth of the voice, and either below a thirtieth of it or close to the quietest there is.
    """
    sound = sound[len(sound) % BLOCK :]
    if not len(sound):
        return 0
    power = np.square(sound.astype(np.float32).reshape(-1, BLOCK)).mean(axis=1)
    voice = float(np.quantile(power, 0.9))
    quietest = float(np.quantile(power, 0.05))
    limit = min(max(9 * quietest, voice / 900), voice / 100)
    loud = np.flatnonzero(power > limit)
    return (len(power) - 1 - int(loud[-1])) * BLOCK if len(loud) else 0
