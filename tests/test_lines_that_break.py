"""Lines that break: whatever a wake word engine or a transport does, house and satellite stay where they can."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.engine import Detection, WakeStream, WakeWordDetector
from vonad.frame import Frame, Samples
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


@pytest.mark.parametrize("how", ["words", "stream"])
async def test_an_engine_that_raises_when_a_satellite_connects_costs_only_the_wake_word(
    tmp_path: Path, how: str
) -> None:
    async with house(tmp_path, Spotter(how)) as home:
        line = await home.connect()
        await room(line)
        assert home.runtime.lines.find("desk") is not None
        assert await home.asked() == "accepted"
        assert complaints(home) == [f"ValueError: {how} is broken"]


async def test_an_engine_that_works_again_is_asked_again(tmp_path: Path) -> None:
    engine = Spotter("push")
    async with house(tmp_path, engine) as home:
        line = await home.connect()
        await room(line)
        engine.breaks.clear()
        await home.clock.advance(1.2)
        await room(line, loud=True)
        assert [event.data["phrase"] for event in home.told("wake.accepted")] == ["okay_nabu"]
        health = [event.data["ok"] for event in home.told("backend.health") if "wakeword" in str(event.data["name"])]
        assert health[-2:] == [False, True]


async def test_a_line_in_which_something_of_its_own_is_cancelled_goes_with_that_for_a_reason(tmp_path: Path) -> None:
    class Careless(ScriptedLine):
        async def frames(self) -> AsyncIterator[Frame]:
            raise asyncio.CancelledError("a task of its own")
            yield quiet(0.02)

    async with runtime_house(tmp_path) as home:
        home.transport.waiting.put_nowait(Careless())
        await settle()
        reasons = [event.data["reason"] for event in home.told("satellite.offline")]
        assert reasons == ["CancelledError: a task of its own"]
        await home.connect()
        assert await home.asked() == "accepted"


async def test_two_satellites_of_one_name_at_once_are_one_and_one_that_is_turned_away(tmp_path: Path) -> None:
    engine = Spotter()
    engine.streams = 1
    config = CONFIG.replace("desk", "hall") + '[satellites.desk]\nwake_words = ["okay_nabu"]\n'
    async with runtime_house(tmp_path, config, parts={ENGINE: engine}) as home:
        await home.connect("hall")
        first, second = ScriptedLine("desk"), ScriptedLine("desk")
        home.transport.waiting.put_nowait(first)
        home.transport.waiting.put_nowait(second)
        await home.clock.advance(1.1)
        assert home.runtime.lines.get("desk").line is first
        second.hang_up()
        await settle()
        assert home.runtime.lines.find("desk") is not None
        first.hang_up()
        await settle()
        assert [event.satellite for event in home.told("satellite.online")] == ["hall", "desk"]
        assert [event.satellite for event in home.told("satellite.offline")] == ["desk"]
        assert await home.asked("hall") == "accepted"


async def test_a_satellite_for_which_no_stream_was_free_hears_its_wake_word_once_one_is(tmp_path: Path) -> None:
    engine = Spotter()
    engine.streams = 1
    config = CONFIG + '[satellites.hall]\nwake_words = ["okay_nabu"]\n'
    async with runtime_house(tmp_path, config, parts={ENGINE: engine}) as home:
        hall = await home.connect("hall")
        desk = await home.connect("desk")
        await home.clock.advance(1.1)
        await room(desk, loud=True)
        assert not home.told("wake.accepted")
        hall.hang_up()
        await home.clock.advance(3)
        await room(desk, loud=True)
        assert [event.satellite for event in home.told("wake.accepted")] == ["desk"]


async def test_a_line_that_is_no_line_at_all_costs_nobody_else_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, Spotter()) as home:
        await home.connect("hall")
        nameless = ScriptedLine()
        monkeypatch.setattr(nameless, "satellite", None)
        home.transport.waiting.put_nowait(nameless)
        await settle()
        assert "a line failed" in caplog.text
        assert await home.asked("hall") == "accepted"


async def test_a_wake_word_in_the_very_first_sound_of_a_satellite_is_heard(tmp_path: Path) -> None:
    async with house(tmp_path, Spotter()) as home:
        line = ScriptedLine("desk")
        line.captured.put(speech(0.1))
        home.transport.waiting.put_nowait(line)
        await settle()
        assert [event.data["phrase"] for event in home.told("wake.accepted")] == ["okay_nabu"]


# What a reload changes


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "vonad.toml"
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))


async def test_a_reload_gives_a_satellite_that_is_connected_its_new_wake_words(tmp_path: Path) -> None:
    engine = Spotter()
    async with house(tmp_path, engine) as home:
        line = await home.connect()
        change(tmp_path, '"okay_nabu"', '"hey_jarvis"')
        await home.house.reload()
        await room(line, loud=True)
        assert [event.data["phrase"] for event in home.told("wake.accepted")] == ["hey_jarvis"]


async def test_a_satellite_that_connects_after_a_reload_goes_by_the_new_settings(tmp_path: Path) -> None:
    async with house(tmp_path, Spotter()) as home:
        line = await home.connect()
        change(tmp_path, '"okay_nabu"', '"hey_jarvis"')
        change(tmp_path, "[session]\n", "[session]\npre_roll_s = 1.5\n")
        await home.house.reload()
        line.hang_up()
        await settle()
        line = await home.connect()
        for _ in range(20):
            line.captured.put(quiet(0.1))
        await settle()
        assert sum(frame.seconds for frame in home.runtime.lines.get("desk").ear.past()) == pytest.approx(1.5, abs=0.11)
        await room(line, loud=True)
        assert [event.data["phrase"] for event in home.told("wake.accepted")] == ["hey_jarvis"]


async def test_an_engine_that_was_opened_again_is_the_one_that_hears_the_wake_word(tmp_path: Path) -> None:
    engine = Spotter()
    async with house(tmp_path, engine) as home:
        line = await home.connect()
        before = len(engine.asked)
        home.plugins.load_anew(ENGINE)
        await home.house.reload()
        await settle()
        assert engine.asked[before:] == [["stop"], ["okay_nabu"]]
        await room(line, loud=True)
        assert await home.asked(phrase="okay_nabu") == "busy"
