"""How far a hypothesis is to be believed. A closed grammar has one for everything, be it chatter, noise or a cough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vonad_pocketsphinx.decoders import NO_WORDS, Decoders
from vonad_pocketsphinx.settings import PocketSphinxSettings

FRAME_S = 0.01

SHORTEST_S = 0.2
"""Words together shorter than this are no command: a cough, the end of a wake word."""

SHORT_S = 0.5
"""Below this there is little to go by: it must fit at least as well as sounds in any order."""

SLOWEST_S = 0.28
"""The longest that a sound of a word lasts. A model fits noise by stretching one word over all of it."""

LOUD = 0.3
"""Sound between the words is somebody else's speech when it is at least this loud, compared with the words."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a hypothesis.

    words:   what was said, so far.
    seconds: how long, without the silence around and between.
    score:   logarithm of its likelihood, minus that of sounds in any order, per 10 ms of words.
    slowest: seconds per sound, in the word said most slowly.
    other:   seconds of other speech.
    """

    words: tuple[str, ...]
    seconds: float
    score: float
    slowest: float
    other: float

    def doubt(self, settings: PocketSphinxSettings) -> str:
        """Why it is not believed; empty: it is."""
        needed = settings.threshold if self.seconds >= SHORT_S else max(0.0, settings.threshold)
        if self.seconds < SHORTEST_S:
            return f"{self.seconds:.2f} s is too short"
        if self.score < needed:
            return f"its score {self.score:.5f} is below {needed:.5f}"
        if self.slowest > SLOWEST_S:
            return f"a word of {self.slowest:.2f} s per sound is too slow"
        if self.other > settings.other_speech_s:
            return f"{self.other:.2f} s of other speech"
        return ""


def weigh(decoders: Decoders, energies: Sequence[float]) -> Evidence | None:
    """The evidence of the utterance so far; None while there is no hypothesis.

    energies: of each 10 ms, the mean square of its samples.
    """
    if decoders.grammar.hyp() is None or decoders.loop.hyp() is None:
        return None
    loop, sounding = _phone_loop(decoders, len(energies) + 8)
    inside = np.zeros(len(loop), dtype=bool)
    words: list[str] = []
    total = slowest = 0.0
    for segment in decoders.grammar.seg():
        if segment.word[0] in NO_WORDS:
            continue
        span = slice(segment.start_frame, segment.end_frame + 1)
        frames = segment.end_frame + 1 - segment.start_frame
        inside[span] = True
        total += _logarithm(segment.ascore) - float(loop[span].sum())
        slowest = max(slowest, frames * FRAME_S / decoders.phones(segment.word))
        words.append(segment.word.partition("(")[0])
    if not words:
        return None
    frames = int(inside.sum())
    return Evidence(tuple(words), frames * FRAME_S, total / frames, slowest, _other(energies, inside, sounding))


def _phone_loop(decoders: Decoders, frames: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """For each frame: its share of the phone loop's score, and whether that hears a sound of speech in it."""
    segments = list(decoders.loop.seg())
    frames = max([frames, *(segment.end_frame + 1 for segment in segments)])
    scores = np.zeros(frames)
    sounding = np.zeros(frames, dtype=bool)
    for segment in segments:
        span = slice(segment.start_frame, segment.end_frame + 1)
        score = _logarithm(segment.ascore) + _logarithm(segment.lscore)
        scores[span] = score / (segment.end_frame + 1 - segment.start_frame)
        sounding[span] = segment.word != "SIL" and segment.word[0] != "+"
    return scores, sounding


def _other(energies: Sequence[float], inside: npt.NDArray[np.bool_], sounding: npt.NDArray[np.bool_]) -> float:
    """Seconds of speech outside of the words."""
    energy = np.zeros(len(inside))
    known = min(len(energies), len(inside))
    energy[:known] = energies[:known]
    loud = energy > LOUD**2 * energy[inside].mean()
    return float((loud & sounding & ~inside).sum()) * FRAME_S


def _logarithm(probability: float) -> float:
    return math.log(probability) if probability > 0 else -745.0
