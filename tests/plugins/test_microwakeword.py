"""The wake word detector, on recordings of people and on what wakes nobody."""

import json
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pymicro_wakeword
import pytest
import vonad_microwakeword
from vonad_microwakeword import MicroWakeWord, MicroWakeWordSettings
from vonad_microwakeword.stream import REFRACTORY

from tests.plugins.fake_host import FakeHost
from tests.plugins.footprint import footprint
from vonad import CAPTURE_RATE, Samples, VonadError, read_wav, silence

AUDIO = Path(__file__).parent.parent / "audio"
MODELS = Path(pymicro_wakeword.__file__).parent / "models"
BUNDLED = ["okay_nabu", "hey_jarvis", "hey_mycroft", "alexa"]
WAKES = [(path, path.stem[5:-2]) for path in sorted(AUDIO.glob("wake_*.wav"))]
COMMANDS = sorted(path for path in AUDIO.glob("*.wav") if not path.stem.startswith("wake_"))
RANDOM = np.random.default_rng(11)


@pytest.fixture
async def detector(tmp_path):
    async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as detector:
        yield detector


@pytest.fixture
def wake_folder(tmp_path) -> Path:
    folder = tmp_path / "config" / "wake"
    folder.mkdir(parents=True)
    return folder


def recording(path: Path) -> Samples:
    """As a microphone gives it: the room goes on after the word."""
    return np.concatenate((read_wav(path.read_bytes()).samples, silence(2.0)))


def noise(level: float, seconds: float = 8.0) -> Samples:
    return (RANDOM.standard_normal(round(seconds * CAPTURE_RATE)) * level).clip(-32768, 32767).astype(np.int16)


def tone(hertz: float) -> Samples:
    return (np.sin(2 * np.pi * hertz * np.arange(4 * CAPTURE_RATE) / CAPTURE_RATE) * 12000).astype(np.int16)


def detections(stream, sound: Samples, lengths: tuple[int, ...] = (320,)) -> list[str]:
    found, at = [], 0
    while at < len(sound):
        for length in lengths:
            if heard := stream.push(sound[at : at + length]):
                assert 0.5 < heard.score <= 1.0
                assert heard.cutoff is not None
                assert heard.cutoff < heard.score, "the gate goes by the model's own limit"
                found.append(heard.phrase)
            at += length
    return found


def own_model(folder: Path, name: str, like: str = "hey_jarvis", **changes: object) -> Path:
    manifest = json.loads((MODELS / f"{like}.json").read_text()) | {"model": f"{name}.tflite"} | changes
    shutil.copy(MODELS / f"{like}.tflite", folder / f"{name}.tflite")
    path = folder / f"{name}.json"
    path.write_text(json.dumps(manifest))
    return path


def test_it_registers_as_a_wake_word_detector():
    offers = []

    class Desk:
        def add(self, *args, **kwargs):
            offers.append((args, kwargs))

    vonad_microwakeword.register_engines(Desk())
    assert offers == [(("microwakeword", MicroWakeWord), {"role": "wake", "settings": MicroWakeWordSettings})]


async def test_it_knows_the_words_of_the_package(detector):
    assert list(detector.words()) == BUNDLED


@pytest.mark.parametrize(("path", "word"), WAKES, ids=lambda value: getattr(value, "stem", None))
async def test_a_spoken_wake_word_is_found_once_and_only_as_itself(detector, path, word):
    sound = recording(path)
    assert detections(detector.stream([word]), sound) == [word]
    assert detections(detector.stream(BUNDLED), sound) == [word]
    assert detections(detector.stream([other for other in BUNDLED if other != word]), sound) == []


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
async def test_commands_wake_nobody(detector, path):
    assert detections(detector.stream(BUNDLED), recording(path)) == []


@pytest.mark.parametrize("lengths", [(1, 159, 160, 161), (7, 4001), (512,), (100_000,)], ids=str)
async def test_a_word_is_found_once_however_the_stream_is_fed(detector, lengths):
    for path, word in WAKES[::2]:
        assert detections(detector.stream(["okay_nabu", "hey_jarvis"]), recording(path), lengths) == [word]


@pytest.mark.parametrize(
    "sound",
    [silence(8.0), noise(100), noise(3000), noise(30000), tone(150), tone(440), tone(2500)],
    ids=["silence", "soft noise", "noise", "clipped noise", "150 Hz", "440 Hz", "2.5 kHz"],
)
async def test_what_is_no_word_wakes_nobody(detector, sound):
    assert detections(detector.stream(BUNDLED), sound) == []


