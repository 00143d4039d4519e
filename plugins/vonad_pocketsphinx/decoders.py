"""PocketSphinx itself, as far as it is used, and the two decoders that hear every utterance side by side."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import pocketsphinx

from vonad import VonadError
from vonad_pocketsphinx.lexicon import Pronunciations
from vonad_pocketsphinx.network import Grammar

CEPSTRAL_MEAN = "40,3,-1"
"""The model's own; kept for every utterance, so that none depends on who spoke before, into which microphone."""

SILENCES = {"<sil>": 0.005, "[NOISE]": 1e-8, "[SPEECH]": 1e-8}
"""Between any two words there may be these; with the model's own probabilities."""

NOISES = {"++hiss++": "F", "++hum++": "N"}
"""Sounds that go on before and after a sentence. Without them a word beginning like a noise swallows it: steady hiss at
20 dB made "forget it" of every command."""

NOISE_LOG = -3.0
"""Logarithm of the probability of one of them."""

NO_WORDS = "<[(+"
"""What the names of silences, noises and steps without a word begin with."""


class Segment(Protocol):
    """A word or phone of a hypothesis. Scores are probabilities of 1/1024 of the logarithm."""

    word: str
    start_frame: int
    end_frame: int
    ascore: float
    lscore: float


class Decoder(Protocol):
    """The part of pocketsphinx.Decoder that hears."""

    def start_utt(self) -> None: ...
    def process_raw(self, data: bytes) -> object: ...
    def end_utt(self) -> None: ...
    def hyp(self) -> object: ...
    def seg(self) -> Iterable[Segment]: ...
    def reinit_feat(self) -> None: ...
    def set_cmn(self, mean: str) -> object: ...


def dictionary() -> Path:
    """The file of pronunciations that belongs to the model."""
    return Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))


class Decoders:
    """The grammar's decoder, and the phone loop: what the sound would score if anything at all had been said.

    Without the dictionary each takes 6 MB instead of 28. Everything belongs to one thread.

    used: the search of this utterance and the next.
    """

    def __init__(self) -> None:
        pocketsphinx.set_loglevel("FATAL")  # it would write to stderr whatever it thinks
        common = {"lm": None, "dict": None, "bestpath": False, "loglevel": "FATAL"}
        try:
            decoder = pocketsphinx.Decoder(**common)
            loop = pocketsphinx.Decoder(**common, lw=2.0, beam=1e-20, pbeam=1e-20)
            loop.add_allphone_file("loop", pocketsphinx.get_model_path("en-us/en-us-phone.lm.bin"))
            loop.activate_search("loop")
        except (RuntimeError, ValueError) as error:
            raise VonadError(
                "backend_start_failed",
                f"pocketsphinx: its English model cannot be loaded ({error}); reinstall the package pocketsphinx",
                op="pocketsphinx.open",
            ) from error
        self.grammar: Decoder = decoder
        self.loop: Decoder = loop
        self._decoder = decoder
        self._grammars = 0
        self.used = ""  # the decoder itself crashes when it is asked before there is one
        self._ways: dict[str, int] = {}
        self._lengths: dict[str, int] = {}
        self.learn({word: (phone,) for word, phone in NOISES.items()})

    def knows(self, word: str) -> bool:
        """Whether it has a pronunciation."""
        return word in self._ways

    def phones(self, word: str) -> int:
        """How many sounds a word of a hypothesis has; the second way to say it is called `word(2)`."""
        return self._lengths[word]

    def learn(self, words: Pronunciations) -> None:
        """Take words into the dictionary."""
        for word, ways in words.items():
            if word in self._ways:
                continue
            self._ways[word] = len(ways)
            for number, phones in enumerate(ways, 1):
                name = _way(word, number)
                self._lengths[name] = len(phones.split())
                self._decoder.add_word(name, phones, update=False)

    def load(self, grammar: Grammar) -> str:
        """Make it ready to be searched; the search's name. All its words must be known.

        Its model is built step by step: one call that does it all would hold the GIL for 60 ms with 300 names.
        """
        name = f"grammar {self._grammars}"
        self._grammars += 1
        logarithms = self._decoder.get_logmath()
        words = sorted({word for steps in grammar.steps for word in steps})
        end = len(grammar.steps)
        model = pocketsphinx.FsgModel(name, logarithms, 6.5, end + 1)
        model.set_start_state(grammar.start)
        model.set_final_state(end)
        numbers: Mapping[str, int] = {word: model.word_add(word) for word in words}
        for state, steps in enumerate(grammar.steps):
            for word, target in steps.items():
                model.trans_add(state, target, 0, numbers[word])
        for state in grammar.ends:
            model.null_trans_add(state, end, 0)
        for silence, probability in SILENCES.items():
            for state in range(end + 1):
                model.add_silence(silence, state, probability)
        for noise in NOISES:
            number = model.word_add(noise)
            for state in (grammar.start, end):
                model.trans_add(state, state, round(logarithms.log(math.exp(NOISE_LOG))), number)
        for word in words:
            for other in range(2, self._ways[word] + 1):
                model.add_alt(word, _way(word, other))
        self._decoder.add_fsg(name, model)
        return name

    def forget(self, search: str) -> None:
        """Give a search back; outside of utterances."""
        self._decoder.remove_search(search)
        if self.used == search:
            self.used = ""

    def use(self, search: str) -> None:
        """Search this from the next utterance on; never within one."""
        if self.used != search:
            self._decoder.activate_search(search)
            self.used = search


def _way(word: str, number: int) -> str:
    return word if number == 1 else f"{word}({number})"
