"""Sounds: chimes that the project made, the owner's own files, and words that are spoken before they are needed."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli_run import Cli, directories
from tests.runtime_house import runtime_house
from tools.sounds import CHIMES, chime
from vonad.backend import ReplyDone
from vonad.directories import Directories
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Style
from vonad.session.means import PHRASES, CueName
from vonad.settings import Settings, load
from vonad.sounds import Sounds
from vonad.sounds.cues import BUNDLED, NAMES
from vonad.sounds.phrases import KEYS
from vonad.testing import ManualClock, quiet, settle, speech
from vonad.wav import read_wav, write_wav

BUNDLED_NAMES: tuple[CueName, ...] = ("wake", "heard", "error", "announce")


class Throat:
    """A voice that can be lost; it says every word as 0.1 s of sound."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.lost = False

    async def speak(self, backends: tuple[str, ...], text: str, language: str, style: Style) -> AsyncIterator[Frame]:
        if self.lost:
            raise VonadError("backend_unavailable", "the voice is gone")
        self.said.append((text, language))
        for _ in text.split():
            yield speech(0.1)


def sounds(folder: Path, throat: Throat, clock: ManualClock | None = None, config: str = "") -> Sounds:
    folder.mkdir(exist_ok=True)
    path = folder / "vonad.toml"
    if not path.exists() or config:
        path.write_text(config)
        os.utime(path, (1_000_000, 1_000_000))
    places = Directories(config=folder, state=folder, runtime=folder, cache=folder / "cache")
    made = Sounds(places, clock=clock or ManualClock(), speak=throat.speak)
    made.configure(load(path, {}).settings)
    return made


def length(frames: object) -> float:
    assert isinstance(frames, tuple)
    return round(sum(frame.seconds for frame in frames), 3)


@pytest.mark.parametrize("name", BUNDLED_NAMES)
def test_the_bundled_sounds_are_those_that_the_tool_makes(name: CueName) -> None:
    held = read_wav((BUNDLED / f"{name}.wav").read_bytes())
    assert np.max(np.abs(held.samples.astype(int) - chime(*CHIMES[name]).samples)) <= 1


@pytest.mark.parametrize("name", BUNDLED_NAMES)
def test_a_bundled_sound_is_short_soft_small_and_does_not_click(name: CueName) -> None:
    path = BUNDLED / f"{name}.wav"
    sound = read_wav(path.read_bytes())
    assert (sound.rate, path.stat().st_size < 13_000) == (16_000, True)
    assert sound.seconds <= 0.4
    assert -12.5 < 20 * np.log10(np.abs(sound.samples).max() / 32767) < -11.5
    assert max(abs(int(sound.samples[0])), abs(int(sound.samples[-1]))) < 100


def test_wake_and_heard_are_off_and_the_others_on_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    made = sounds(tmp_path, Throat())
    assert {name: bool(made.cue(name)) for name in NAMES} == {
        "wake": False,
        "heard": False,
        "error": True,
        "announce": True,
        "filler": False,
    }


def test_a_cue_comes_in_pieces_of_20_ms(tmp_path: Path) -> None:
    made = sounds(tmp_path, Throat())
    assert {frame.seconds for frame in made.cue("error")} == {0.02}
    assert length(made.cue("error")) == CHIMES["error"][0]