async def test_a_word_said_again_is_found_again(detector):
    one, other = (recording(AUDIO / f"wake_okay_nabu_{n}.wav") for n in (1, 2))
    stream = detector.stream(["okay_nabu"])
    assert detections(stream, np.concatenate((one, other, one))) == ["okay_nabu"] * 3


async def test_reset_forgets_the_first_half_of_a_word(detector):
    sound = recording(AUDIO / "wake_okay_nabu_2.wav")
    stream = detector.stream(["okay_nabu"])
    middle = round(1.1 * CAPTURE_RATE)
    assert detections(stream, sound[:middle]) == []
    stream.reset()
    assert detections(stream, sound[middle:]) == []
    stream.reset()
    assert detections(stream, sound) == ["okay_nabu"]


async def test_reset_ends_the_pause_after_a_detection(detector):
    sound = recording(AUDIO / "wake_hey_jarvis_1.wav")[: 2 * CAPTURE_RATE]
    stream = detector.stream(["hey_jarvis"])
    assert detections(stream, sound) == ["hey_jarvis"]
    stream.reset()
    assert stream._quiet == REFRACTORY
    assert detections(stream, sound) == ["hey_jarvis"]


async def test_an_unknown_word_names_itself_and_those_known(detector):
    with pytest.raises(VonadError, match=r"'computer'.*okay_nabu, hey_jarvis, hey_mycroft, alexa") as caught:
        detector.stream(["okay_nabu", "computer"])
    assert caught.value.code == "invalid_config"


async def test_thresholds_are_set_for_all_words_or_for_one(tmp_path):
    settings = MicroWakeWordSettings(threshold=0.6, thresholds={"hey_jarvis": 0.999})
    async with MicroWakeWord(settings, FakeHost(tmp_path)) as detector:
        stream = detector.stream(["okay_nabu", "hey_jarvis"])
        assert [spotter.threshold for spotter in stream._spotters] == [0.6, 0.999]
        assert detections(stream, recording(AUDIO / "wake_hey_jarvis_1.wav")) == []
        assert detections(stream, recording(AUDIO / "wake_okay_nabu_1.wav")) == ["okay_nabu"]


async def test_a_threshold_for_an_unknown_word_is_a_problem_of_the_configuration(tmp_path):
    with pytest.raises(VonadError, match="'hey_jervis'") as caught:
        await MicroWakeWord(MicroWakeWordSettings(thresholds={"hey_jervis": 0.5}), FakeHost(tmp_path)).__aenter__()
    assert caught.value.code == "invalid_config"


async def test_own_models_are_found_and_work(tmp_path, wake_folder):
    own_model(wake_folder, "computer")
    async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as detector:
        assert list(detector.words()) == [*BUNDLED, "computer"]
        assert detections(detector.stream(["computer"]), recording(AUDIO / "wake_hey_jarvis_1.wav")) == ["computer"]


async def test_an_own_model_replaces_the_package_s_of_its_name(tmp_path, wake_folder):
    own_model(wake_folder, "alexa", like="okay_nabu")
    async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as detector:
        assert list(detector.words()) == BUNDLED
        assert detections(detector.stream(["alexa"]), recording(AUDIO / "wake_okay_nabu_1.wav")) == ["alexa"]


async def test_an_own_model_may_be_overwritten_while_it_listens(tmp_path, wake_folder):
    own_model(wake_folder, "computer")
    async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as detector:
        stream = detector.stream(["computer"])
        (wake_folder / "computer.tflite").write_bytes(b"")
        stream.reset()
        assert detections(stream, recording(AUDIO / "wake_hey_jarvis_1.wav")) == ["computer"]


async def test_a_model_that_vanishes_is_an_error_and_no_crash(tmp_path, wake_folder):
    own_model(wake_folder, "computer")
    host = FakeHost(tmp_path)
    async with MicroWakeWord(MicroWakeWordSettings(), host) as detector:
        stream = detector.stream(["computer"])
        shutil.rmtree(host.cache_dir)
        with pytest.raises(VonadError, match=r"computer\.tflite has gone; restart"):
            detector.stream(["computer"])
        stream.reset()
        assert detections(stream, recording(AUDIO / "wake_hey_jarvis_1.wav")) == ["computer"]


