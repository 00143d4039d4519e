"""One utterance through the two decoders, piece by piece. Everything here belongs to the engine's thread."""

from logging import Logger

import numpy as np

from vonad import CAPTURE_RATE, Samples, VonadError
from vonad_pocketsphinx.decoders import CEPSTRAL_MEAN, Decoder, Decoders
from vonad_pocketsphinx.evidence import Evidence, weigh
from vonad_pocketsphinx.network import Grammar
from vonad_pocketsphinx.settings import PocketSphinxSettings

PIECE = 480
"""Samples heard at a time, 30 ms: three of the decoders' frames, which are given to them one by one for the GIL."""

FRAME = 160

TOO_LOUD = 3_000.0
"""Level of a voice (the loudest 90 ms, root mean square) from which the model no longer knows its sounds."""

USUAL = 1_750.0
"""Level that such a voice is turned down to."""

RETRACED_S = 3.0
"""From this long after the beginning, loud sound no longer makes it start over."""

AGAIN_EVERY = 3
"""Pieces after which a hypothesis that still stands is told again: at a pause, whoever waits for the end of a sentence
knows within 90 ms that these are the words of all that was said."""


class Utterance:
    """Begins with the first piece; `finish` may be left out when nobody wants the answer any more.

    A loud voice is turned down, and what was heard of it heard again: at its level the sounds are others to the model.
    """

    def __init__(self, decoders: Decoders, grammar: Grammar, settings: PocketSphinxSettings, log: Logger) -> None:
        self._decoders = decoders
        self._grammar = grammar
        self._settings = settings
        self._log = log
        self._energies: list[float] = []
        self._pieces: list[Samples] = []
        self._heard = 0
        self._gain = 1.0
        self._partial = ""
        self._told = 0
        self._running = False
        self._over = False

    def hear(self, piece: Samples) -> str:
        """Consume at most PIECE samples; what was said so far, if it is believed and new, or still stands; or nothing.

        Raises cancelled when another utterance has begun.
        """
        if self._over:
            raise VonadError("cancelled", "pocketsphinx: another utterance has begun", op="pocketsphinx.listen")
        if not self._running:
            self._start()
        self._heard += 1
        if self._heard * PIECE <= RETRACED_S * CAPTURE_RATE:
            self._pieces.append(piece)
        self._energies.extend(_energies(piece))
        level = float(np.mean(self._energies[-9:])) ** 0.5
        if level * self._gain > TOO_LOUD and len(self._pieces) == self._heard:
            self._gain = USUAL / level
            self._start()
            for earlier in self._pieces:
                self._process(earlier)
        else:
            self._process(piece)
        return self._news()

    def finish(self, rest: Samples) -> str:
        """Hear the last samples, fewer than PIECE; what was said: nothing, if it was none of the sentences."""
        if len(rest):
            self.hear(rest)
        if not self._running:
            return ""
        self.abandon()
        evidence = weigh(self._decoders, self._energies)
        if evidence is None:
            return ""
        text = " ".join(evidence.words)
        doubt = evidence.doubt(self._settings) if self._grammar.accepts(evidence.words) else "no whole sentence"
        self._log.debug("heard %r: %s (%s)", text, doubt or "understood", evidence)
        return "" if doubt else text

    def abandon(self) -> None:
        """It is over, heard to its end or not."""
        self._over = True
        self._stop()

    def _both(self) -> tuple[Decoder, Decoder]:
        return self._decoders.grammar, self._decoders.loop

    def _start(self) -> None:
        self._stop()
        for decoder in self._both():
            decoder.reinit_feat()  # forgets the noise of the utterance before
            decoder.start_utt()
        self._running = True

    def _stop(self) -> None:
        if self._running:
            self._running = False
            for decoder in self._both():
                decoder.end_utt()

    def _process(self, piece: Samples) -> None:
        quieter = piece if self._gain == 1.0 else (piece * np.float32(self._gain)).astype(np.int16)
        for decoder in self._both():
            decoder.set_cmn(CEPSTRAL_MEAN)  # they would move it after 3 s, to where silence is the mean
        for start in range(0, len(quieter), FRAME):
            sound = quieter[start : start + FRAME].tobytes()
            for decoder in self._both():
                decoder.process_raw(sound)

    def _news(self) -> str:
        evidence = weigh(self._decoders, self._energies)
        if evidence is None or not self._plausible(evidence):
            return ""
        text = " ".join(evidence.words)
        if text == self._partial and self._heard - self._told < AGAIN_EVERY:
            return ""
        self._partial, self._told = text, self._heard
        return text

    def _plausible(self, evidence: Evidence) -> bool:
        return evidence.score >= self._settings.threshold and self._grammar.begins(evidence.words)


def _energies(piece: Samples) -> list[float]:
    """The mean square of each frame."""
    squares = np.square(piece.astype(np.float64))
    return [float(squares[start : start + FRAME].mean()) for start in range(0, len(piece), FRAME)]