def test_a_sound_of_ones_own_is_found_beside_the_configuration_at_any_rate(tmp_path: Path) -> None:
    (tmp_path / "gong.wav").write_bytes(write_wav([Frame(np.full(4410, 1000, np.int16), 44_100)]))
    made = sounds(tmp_path, Throat(), config='[sounds]\nwake = "gong.wav"\nerror = "off"\nfiller = "gong.wav"\n')
    assert length(made.cue("wake")) == 0.1
    assert {frame.rate for frame in made.cue("wake")} == {44_100}
    assert made.cue("error") == ()
    assert length(made.cue("filler")) == 0.1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory): write the path of a WAV file, or on, or off"),
        (b"ID3 this is music", "not a WAV file"),
        (write_wav([quiet(11)]), "lasts 11 s: a cue lasts at most 10 s; cut it"),
    ],
    ids=["missing", "no wav", "too long"],
)
def test_a_file_that_cannot_be_used_is_named_with_the_remedy_and_the_bundled_sound_is_played(
    content: bytes | None, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if content is not None:
        (tmp_path / "gong.wav").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        made = sounds(tmp_path, Throat(), config='[sounds]\nwake = "gong.wav"\n')
    assert length(made.cue("wake")) == CHIMES["wake"][0]
    [record] = caplog.records
    assert record.message.startswith(f"[sounds] wake: {tmp_path / 'gong.wav'}")
    assert said in record.message


async def test_the_houses_own_words_are_spoken_ahead_of_need(tmp_path: Path) -> None:
    made = sounds(tmp_path, Throat())
    assert made.spoken("failed", "en") == ()
    await made.prepare()
    assert {key: length(made.spoken(key, "en")) for key in KEYS} == {
        key: round(0.1 * len(PHRASES["en"][key].split()), 3) for key in KEYS
    }


async def test_every_language_of_the_house_has_its_words(tmp_path: Path) -> None:
    throat = Throat()
    made = sounds(tmp_path, throat, config='[node]\nlanguage = "de"\n[satellites.attic]\nlanguage = "en"\n')
    await made.prepare()
    assert {language for _, language in throat.said} == {"de", "en"}
    assert made.spoken("failed", "de")
    assert made.spoken("failed", "en")
    assert made.spoken("failed", "fr") == ()


async def test_a_restart_with_a_dead_voice_still_has_its_words(tmp_path: Path) -> None:
    throat = Throat()
    await sounds(tmp_path, throat).prepare()
    throat.lost = True
    again = sounds(tmp_path, throat)
    await again.prepare()
    assert length(again.spoken("unavailable", "en")) == 0.6
    assert len(throat.said) == len(KEYS)


async def test_a_changed_configuration_has_them_spoken_anew_and_the_old_ones_serve_meanwhile(tmp_path: Path) -> None:
    throat, clock = Throat(), ManualClock()
    await sounds(tmp_path, throat).prepare()
    os.utime(tmp_path / "vonad.toml", (4_000_000_000, 4_000_000_000))
    throat.lost, throat.said = True, []
    again = sounds(tmp_path, throat, clock)
    preparing = asyncio.create_task(again.prepare())
    await until(lambda: clock.waiting > 0)
    assert again.spoken("failed", "en")
    throat.lost = False
    await clock.advance(60)
    await preparing
    assert len(throat.said) == len(KEYS)


async def test_a_voice_that_is_not_there_yet_is_asked_again(tmp_path: Path) -> None:
    throat, clock = Throat(), ManualClock()
    throat.lost = True
    made = sounds(tmp_path, throat, clock)
    preparing = asyncio.create_task(made.prepare())
    await until(lambda: clock.waiting > 0)
    assert made.spoken("failed", "en") == ()
    throat.lost = False
    await clock.advance(60)
    await preparing
    assert made.spoken("failed", "en")


async def test_what_another_voice_once_said_is_thrown_away(tmp_path: Path) -> None:
    await sounds(tmp_path, Throat(), config='[session]\nbackends = ["old"]\n').prepare()
    before = {path.name for path in (tmp_path / "cache" / "phrases").iterdir()}
    await sounds(tmp_path, Throat(), config='[session]\nbackends = ["new"]\n').prepare()
    after = {path.name for path in (tmp_path / "cache" / "phrases").iterdir()}
    assert (len(before), len(after), before & after) == (len(KEYS), len(KEYS), set())


async def test_a_damaged_phrase_is_spoken_again(tmp_path: Path) -> None:
    throat = Throat()
    await sounds(tmp_path, throat).prepare()
    for path in (tmp_path / "cache" / "phrases").iterdir():
        path.write_bytes(b"RIFF")
    again = sounds(tmp_path, throat)
    await again.prepare()
    assert again.spoken("failed", "en")


async def test_without_a_folder_to_keep_them_in_they_are_kept_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("not a folder")
    made = sounds(tmp_path, Throat())
    with caplog.at_level(logging.WARNING):
        await made.prepare()
    assert made.spoken("failed", "en")
    assert len(caplog.records) == 1
    assert "in memory only" in caplog.text


async def test_a_voice_that_never_ends_is_cut(tmp_path: Path) -> None:
    class Endless(Throat):
        async def speak(
            self, backends: tuple[str, ...], text: str, language: str, style: Style
        ) -> AsyncIterator[Frame]:
            while True:
                yield speech(1.0)

    made = sounds(tmp_path, Endless())
    await made.prepare()
    assert length(made.spoken("failed", "en")) == 10.0


async def test_no_filler_is_spoken_where_it_is_off(tmp_path: Path) -> None:
    made = sounds(tmp_path, Throat(), config='[sounds]\nfiller = "off"\n')
    await made.prepare()
    assert made.spoken("filler", "en") == ()
    assert Settings().sounds.filler == "on"


async def test_the_house_apologises_though_its_voice_was_lost_meanwhile(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        await until(lambda: bool(home.runtime.sounds.spoken("not_understood", "en")))

        async def mute(text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
            raise VonadError("backend_unavailable", "the voice is gone", op="tts")
            yield

        home.backend.speak = mute  # type: ignore[method-assign]
        turn = await home.house.text("desk", "gibberish")
        await settle()
        home.backend.dialogue.emit(ReplyDone(home.backend.dialogue.turn, understood=False))
        assert (await home.sessions.wait(turn.id, 5)).heard == "Sorry, I did not get that."
        assert length(tuple(line.sound)) == 0.6


async def until(true: object) -> None:
    """Wait for what threads have a part in."""
    assert callable(true)
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)
    await settle()


def test_check_warns_of_a_sound_that_cannot_be_played(tmp_path: Path, capsys, monkeypatch) -> None:
    directories(tmp_path, monkeypatch)
    path = tmp_path / "vonad.toml"
    path.write_text('[sounds]\nwake = "gong.wav"\n')
    ended = Cli(tmp_path, capsys)("check", "--config", str(path))
    assert ended.status == 0
    assert f"warning: [sounds] wake: {tmp_path / 'gong.wav'} cannot be read" in ended.out
