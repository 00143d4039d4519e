"""The echo: tells our own voice, come back through the microphone, from the user's: by its words and by its loudness.

A line that is full duplex is to hear no echo at all, but rooms, speakers and cancellers being what they are, some is
left now and then. So what is overheard is never believed to be the user's without a look here.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from vonad.frame import Samples
from vonad.session.words import words

SIMILAR = 0.8
"""Words that are more like ours than this are ours: a recogniser hears an echo badly."""

TAIL_S = 0.8
"""After the end of our sound has been confirmed, what ends later than this is no echo of it: rooms and buffers are
shorter, and people who answer a question often do so in its own words."""

QUIETEST_DB = -60.0
"""What a line without any echo hears of us, in dB below full scale."""

FADE_DB_S = 3.0
"""How fast the measured loudness is forgotten while nothing is heard though we speak: an echo would have come back. It
never falls by the margin between two sentences."""

RISE, FALL = 0.3, 0.01
"""How fast the measured loudness follows what is louder and quieter than it, for each piece that is not the user's."""


def repeats(text: str, spoken: str) -> bool:
    """Whether these words are contained in what was spoken, or nearly."""
    said, ours = words(text), words(spoken)
    if not said or len(ours) == 0:
        return False
    length = len(said)
    return any(_alike(said, ours[start : start + length]) for start in range(max(1, len(ours) - length + 1)))


def _alike(some: Sequence[str], others: Sequence[str]) -> bool:
    if some == others:
        return True
    matcher = SequenceMatcher(None, some, others, autojunk=False)
    return matcher.quick_ratio() > SIMILAR and matcher.ratio() > SIMILAR


def loudness_db(samples: Samples) -> float:
    """Of int16 samples, in dB below full scale; no less than QUIETEST_DB."""
    if not len(samples):
        return QUIETEST_DB
    sound = samples.astype(np.float32)
    power = float(np.dot(sound, sound)) / len(sound)
    return max(QUIETEST_DB, 10.0 * float(np.log10(max(power, 1e-9) / 32768.0**2)))


class Echo:
    """What one session knows of the echo on its line.

    margin_db: how much louder than it somebody must be to be taken for the user.
    """

    def __init__(self, margin_db: float) -> None:
        self.level_db = QUIETEST_DB
        self._margin_db = margin_db
        self._loudest_db = QUIETEST_DB

    def own(self, text: str, spoken: str, *, after_s: float = 0.0) -> bool:
        """Whether these recognised words are our own.

        spoken:  what has been spoken so far.
        after_s: seconds from the confirmed end of our sound to the end of these words; 0.0 while it still plays.
        """
        return after_s <= TAIL_S and repeats(text, spoken)

    def measure(self, samples: Samples) -> None:
        """Only we can be heard in these."""
        level = loudness_db(samples)
        self.level_db = max(self.level_db, level)

    def louder(self, samples: Samples) -> bool:
        """Whether this sound that seems to be speech is louder than an echo of ours would be."""
        level = loudness_db(samples)
        if level >= self.level_db + self._margin_db:
            self._loudest_db = max(self._loudest_db, level)
            return True
        self.level_db += (RISE if level > self.level_db else FALL) * (level - self.level_db)
        return False

    def fade(self, seconds: float) -> None:
        """Nothing was heard for so long."""
        self.level_db = max(QUIETEST_DB, self.level_db - FADE_DB_S * seconds)

    def unknown(self) -> None:
        """Nothing that was measured so far holds."""
        self.level_db = self._loudest_db = QUIETEST_DB

    def anew(self) -> None:
        """Another reply: what was taken for the loudest of the one before may have been the user."""
        self.level_db = max(QUIETEST_DB, self.level_db - self._margin_db)

    def was_ours(self) -> None:
        """What was louder since the last `forget` turns out to have been our own voice."""
        self.level_db = max(self.level_db, self._loudest_db)

    def forget(self) -> None:
        """What was louder so far is over."""
        self._loudest_db = QUIETEST_DB
