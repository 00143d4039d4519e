"""Wake words: the microWakeWord models of the pymicro-wakeword package (Apache-2.0), and the owner's own.

Own models are pairs of a manifest and a network, `NAME.json` and the .tflite it names, in `wake/` of the configuration
directory; the word is then called NAME. One called like a model of the package replaces it. One called `stop` is the
stop word: the package has none.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vonad import Component, Registrar, VonadError, WakeWordDetector, hookimpl
from vonad_microwakeword.models import WakeModel, bundled, own
from vonad_microwakeword.stream import MicroWakeStream, Spotter

Threshold = Annotated[float, Field(gt=0, lt=1)]


class MicroWakeWordSettings(BaseModel):
    """The table of a microwakeword engine."""

    model_config = ConfigDict(extra="forbid")

    threshold: Threshold | None = Field(
        None,
        description="How sure it must be, 0 to 1, for every wake word; by default what each model states.",
        examples=[0.9],
    )
    thresholds: dict[str, Threshold] = Field(
        default_factory=dict,
        description="How sure it must be for single wake words: thresholds.okay_nabu = 0.9. Higher wakes less often.",
    )


class MicroWakeWord(Component[MicroWakeWordSettings], WakeWordDetector):
    """Hands out streams; what they detect is called by the word's name ("okay_nabu")."""

    streams = 64

    async def __aenter__(self) -> "MicroWakeWord":
        """Find the models. Raises invalid_config for a threshold of an unknown word, backend_start_failed."""
        models = bundled()
        library = models["okay_nabu"].library
        folder, copies = self.host.config_dir / "wake", self.host.cache_dir / "wake"
        self._models = models | own(folder, library=library, keep_in=copies, log=self.host.log)
        for word in self.settings.thresholds:
            self._known(word)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._models = {}

    def words(self) -> Sequence[str]:
        return list(self._models)

    def stream(self, words: Sequence[str]) -> MicroWakeStream:
        models = [self._known(word) for word in dict.fromkeys(words)]
        return MicroWakeStream([Spotter(model, self._threshold(model)) for model in models])

    def _known(self, word: str) -> WakeModel:
        if word in self._models:
            return self._models[word]
        raise VonadError(
            "invalid_config",
            f"microwakeword: there is no wake word {word!r}; it knows {', '.join(self._models)}"
            f" (own models go into {self.host.config_dir / 'wake'})",
            op="microwakeword.words",
            details={"word": word, "known": list(self._models)},
        )

    def _threshold(self, model: WakeModel) -> float:
        return self.settings.thresholds.get(model.word) or self.settings.threshold or model.threshold


@hookimpl
def register_engines(registrar: Registrar) -> None:
    """Offer the wake word detector."""
    registrar.add("microwakeword", MicroWakeWord, role="wake", settings=MicroWakeWordSettings)
