"""This machine's sound devices, on a real sound server: what is heard, what is said, and every way to lose them."""

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from vonad_local_audio.transport import LocalAudio, LocalAudioSettings

from tests.parts.sound import alive
from tests.plugins.fake_host import FakeHost
from vonad import Frame, Line, VonadError, read_wav

pytestmark = pytest.mark.real("audio")

PLAYBACK_RATE = 48_000


@pytest.fixture
def devices(sound, monkeypatch):
    """The sound server, for the processes that this test starts."""
    for name, value in sound.env.items():
        monkeypatch.setenv(name, value)
    return sound


class Satellite:
    """Takes the lines of a transport and hears all that they hear."""

    def __init__(self, transport: LocalAudio) -> None:
        self.transport = transport
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        self.frames: list[Frame] = []

    async def run(self) -> None:
        async for line in self.transport.lines():
            self.lines.put_nowait(line)

    async def line(self) -> Line:
        async with asyncio.timeout(10):
            return await self.lines.get()

    async def hear(self, line: Line) -> None:
        async for frame in line.frames():
            self.frames.append(frame)


@asynccontextmanager
async def satellite(directory: Path, **settings):
    transport = LocalAudio(LocalAudioSettings(**settings), FakeHost(directory, name="desk"))
    async with transport, asyncio.TaskGroup() as group:
        satellite = Satellite(transport)
        running = group.create_task(satellite.run())
        yield satellite
        running.cancel()


@pytest.fixture
async def desk(devices, tmp_path):
    async with satellite(tmp_path) as desk:
        yield desk


def tone(seconds: float) -> Frame:
    at = np.arange(round(seconds * PLAYBACK_RATE))
    return Frame((np.sin(at * 2 * np.pi * 440 / PLAYBACK_RATE) * 8000).astype(np.int16), PLAYBACK_RATE)


def pieces(frame: Frame, seconds: float = 0.1) -> list[Frame]:
    size = round(seconds * frame.rate)
    return [Frame(frame.samples[at : at + size], frame.rate) for at in range(0, len(frame.samples), size)]


def sounding_s(recording) -> float:
    loud = np.flatnonzero(recording.samples)
    return (loud[-1] - loud[0] + 1) / recording.rate if len(loud) else 0.0


def likeness(heard: np.ndarray, said: np.ndarray) -> float:
    """Correlation of what was said with the piece of what was heard that is most like it."""
    size = 2 ** int(np.ceil(np.log2(len(heard) + len(said))))
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    start = int(np.argmax(product[: len(heard) - len(said) + 1]))
    return float(np.corrcoef(heard[start : start + len(said)], said)[0, 1])