def break_json(folder: Path) -> None:
    (folder / "broken.json").write_text('{"wake_word": ')


def break_bytes(folder: Path) -> None:
    (folder / "broken.json").write_bytes(b"\xff\xfe\x00")


def break_depth(folder: Path) -> None:
    (folder / "broken.json").write_text("[" * 100_000)


def break_version_1(folder: Path) -> None:
    own_model(folder, "broken", micro={"probability_cutoff": 0.5, "sliding_window_average_size": 10})


def break_cutoff(folder: Path) -> None:
    own_model(folder, "broken", micro={"probability_cutoff": 90, "sliding_window_size": 5})


def break_missing(folder: Path) -> None:
    own_model(folder, "broken")
    (folder / "broken.tflite").unlink()


def break_empty(folder: Path) -> None:
    own_model(folder, "broken")
    (folder / "broken.tflite").write_bytes(b"")


def break_cut(folder: Path) -> None:
    own_model(folder, "broken")
    whole = (folder / "broken.tflite").read_bytes()
    (folder / "broken.tflite").write_bytes(whole[: len(whole) // 2])


def break_text(folder: Path) -> None:
    own_model(folder, "broken")
    (folder / "broken.tflite").write_text("<html>404 not found</html>" * 100)


def break_folder(folder: Path) -> None:
    (folder / "broken.json").mkdir()


BREAKAGES = {
    break_json: "no microWakeWord manifest",
    break_bytes: "no microWakeWord manifest",
    break_depth: "no microWakeWord manifest",
    break_version_1: r"sliding_window_size.*mend it",
    break_cutoff: r"probability_cutoff.*mend it",
    break_missing: r"broken\.tflite is missing; put",
    break_empty: "damaged.*download",
    break_cut: "damaged.*download",
    break_text: "damaged.*download",
    break_folder: "Is a directory",
}


@pytest.mark.parametrize("damage", BREAKAGES, ids=lambda damage: damage.__name__)
async def test_a_broken_own_model_is_left_out_with_file_and_remedy(tmp_path, wake_folder, caplog, damage):
    own_model(wake_folder, "computer")
    damage(wake_folder)
    with caplog.at_level(logging.WARNING):
        async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as detector:
            assert list(detector.words()) == [*BUNDLED, "computer"]
    (warning,) = caplog.messages
    assert str(wake_folder / "broken.json") in warning
    assert re.search(BREAKAGES[damage], warning), warning


async def test_a_model_of_another_kind_is_left_out(tmp_path, wake_folder, caplog, monkeypatch):
    monkeypatch.setattr("vonad_microwakeword.models.FEATURES", 41)
    own_model(wake_folder, "broken")
    async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as detector:
        assert list(detector.words()) == BUNDLED
    assert "takes [1, 3, 40] and gives [1, 1]" in caplog.text


async def test_a_wake_folder_that_is_a_file_is_no_disaster(tmp_path, wake_folder, caplog):
    wake_folder.rmdir()
    wake_folder.write_text("")
    async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as detector:
        assert list(detector.words()) == BUNDLED
    assert str(wake_folder) in caplog.text


async def test_a_missing_package_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    with pytest.raises(VonadError, match="pip install") as caught:
        await MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)).__aenter__()
    assert caught.value.code == "backend_start_failed"


async def test_opening_and_closing_leaks_neither_threads_nor_memory(tmp_path, wake_folder):
    own_model(wake_folder, "computer")
    sound = noise(300, 0.5)

    async def once():
        async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as detector:
            stream = detector.stream([*BUNDLED, "computer"])
            stream.push(sound)
            stream.reset()

    for _ in range(5):
        await once()
    before = footprint()
    for _ in range(50):
        await once()
    after = footprint()
    assert after.threads == before.threads
    assert after.memory - before.memory < 2e6


def test_importing_the_plugin_loads_no_network():
    code = "import sys, vonad_microwakeword; print('pymicro_wakeword' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


async def test_the_package_has_no_stop_word_and_an_own_model_is_one(tmp_path, wake_folder, detector):
    assert "stop" not in detector.words()
    own_model(wake_folder, "stop")
    async with MicroWakeWord(MicroWakeWordSettings(), FakeHost(tmp_path)) as with_own:
        assert "stop" in with_own.words()
        assert detections(with_own.stream(["stop"]), recording(AUDIO / "wake_hey_jarvis_1.wav")) == ["stop"]
