"""Sound devices that are missing, misnamed or odd: no sound server, but a package `sounddevice` made for this."""

import asyncio
import logging
import time
from contextlib import asynccontextmanager

import numpy as np
import pytest
import uvloop
import vonad_local_audio
from vonad_local_audio import child
from vonad_local_audio.child import DeviceError, find
from vonad_local_audio.process import Wanted, device
from vonad_local_audio.transport import LocalAudio, LocalAudioSettings

from tests.plugins.fake_host import FakeHost
from vonad import Frame, SystemClock, VonadError

NO_PORTAUDIO = "raise OSError('PortAudio library not found')"

# Devices that keep time: a microphone that hears a ramp, a speaker whose buffer empties at the pace of the clock.
PORTAUDIO = """
import os, time
class PortAudioError(Exception): pass
class default: device = {"input": 0, "output": 1}
DEVICES = [
    {"index": 0, "name": "USB Mic: Audio (hw:2,0)", "max_input_channels": 1, "max_output_channels": 0},
    {"index": 1, "name": "HDA: Speakers (hw:0,0)", "max_input_channels": 0, "max_output_channels": 2},
]
RATES = {16_000, 48_000}
for device in DEVICES: device["default_samplerate"] = 44_100.0
def query_devices(index=None): return DEVICES if index is None else DEVICES[index]
class Stream:
    def __init__(self, *, samplerate, blocksize, device, channels, dtype, latency):
        if samplerate not in RATES: raise PortAudioError("Invalid sample rate")
        self.rate, self.count = samplerate, 0
    def start(self): self.begun, self.count = time.monotonic(), 0
    def abort(self): pass
    def elapsed(self): return int((time.monotonic() - self.begun) * self.rate)
class RawInputStream(Stream):
    lost = False
    @property
    def read_available(self): return max(0, self.elapsed() - self.count)
    def read(self, frames):
        time.sleep(max(0, self.count + frames - self.elapsed()) / self.rate)
        self.count += frames
        return b"\\x07\\x00" * frames, self.lost
class RawOutputStream(Stream):
    @property
    def write_available(self): return 4800 - max(0, self.count - self.elapsed())
    def write(self, data):
        frames = len(data) // 2
        time.sleep(max(0, frames - self.write_available) / self.rate)
        self.count = max(self.count, self.elapsed()) + frames
"""


class Impatient(SystemClock):
    """A clock that wakes every sleeper at once, and remembers how long each wanted to sleep."""

    def __init__(self, naps: int) -> None:
        self.naps: list[float] = []
        self.enough = asyncio.Event()
        self._count = naps

    async def sleep(self, delay: float) -> None:
        self.naps.append(delay)
        if len(self.naps) >= self._count:
            self.enough.set()
            await asyncio.Event().wait()