def children(parent: int | None = None) -> list[int]:
    parent = parent or os.getpid()
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [pid for pid in map(int, listed) if b"child.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_what_is_said_into_the_microphone_arrives_whole(desk, devices, audio):
    said = read_wav((audio / "turn_on_the_lamp.wav").read_bytes()).samples
    line = await desk.line()
    assert line.satellite == "desk"
    hearing = asyncio.create_task(desk.hear(line))
    await asyncio.to_thread(devices.play, said)
    end = time.monotonic() + 0.2
    while not desk.frames or desk.frames[-1].at < end:
        await asyncio.sleep(0.02)
    hearing.cancel()
    assert {(frame.rate, len(frame.samples)) for frame in desk.frames} == {(16_000, 320)}
    assert (line.microphone.overruns, line.microphone.dropped) == (0, 0)
    assert likeness(np.concatenate([frame.samples for frame in desk.frames]), said) > 0.99
    steps = np.diff([frame.at for frame in desk.frames])
    assert abs(steps.mean() - 0.02) < 0.002, "captured at the pace of the clock, without a gap"


async def test_frames_are_dated_when_they_were_captured(desk):
    line = await desk.line()
    async for frame in line.frames():
        desk.frames.append(frame)
        if len(desk.frames) == 10:
            break
    assert -0.02 < time.monotonic() - frame.at < 0.5


async def test_what_is_played_sounds_and_its_end_is_confirmed(desk, devices):
    line = await desk.line()
    assert line.capabilities.playback_rate == PLAYBACK_RATE
    assert line.capabilities.position
    with devices.record() as recording:
        begun = time.monotonic()
        for frame in pieces(tone(1.0)):
            await line.play(frame)
        assert line.played < 0.9
        await line.drained()
        took = time.monotonic() - begun
    assert 0.9 < took < 1.5
    assert line.played == 1.0
    assert likeness(recording.samples, tone(1.0).samples) > 0.99


async def test_a_sound_shorter_than_the_buffer_sounds_and_drains(desk, devices):
    line = await desk.line()
    with devices.record() as recording:
        await line.play(tone(0.03))
        async with asyncio.timeout(1.0):
            await line.drained()
    assert sounding_s(recording) == pytest.approx(0.03, abs=0.005)


async def test_play_waits_when_it_is_half_a_second_ahead(desk):
    line = await desk.line()
    begun = time.monotonic()
    for frame in pieces(tone(1.0)):
        await line.play(frame)
    assert 0.4 < time.monotonic() - begun < 0.9


async def test_clear_cuts_within_a_tenth_of_a_second(desk, devices):
    line = await desk.line()
    with devices.record() as recording:
        for frame in pieces(tone(0.5)):
            await line.play(frame)
        while line.played < 0.1:
            await asyncio.sleep(0.005)
        played, begun = line.played, time.monotonic()
        await line.clear()
        assert time.monotonic() - begun < 0.1
        assert line.played - played < 0.1
        await line.drained()
        await asyncio.to_thread(devices.play, np.zeros(4000, np.int16))  # a while
    assert sounding_s(recording) == pytest.approx(line.played, abs=0.06)


async def test_after_a_clear_it_plays_again(desk, devices):
    line = await desk.line()
    await line.play(tone(0.5))
    await line.clear()
    await line.clear()
    with devices.record() as recording:
        await line.play(tone(0.2))
        await line.drained()
    assert sounding_s(recording) == pytest.approx(0.2, abs=0.01)


async def test_devices_are_found_by_a_part_of_their_name(devices, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with satellite(tmp_path, input="VONAD_MIC", output="vonad_spk", input_rate=32_000) as desk:
        line = await desk.line()
        assert (await anext(line.frames())).rate == 32_000
    assert "desk hears through 'vonad_mic' at 32000 Hz and speaks through 'vonad_spk' at 48000 Hz" in caplog.text


async def said(caplog, text: str) -> str:
    """Wait for a log message with this text."""
    async with asyncio.timeout(10):
        while True:
            for record in caplog.records:
                if text in record.getMessage():
                    return record.getMessage()
            await asyncio.sleep(0.01)


async def test_an_unknown_device_lists_those_that_there_are_and_opens_no_other(devices, tmp_path, caplog):
    async with satellite(tmp_path, input="Jabra") as desk:
        message = await said(caplog, "Jabra")
        assert desk.lines.empty()
    assert message.startswith("[transports.desk] there is no input device 'Jabra'; found: 'vonad_mic', 'vonad_spk'")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_name_that_several_devices_have_is_refused(devices, tmp_path, caplog):
    async with satellite(tmp_path, output="vonad_") as desk:
        assert "'vonad_mic', 'vonad_spk'; name one" in await said(caplog, "several output devices are called 'vonad_'")
        assert desk.lines.empty()


async def test_a_wedged_server_ends_the_line_within_2_s_and_the_line_comes_back(desk, devices, caplog):
    line = await desk.line()
    await anext(line.frames())
    devices.suspend()
    try:
        begun = time.monotonic()
        with pytest.raises(VonadError, match="the microphone has delivered nothing") as raised:
            await desk.hear(line)
        assert time.monotonic() - begun < 2.0
        assert raised.value.code == "transport_recv_failed"
        with pytest.raises(VonadError) as raised:
            await line.play(tone(0.1))
        assert raised.value.code == "transport_send_failed"
    finally:
        devices.resume()
    line = await desk.line()
    assert (await anext(line.frames())).rate == 16_000
    assert "desk: the microphone has delivered nothing for 1.5 s; opening it again" in caplog.text


async def test_a_wedged_server_cannot_hold_up_the_end(devices, tmp_path):
    async with satellite(tmp_path) as desk:
        line = await desk.line()
        await line.play(tone(0.5))
        devices.suspend()
        begun = time.monotonic()
    try:
        assert time.monotonic() - begun < 2.0
        assert children() == []
    finally:
        devices.resume()


@pytest.mark.parametrize("victim", [0, 1])
async def test_a_killed_process_ends_the_line_and_the_line_comes_back(desk, victim):
    line = await desk.line()
    os.kill(sorted(children())[victim], signal.SIGKILL)
    with pytest.raises(VonadError, match="the process that held the sound device was killed"):
        await desk.hear(line)
    line = await desk.line()
    await line.play(tone(0.05))
    await line.drained()
    await anext(line.frames())
    assert len(children()) == 2


async def test_a_drain_that_the_device_did_not_live_to_see_fails(desk):
    line = await desk.line()
    await line.play(tone(0.5))
    os.kill(max(children()), signal.SIGKILL)
    with pytest.raises(VonadError) as raised:
        await line.drained()
    assert raised.value.code == "transport_send_failed"


async def test_a_server_that_starts_anew_is_found_again(desk, devices):
    line = await desk.line()
    devices.restart()
    with pytest.raises(VonadError):
        await desk.hear(line)
    line = await desk.line()
    await line.play(tone(0.1))
    await line.drained()
    await anext(line.frames())


async def test_the_frames_end_without_an_error_when_the_transport_closes(devices, tmp_path):
    async with satellite(tmp_path) as desk:
        hearing = asyncio.create_task(desk.hear(await desk.line()))
    await asyncio.wait_for(hearing, 1.0)
    assert children() == []


DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.parts.sound import alive
from tests.plugins.fake_host import FakeHost
from vonad_local_audio.transport import LocalAudio, LocalAudioSettings
async def main():
    async with LocalAudio(LocalAudioSettings(), FakeHost(Path("."), name="desk")) as transport:
        async for line in transport.lines():
            print("up", flush=True)
asyncio.run(main())
"""


async def test_the_processes_die_with_a_daemon_that_is_killed_even_on_a_wedged_server(devices):
    arguments = (sys.executable, "-c", DAEMON)
    daemon = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert daemon.stdout is not None
        async with asyncio.timeout(10):
            assert await daemon.stdout.readline() == b"up\n"
        owned = children(daemon.pid)
        assert len(owned) == 2
        devices.suspend()
        daemon.kill()
        await daemon.wait()
        async with asyncio.timeout(2):
            while any(map(alive, owned)):
                await asyncio.sleep(0.01)
    finally:
        devices.resume()
        if daemon.returncode is None:
            daemon.kill()
            await daemon.wait()
