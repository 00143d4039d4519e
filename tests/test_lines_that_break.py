"""Lines that break: whatever a wake word engine or a transport does, house and satellite stay where they can."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.engine import Detection, WakeStream, WakeWordDetector
from vonad.frame import Samples
from vonad.plugins.offer import Group
from vonad.testing import ScriptedLine, quiet, settle, speech

ENGINE: tuple[Group, str] = ("engines", "microwakeword")
CONFIG = '[satellites.desk]\nwake_words = ["okay_nabu"]\n[engines.microwakeword]\n'


class Spotter(WakeWordDetector):
    """Loud sound is its first wake word.

    breaks: what raises: words, stream, push, reset, or a push of the stop word's ("stop").
    asked:  the words of each stream.
    """

    def __init__(self, *breaks: str) -> None:
        self.breaks = set(breaks)
        self.asked: list[list[str]] = []

    def words(self) -> Sequence[str]:
        self.fail("words")
        return ["okay_nabu", "hey_jarvis", "stop"]

    def stream(self, words: Sequence[str]) -> WakeStream:
        self.fail("stream")
        self.asked.append(list(words))
        return Spotting(self, words[0])

    def fail(self, how: str) -> None:
        if how in self.breaks:
            raise ValueError(f"{how} is broken")


class Spotting(WakeStream):
    def __init__(self, engine: Spotter, word: str) -> None:
        self.engine = engine
        self.word = word

    def push(self, samples: Samples) -> Detection | None:
        self.engine.fail("stop" if self.word == "stop" else "push")
        return Detection(self.word, 1.0) if samples.any() else None

    def reset(self) -> None:
        self.engine.fail("reset")


def house(folder: Path, engine: Spotter) -> AbstractAsyncContextManager[RuntimeHouse]:
    """One whose wake word engine this is."""
    return runtime_house(folder, CONFIG, parts={ENGINE: engine})


async def room(line: ScriptedLine, *, loud: bool = False) -> None:
    """Something is captured there."""
    for _ in range(3):
        line.captured.put(speech(0.1) if loud else quiet(0.1))
    await settle()


def complaints(home: RuntimeHouse) -> list[str]:
    """What is said to be wrong with the engine."""
    return [
        str(event.data["detail"])
        for event in home.told("backend.health")
        if event.data["name"] == "[engines.microwakeword]" and not event.data["ok"]
    ]


@pytest.mark.parametrize("how", ["push", "reset", "stop"])
async def test_a_detector_that_raises_leaves_its_satellite_on_the_air(tmp_path: Path, how: str) -> None:
    async with house(tmp_path, Spotter(how)) as home:
        line = await home.connect()
        await room(line)
        assert await home.asked() == "accepted"
        await room(line)
        home.house.stop("desk")
        await room(line)
        assert await home.asked(text="what time is it") == "accepted"
        await room(line)
        assert home.runtime.lines.find("desk") is not None
        assert not home.told("satellite.offline")
        assert set(complaints(home)) == {f"ValueError: {how} is broken"}
