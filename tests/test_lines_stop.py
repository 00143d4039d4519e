"""The stop word: on any satellite, heard while a session answers, it silences the reply, unless the reply says it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from vonad.bus import Bus
from vonad.engine import Detection, WakeStream, WakeWordDetector
from vonad.errors import VonadError
from vonad.frame import Frame, Samples, silence
from vonad.lines import Lines
from vonad.plan import Wake
from vonad.session.machine import State
from vonad.settings import load
from vonad.testing import ManualClock, ScriptedLine, settle
from vonad.transport import Line, Transport

LOUD = Frame(silence(0.02) + 5_000, 16_000)


class Spotter(WakeStream):
    def __init__(self, word: str) -> None:
        self.word = word

    def push(self, samples: Samples) -> Detection | None:
        return Detection(self.word, 0.9, cutoff=0.8, speaker_score=0.7) if samples.any() else None

    def reset(self) -> None:
        pass


class Detector(WakeWordDetector):
    """Knows these words; loud sound is any of them."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self.asked: list[Sequence[str]] = []

    def words(self) -> Sequence[str]:
        return self.known

    def stream(self, words: Sequence[str]) -> WakeStream:
        self.asked.append(words)
        return Spotter(words[0])


class OneLine(Transport):
    def __init__(self, line: Line) -> None:
        self.line = line

    async def lines(self) -> AsyncIterator[Line]:
        yield self.line
        await asyncio.Event().wait()


class Speaker:
    """The part of a session that matters here."""

    state = State.SPEAKING
    attentive = listening = awake = False
    speaking_text = ""

    def __init__(self) -> None:
        self.stops: list[str] = []

    def stop(self, source: str) -> bool:
        self.stops.append(source)
        return True

    def close(self, reason: str) -> None:
        pass


@asynccontextmanager
async def satellite(
    folder: Path, detector: Detector | None, config: str = "", *, wake: Callable[[Wake], object] = lambda wake: None
) -> AsyncIterator[tuple[Speaker, Line]]:
    """One that is connected, and what speaks on it."""
    path = folder / "vonad.toml"
    path.write_text(config)
    line, clock, speaker = ScriptedLine(), ManualClock(), Speaker()

    @asynccontextmanager
    async def lease(*what: object) -> AsyncIterator[Detector]:
        if detector is None:
            raise VonadError("backend_unavailable", "no wake word engine runs")
        yield detector

    part = SimpleNamespace(name="t", label="t", component=OneLine(line), running=True, stop=asyncio.Event())
    parts = SimpleNamespace(all=lambda group: [part], lease=lease)
    settings = load(path, {}).settings
    bus = Bus("test", clock)
    lines = Lines(parts, settings=settings, bus=bus, clock=clock, wake=wake, came=lambda name: None)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        lines.serve(settings, group)
        await settle()
        lines.get("desk").take(speaker)  # type: ignore[arg-type]  # it quacks
        yield speaker, line
        lines.take_no_more()
        lines.hang_up()


async def heard(line: Line, *frames: Frame) -> None:
    assert isinstance(line, ScriptedLine)
    for frame in frames:
        line.captured.put(frame)
    await settle()


@pytest.mark.parametrize("config", ["", "[wake]\nwords = []"], ids=["with wake words", "without"])
async def test_the_stop_word_silences_a_reply(tmp_path: Path, config: str) -> None:
    detector = Detector("okay_nabu", "stop")
    async with satellite(tmp_path, detector, config) as (speaker, line):
        await heard(line, LOUD)
        assert speaker.stops == ["stop_word"]
    assert ["stop"] in detector.asked


@pytest.mark.parametrize("text", ["Say stop to silence the alarm.", "The timer has stopped."])
async def test_a_reply_that_says_stop_does_not_silence_itself(tmp_path: Path, text: str) -> None:
    async with satellite(tmp_path, Detector("okay_nabu", "stop")) as (speaker, line):
        speaker.speaking_text = text
        await heard(line, LOUD)
        assert speaker.stops == []


async def test_nobody_waits_for_a_stop_word_that_the_engine_does_not_know(tmp_path: Path) -> None:
    detector = Detector("okay_nabu")
    async with satellite(tmp_path, detector) as (speaker, line):
        await heard(line, LOUD)
        assert speaker.stops == []
    assert detector.asked == [["okay_nabu"]]


async def test_a_detection_becomes_a_wake_with_all_that_the_gate_judges(tmp_path: Path) -> None:
    wakes: list[Wake] = []
    async with satellite(tmp_path, Detector("okay_nabu"), wake=wakes.append) as (_, line):
        await heard(line, LOUD)
    [wake] = wakes
    assert (wake.phrase, wake.score, wake.cutoff, wake.speaker_score) == ("okay_nabu", 0.9, 0.8, 0.7)


async def test_without_a_wake_word_engine_a_satellite_works_all_the_same(tmp_path: Path) -> None:
    async with satellite(tmp_path, None) as (speaker, line):
        await heard(line, LOUD)
        assert speaker.stops == []