@pytest.fixture
def portaudio(tmp_path, monkeypatch):
    """Puts this source in the place of the package `sounddevice`."""

    def install(source: str) -> None:
        (tmp_path / "sounddevice.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

    return install


async def naps(tmp_path, count: int, **settings) -> list[float]:
    """How long the transport waits between its attempts; there is to be no line."""
    clock = Impatient(count)
    async with LocalAudio(LocalAudioSettings(**settings), FakeHost(tmp_path, name="local", clock=clock)) as transport:
        waiting = asyncio.ensure_future(anext(transport.lines()))
        try:
            async with asyncio.timeout(10):
                await asyncio.wait({waiting, asyncio.create_task(clock.enough.wait())}, return_when="FIRST_COMPLETED")
            assert not waiting.done()
        finally:
            waiting.cancel()
            await asyncio.wait({waiting})
    return clock.naps


@asynccontextmanager
async def opened(tmp_path):
    async with LocalAudio(LocalAudioSettings(), FakeHost(tmp_path, name="local")) as transport:
        lines = transport.lines()
        line = await anext(lines)
        following = asyncio.ensure_future(anext(lines))
        yield line
        following.cancel()
        await asyncio.wait({following})


@pytest.fixture
async def line(tmp_path, portaudio):
    portaudio(PORTAUDIO)
    async with opened(tmp_path) as line:
        yield line


def quiet(seconds: float, rate: int = 48_000) -> Frame:
    return Frame(np.zeros(round(seconds * rate), np.int16), rate)


def test_it_registers_as_a_transport():
    offers = []

    class Desk:
        def add(self, *args, **kwargs):
            offers.append((args, kwargs))

    vonad_local_audio.register_transports(Desk())
    assert offers == [(("local_audio", LocalAudio), {"settings": LocalAudioSettings})]


def test_every_setting_is_described():
    assert all(field.description for field in LocalAudioSettings.model_fields.values())


async def test_without_portaudio_a_machine_that_wants_no_sound_is_told_once_and_left_alone(tmp_path, portaudio, caplog):
    caplog.set_level(logging.INFO)
    portaudio(NO_PORTAUDIO)
    assert await naps(tmp_path, 3) == [30.0, 30.0, 30.0]
    [record] = caplog.records
    assert record.levelname == "INFO"
    assert record.getMessage() == (
        "local: no local sound: PortAudio library not found: install it, on Debian with: apt install libportaudio2"
    )


async def test_without_portaudio_a_device_that_was_asked_for_is_an_error_with_the_remedy(tmp_path, portaudio, caplog):
    portaudio(NO_PORTAUDIO)
    assert await naps(tmp_path, 6, input="Jabra") == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith("[transports.local] PortAudio library not found: install it")
    assert "apt install libportaudio2" in record.getMessage()


async def test_without_the_package_the_remedy_is_to_install_it(tmp_path, portaudio, caplog):
    portaudio("raise ImportError('No module named sounddevice')")
    await naps(tmp_path, 1, output="Jabra")
    assert "pip install sounddevice" in caplog.text


@pytest.mark.parametrize(("role", "kind"), [("capture", "input"), ("playback", "output")])
async def test_a_machine_without_a_microphone_or_speaker_says_which(tmp_path, portaudio, caplog, role, kind):
    caplog.set_level(logging.INFO)
    portaudio(f"{PORTAUDIO}\nDEVICES = [device for device in DEVICES if not device['max_{kind}_channels']]")
    assert await naps(tmp_path, 2) == [30.0, 30.0]
    [record] = caplog.records
    assert record.levelname == "INFO"
    assert f"there is no {kind} device" in record.getMessage()


async def test_an_unknown_device_lists_only_devices_that_can_do_it(tmp_path, portaudio, caplog):
    portaudio(PORTAUDIO)
    await naps(tmp_path, 1, input="Speakers")
    [record] = caplog.records
    assert record.getMessage() == (
        "[transports.local] there is no input device 'Speakers'; found: 'USB Mic: Audio (hw:2,0)'"
    )


async def test_a_device_that_refuses_speech_rate_is_opened_at_its_own(portaudio):
    portaudio(f"{PORTAUDIO}\nRATES = {{44_100}}")
    wanted = Wanted(role="capture", name=None, rate=None, latency_s=0.1)
    async with device(wanted) as microphone:
        assert microphone.rate == 44_100
        assert microphone.name == "USB Mic: Audio (hw:2,0)"


async def test_a_rate_that_was_asked_for_is_not_replaced(portaudio):
    portaudio(f"{PORTAUDIO}\nRATES = {{44_100}}")
    wanted = Wanted(role="playback", name=None, rate=22_050, latency_s=0.1)
    refusal = r"output device 'HDA: Speakers \(hw:0,0\)' cannot be opened: Invalid sample rate at 22050 Hz"
    with pytest.raises(DeviceError, match=refusal):
        async with device(wanted):
            pass


async def test_a_library_that_crashes_is_explained_by_its_last_words(portaudio):
    portaudio("import sys; sys.exit('the sound library is broken')")
    wanted = Wanted(role="capture", name=None, rate=None, latency_s=0.1)
    with pytest.raises(DeviceError, match="ended with exit code 1: the sound library is broken"):
        async with device(wanted):
            pass


async def test_what_a_library_prints_does_not_disturb(portaudio):
    portaudio(f"print('ALSA lib pcm.c:2722: Unknown PCM', flush=True)\n{PORTAUDIO}")
    async with device(Wanted(role="capture", name=None, rate=None, latency_s=0.1)) as microphone:
        assert microphone.rate == 16_000


async def test_a_sound_server_that_does_not_answer_is_given_up(portaudio, monkeypatch):
    portaudio("import time; time.sleep(60)")
    monkeypatch.setattr("vonad_local_audio.process.OPEN_S", 0.3)
    wanted = Wanted(role="capture", name=None, rate=None, latency_s=0.1)
    with pytest.raises(DeviceError, match="the sound server has not answered"):
        async with device(wanted):
            pass


def test_it_works_on_the_daemon_s_event_loop(tmp_path, portaudio):
    async def conversation():
        async with opened(tmp_path) as line:
            await anext(line.frames())
            await line.play(quiet(0.05))
            await line.drained()

    portaudio(PORTAUDIO)
    uvloop.run(conversation())


async def test_frames_are_as_the_device_gives_them(line):
    frames = line.frames()
    first = await anext(frames)
    assert (first.rate, len(first.samples), set(first.samples)) == (16_000, 320, {7})
    assert abs(time.monotonic() - first.at) < 0.5


async def test_frames_that_nobody_takes_are_dropped_and_counted(line, monkeypatch):
    line.microphone._frames.limit = 2
    async with asyncio.timeout(5):
        while not line.microphone.dropped:
            await asyncio.sleep(0.01)


async def test_what_was_heard_before_the_device_was_lost_comes_before_the_reason(line):
    while line.microphone.blocks < 3:
        await asyncio.sleep(0.005)
    line.close(DeviceError("lost", "somebody pulled the plug"))
    line.close()
    frames = line.frames()
    for _ in range(line.microphone.blocks):
        assert (await anext(frames)).samples[0] == 7
    with pytest.raises(VonadError, match="somebody pulled the plug") as lost:
        await anext(frames)
    assert lost.value.code == "transport_recv_failed"
    line.hush()  # there is nothing left to be silent


async def test_samples_that_the_device_lost_are_counted(tmp_path, portaudio, caplog):
    portaudio(f"{PORTAUDIO}\nRawInputStream.lost = True")
    async with opened(tmp_path) as line:
        await anext(line.frames())
        assert line.microphone.overruns >= 1
    assert "local lost sound of the microphone: 0 frames dropped" in caplog.text


async def test_a_drain_is_confirmed_when_the_sound_has_been_played(line):
    begun = time.monotonic()
    await line.play(quiet(0.3))
    assert line.played < 0.3
    await line.drained()
    assert 0.28 < time.monotonic() - begun < 1.0
    assert line.played == pytest.approx(0.3)


@pytest.mark.parametrize("at_once", [False, True])
async def test_cleared_sound_was_not_played(line, at_once):
    await line.play(quiet(0.4))
    while line.played < 0.1:
        await asyncio.sleep(0.005)
    draining = asyncio.create_task(line.drained())
    if at_once:
        line.hush()
    else:
        await line.clear()
    await asyncio.wait_for(draining, 0.1)
    played = line.played
    assert 0.1 <= played < 0.3
    await line.play(quiet(0.1))
    await line.drained()
    assert line.played == pytest.approx(played + 0.1)


async def test_a_drain_of_nothing_returns_at_once(line):
    await asyncio.wait_for(line.drained(), 0.1)


async def test_sound_at_another_rate_is_refused(line):
    with pytest.raises(VonadError, match="48000 Hz: got 16000 Hz") as raised:
        await line.play(quiet(0.1, 16_000))
    assert raised.value.code == "unsupported_audio_format"


DEVICES = {0: "USB Mic: Audio (hw:2,0)", 1: "USB Mic: Audio (hw:3,0)", 2: "Jabra Speak 510", 3: "Jabra Speak 510 USB"}


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("Jabra Speak 510", 2), ("jabra speak 510 usb", 3), ("speak 510 u", 3), ("USB Mic: Audio (hw:3,0)", 1)],
)
def test_a_device_is_found_by_its_name_or_by_a_part_that_no_other_has(wanted, index):
    assert find(DEVICES, wanted, "input") == index


@pytest.mark.parametrize("wanted", ["USB Mic: Audio", "jabra", "usb mic"])
def test_two_devices_of_a_name_are_never_chosen_from(wanted):
    with pytest.raises(DeviceError, match="several input devices are called") as raised:
        find(DEVICES, wanted, "input")
    assert raised.value.reason == "ambiguous_device"


def test_a_device_keeps_its_name_when_its_card_gets_another_number():
    assert find({7: "USB Mic: Audio (hw:5,0)", 8: "Other (hw:1,0)"}, "USB Mic: Audio", "input") == 7


def test_messages_come_out_whole_however_they_come_in():
    data = child.message(child.PLAY, b"abcd") + child.message(child.CLEAR) + child.message(child.PLAY, b"")
    buffer, got = bytearray(), []
    for byte in data:
        buffer.append(byte)
        got += child.messages(buffer)
    assert got == [(child.PLAY, b"abcd"), (child.CLEAR, b""), (child.PLAY, b"")]
    assert not buffer
