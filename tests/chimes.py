"""Cues that a test can tell apart by how loud they are, and a voice that can be lost."""

from collections.abc import AsyncIterator, Sequence

import numpy as np

from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Style
from vonad.session.means import CueName, Cues
from vonad.testing import ScriptedBackend, ScriptedLine

LOUDNESS: dict[str, int] = {"wake": 11, "heard": 12, "error": 13, "announce": 14, "filler": 15, "spoken": 16}
"""What the samples of each are: below what anybody takes for speech."""

PIECE = 320


def sound(kind: str, pieces: int = 10) -> tuple[Frame, ...]:
    """0.2 s of it, in pieces of 20 ms."""
    return tuple(Frame(np.full(PIECE, LOUDNESS[kind], np.int16), 16_000) for _ in range(pieces))


class ToyCues(Cues):
    """The cues that are named, and phrases where they were spoken."""

    def __init__(self, *names: CueName, spoken: tuple[str, ...] = ()) -> None:
        self.names = names
        self.keys = spoken

    def cue(self, name: CueName) -> Sequence[Frame]:
        return sound(name) if name in self.names else ()

    def spoken(self, key: str, language: str) -> Sequence[Frame]:
        return sound("spoken", 40) if key in self.keys else ()


class DeadVoice(ScriptedBackend):
    """It answers, but cannot speak the house's own words."""

    def __init__(self, words_first: int = 0) -> None:
        super().__init__()
        self.words_first = words_first

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        for _ in range(self.words_first):
            yield Frame(np.zeros(1600, np.int16), 16_000)
        raise VonadError("backend_unavailable", "the voice is gone", op="tts")


def played(line: ScriptedLine) -> list[str]:
    """What of these was played, in order; a voice is `voice`."""
    kinds = {loudness: kind for kind, loudness in LOUDNESS.items()}
    heard: list[str] = []
    for frame in line.sound:
        kind = kinds.get(int(frame.samples[0]), "voice")
        if not heard or heard[-1] != kind:
            heard.append(kind)
    return heard
