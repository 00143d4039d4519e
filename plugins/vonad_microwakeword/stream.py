"""One microphone: the features of its sound, made once, and a network for every word that it waits for."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vonad import Blocks, Detection, Samples, VonadError, WakeStream
from vonad_microwakeword.models import WakeModel

REFRACTORY = 100
"""Sets of features (10 ms each) without a trace of a word before the next can be found: a network stays sure of one
for half a second."""


TOGETHER = 960
"""Samples looked at in one go, 60 ms: two steps of a network. What has been out of the processor's cache since the last
look costs more than the look itself; a wake word is found 20 ms later on average, which nobody hears."""


class Features(Protocol):
    """The part of pymicro_wakeword.MicroWakeWordFeatures that is used."""

    def process_streaming(self, audio_bytes: bytes) -> Iterable[npt.NDArray[np.float64]]: ...
    def reset(self) -> None: ...


class Network(Protocol):
    """The part of pymicro_wakeword.MicroWakeWord that is used."""

    def process_streaming_prob(self, features: npt.NDArray[np.float64]) -> float | None: ...
    def reset(self) -> None: ...


class Spotter:
    """Looks for one word. It holds 0.25 MB; the network itself is mapped once for all streams."""

    def __init__(self, model: WakeModel, threshold: float) -> None:
        from pymicro_wakeword import MicroWakeWord

        if not model.network.is_file():  # the package would crash
            raise VonadError(
                "backend_unavailable",
                f"wake word {model.word}: its model {model.network} has gone; restart vonad",
                op="microwakeword.stream",
            )
        self.model = model
        self.threshold = threshold
        self._network: Network = MicroWakeWord(
            model.word,
            wake_word=model.word,
            tflite_model=model.network,
            probability_cutoff=threshold,
            sliding_window_size=model.window,
            trained_languages=[],
            libtensorflowlite_c_path=model.library,
        )

    def score(self, features: npt.NDArray[np.float64]) -> float:
        """How sure it is, 0 to 1."""
        return self._network.process_streaming_prob(features) or 0.0

    def reset(self) -> None:
        """Forget what was heard."""
        if self.model.network.is_file():  # the package loads it anew, and would crash; not quite forgetting is better
            self._network.reset()


class MicroWakeStream(WakeStream):
    """Finds each spoken wake word once, the likeliest word if several think it theirs."""

    def __init__(self, spotters: Sequence[Spotter]) -> None:
        from pymicro_wakeword import MicroWakeWordFeatures

        self._features: Features = MicroWakeWordFeatures()
        self._spotters = spotters
        self._quiet = REFRACTORY
        self._blocks = Blocks(TOGETHER)

    def push(self, samples: Samples) -> Detection | None:
        found: Detection | None = None
        for block in self._blocks.push(samples):
            for features in self._features.process_streaming(block.tobytes()):
                heard = self._heard(features)
                self._quiet += 1
                if heard is None:
                    continue
                if self._quiet > REFRACTORY:
                    found = found or heard
                self._quiet = 0
        return found

    def reset(self) -> None:
        self._blocks.flush()
        self._features.reset()
        self._quiet = REFRACTORY
        for spotter in self._spotters:
            spotter.reset()

    def _heard(self, features: npt.NDArray[np.float64]) -> Detection | None:
        best: Detection | None = None
        for spotter in self._spotters:
            score = spotter.score(features)
            if score > spotter.threshold and (best is None or score > best.score):
                best = Detection(spotter.model.word, min(1.0, score), cutoff=spotter.threshold)
        return best
