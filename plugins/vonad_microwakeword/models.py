"""The models there are: those of the package, and the owner's, each proven usable before it is offered."""

import ctypes
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from vonad import VonadError

FEATURES = 40
"""Numbers that the package makes of 10 ms of sound, and that a model must take."""

BYTES = (3, 9)
"""TensorFlow Lite's names for uint8 and int8, the only kinds of number that the package can exchange with a model."""


@dataclass(frozen=True, slots=True)
class WakeModel:
    """A word that can be waited for.

    library:   TensorFlow Lite, which runs the network.
    window:    how many probabilities are averaged.
    threshold: what the average must exceed, as the manifest states.
    """

    word: str
    network: Path
    library: Path
    window: int
    threshold: float


class _Micro(BaseModel):
    probability_cutoff: float = Field(gt=0, lt=1)
    sliding_window_size: int = Field(ge=1, le=100)


class _Manifest(BaseModel):
    """What a manifest must say (there is more in it, for other devices)."""

    model: str
    micro: _Micro


def bundled() -> dict[str, WakeModel]:
    """The package's own models by word, okay_nabu first. Raises backend_start_failed."""
    try:
        import pymicro_wakeword as package

        library = package.MicroWakeWord.from_builtin(package.Model.OKAY_NABU).libtensorflowlite_c_path
        folder = Path(package.__file__).parent / "models"
        models = [_read(folder / f"{model.value}.json", library) for model in package.Model]
    except (ImportError, OSError, ValueError) as error:
        raise VonadError(
            "backend_start_failed",
            f"microwakeword: the package pymicro-wakeword cannot be used ({error}); install it anew: "
            "pip install --force-reinstall 'pymicro-wakeword>=2.5'",
            op="microwakeword.open",
        ) from error
    return {model.word: model for model in models}


def own(folder: Path, *, library: Path, keep_in: Path, log: logging.Logger) -> dict[str, WakeModel]:
    """The models of a folder by word; a broken one is left out with a warning.

    keep_in: where copies are used from. A network is mapped into memory: an owner who copies a better one over it
             while it listens would kill the daemon (SIGBUS).
    """
    found: dict[str, WakeModel] = {}
    for manifest in _manifests(folder, log):
        try:
            model = _copied(_read(manifest, library), keep_in)
            _prove(model)
        except (OSError, ValueError) as error:
            log.warning("wake word left out: %s: %s", manifest, error)
        else:
            found[model.word] = model
    return found


def _manifests(folder: Path, log: logging.Logger) -> Sequence[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("own wake words left out: %s: %s; it must be a folder that vonad may read", folder, error)
        return []


def _read(manifest: Path, library: Path) -> WakeModel:
    """What a manifest says. Raises ValueError or OSError with a sentence for the owner."""
    try:
        said = _Manifest.model_validate_json(manifest.read_bytes())
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:3])
        raise ValueError(
            f"no microWakeWord manifest of version 2 ({wrong}); mend it after okay_nabu.json in the package"
            " pymicro-wakeword, or remove it"
        ) from None
    network = manifest.parent / said.model
    if not network.is_file():
        raise ValueError(f"its model {network} is missing; put that file beside the manifest")
    return WakeModel(
        word=manifest.stem,
        network=network,
        library=library,
        window=said.micro.sliding_window_size,
        threshold=said.micro.probability_cutoff,
    )


def _copied(model: WakeModel, folder: Path) -> WakeModel:
    """The same model with its network in a file that nobody else writes to. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{model.word}.tflite"
    fresh = copy.with_name(f"{copy.name}.new")
    fresh.write_bytes(model.network.read_bytes())
    fresh.replace(copy)
    return WakeModel(model.word, copy, model.library, model.window, model.threshold)


def _prove(model: WakeModel) -> None:
    """Raises ValueError for a network that the package would crash on: it checks nothing itself."""
    from pymicro_wakeword.wakeword import TfLiteWakeWord

    lite = TfLiteWakeWord(model.library).lib
    network = interpreter = None
    try:
        network = lite.TfLiteModelCreateFromFile(os.fsencode(model.network))
        interpreter = network and lite.TfLiteInterpreterCreate(network, None)
        if not interpreter or lite.TfLiteInterpreterAllocateTensors(interpreter) != 0:
            raise ValueError("its model is damaged, or no TensorFlow Lite model; download or train it again")
        taken = _shape(lite, lite.TfLiteInterpreterGetInputTensor(interpreter, 0))
        given = _shape(lite, lite.TfLiteInterpreterGetOutputTensor(interpreter, 0))
        if len(taken) != 3 or taken[0] != 1 or taken[1] < 1 or taken[2] != FEATURES or set(given) != {1}:
            raise ValueError(
                f"its model takes {taken} and gives {given}, and is no streaming microWakeWord model: such a one takes"
                f" bytes of shape [1, n, {FEATURES}] and gives one; train it with microWakeWord 2"
            )
    finally:
        if interpreter:
            lite.TfLiteInterpreterDelete(interpreter)
        if network:
            lite.TfLiteModelDelete(network)


def _shape(lite: ctypes.CDLL, tensor: int) -> list[int]:
    """The dimensions of a tensor of bytes; of any other none."""
    if lite.TfLiteTensorType(tensor) not in BYTES:
        return []
    return [lite.TfLiteTensorDim(tensor, axis) for axis in range(lite.TfLiteTensorNumDims(tensor))]
