"""The satellite made of files: what it hears, what it writes down, and when."""

import asyncio
import errno
import logging
import os
import time
from contextlib import aclosing, asynccontextmanager, closing

import numpy as np
import pytest
import soxr
import vonad_wav
from vonad_wav.microphone import HASTE_S
from vonad_wav.speaker import PLAYBACK_RATE, WavFile, WavSpeaker
from vonad_wav.transport import Wav, WavSettings

from tests.plugins.fake_host import FakeHost
from vonad import Frame, SystemClock, VonadError, Wake, read_wav, silence, write_wav

WAKE = Wake(satellite="desk", source="mqtt", at=0.0)


@pytest.fixture
def line(tmp_path):
    """Opens the line of a wav transport with these settings."""

    @asynccontextmanager
    async def opened(clock=None, **settings):
        host = FakeHost(tmp_path, name="desk", clock=clock)
        async with Wav(WavSettings(**settings), host) as transport, aclosing(transport.lines()) as lines:
            yield await anext(lines)

    return opened


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return (np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * hertz / rate) * 8000).astype(np.int16)


def file(path, samples, rate):
    path.write_bytes(write_wav([Frame(samples, rate)]))
    return path


async def heard(line, seconds: float) -> np.ndarray:
    frames, got = line.frames(), 0.0
    samples = []
    async with asyncio.timeout(5), aclosing(frames):
        async for frame in frames:
            assert frame.rate == 16_000
            samples.append(frame.samples)
            got += frame.seconds
            if got >= seconds - 1e-6:
                break
    return np.concatenate(samples)


def test_it_registers_as_a_transport():
    offers = []

    class Desk:
        def add(self, *args, **kwargs):
            offers.append((args, kwargs))

    vonad_wav.register_transports(Desk())
    assert offers == [(("wav", Wav), {"settings": WavSettings})]


def test_every_setting_is_described():
    assert all(field.description for field in WavSettings.model_fields.values())


async def test_the_satellite_is_called_as_the_table(line):
    async with line() as desk:
        assert desk.satellite == "desk"
        assert desk.capabilities.position


async def test_each_wake_hears_the_next_file_and_then_silence(line, audio, tmp_path):
    first, second = audio / "what_time_is_it.wav", audio / "set_timer.wav"
    async with line(microphone=[first, second], realtime=False) as desk:
        for recording in (first, second):
            said = read_wav(recording.read_bytes()).samples
            desk.show("listening", opened_by=WAKE)
            sound = await heard(desk, len(said) / 16_000 + 0.5)
            np.testing.assert_array_equal(sound[: len(said)], said)
            assert not sound[len(said) :].any()
            desk.show("processing")
        desk.show("listening", opened_by=WAKE)
        assert not (await heard(desk, 1.0)).any()


async def test_a_follow_up_hears_silence_and_uses_up_no_file(line, audio):
    recording = audio / "what_time_is_it.wav"
    async with line(microphone=[recording], realtime=False) as desk:
        desk.show("listening", opened_by=None)
        assert not (await heard(desk, 1.0)).any()
        desk.show("listening", opened_by=WAKE)
        assert (await heard(desk, 1.0)).any()


async def test_what_is_left_of_a_file_is_not_heard_by_the_next_to_listen(line, audio):
    async with line(microphone=[audio / "what_time_is_it.wav"], realtime=False) as desk:
        desk.show("listening", opened_by=WAKE)
        await heard(desk, 0.5)
        desk.show("processing")
        desk.show("listening", opened_by=None)
        assert not (await heard(desk, 2.0)).any()


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
async def test_any_rate_is_converted(line, tmp_path, rate):
    said = tone(0.5, rate)
    async with line(microphone=[file(tmp_path / "a.wav", said, rate)], realtime=False) as desk:
        desk.show("listening", opened_by=WAKE)
        sound = await heard(desk, 0.5)
        assert np.corrcoef(sound, soxr.resample(said, rate, 16_000)[: len(sound)])[0, 1] > 0.999


@pytest.mark.parametrize("broken", [b"", b"ID3\x03 no WAV at all", b"RIFX\x00\x00\x00\x00WAVE", None])
async def test_a_broken_recording_is_silence_and_an_error_that_names_it(line, audio, tmp_path, caplog, broken):
    recording = tmp_path / "broken.wav"
    recording.write_bytes(broken or b"")
    async with line(microphone=[recording, audio / "set_timer.wav"], realtime=False) as desk:
        if broken is None:
            recording.unlink()
        desk.show("listening", opened_by=WAKE)
        assert not (await heard(desk, 1.0)).any()
        desk.show("listening", opened_by=WAKE)
        assert (await heard(desk, 1.0)).any()
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "broken.wav" in record.getMessage()
    assert "[transports.desk] microphone" in record.getMessage()


async def test_a_recording_that_is_not_there_is_a_configuration_problem(line, tmp_path):
    with pytest.raises(VonadError, match=r"\[transports.desk\] microphone: there is no file .*nowhere.wav") as raised:
        async with line(microphone=[tmp_path / "nowhere.wav"]):
            pass
    assert raised.value.code == "invalid_config"


@pytest.mark.parametrize("place", ["/nowhere/out.wav", "/dev/full", "/"])
async def test_a_speaker_that_cannot_be_written_is_a_configuration_problem(line, place):
    with pytest.raises(VonadError, match=rf"\[transports.desk\] speaker: {place} cannot be written") as raised:
        async with line(speaker=place):
            pass
    assert raised.value.code == "invalid_config"


async def test_without_realtime_nothing_is_heard_while_nobody_listens(line):
    async with line(realtime=False) as desk:
        frames = desk.frames()
        waiting = asyncio.create_task(anext(frames))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        desk.show("listening")
        frame = await waiting
        assert not frame.samples.any()
        await frames.aclose()


async def test_without_realtime_endless_silence_does_not_spin(line):
    async with line(realtime=False) as desk:
        desk.show("listening")
        begun = time.monotonic()
        await heard(desk, HASTE_S)
        assert time.monotonic() - begun < HASTE_S / 10
        begun = time.monotonic()
        await heard(desk, 0.2)
        assert time.monotonic() - begun > 0.1


async def test_in_realtime_frames_keep_the_pace_of_the_clock(line, audio):
    async with line(microphone=[audio / "what_time_is_it.wav"]) as desk:
        begun = time.monotonic()
        frames = desk.frames()
        times = [(await anext(frames)).at for _ in range(25)]
        assert 0.5 <= time.monotonic() - begun < 0.7
        np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)
        assert abs(times[0] - begun) < 0.05
        desk.show("listening", opened_by=WAKE)
        assert any([(await anext(frames)).samples.any() for _ in range(25)])
        await frames.aclose()


async def test_frames_end_when_the_transport_closes(line):
    async with line(realtime=False) as desk:
        frames = desk.frames()
        waiting = asyncio.create_task(anext(frames, None))
        await asyncio.sleep(0)
    assert await waiting is None


async def test_what_is_played_is_in_the_file_after_a_drain(line, tmp_path):
    speaker = tmp_path / "out.wav"
    said = tone(0.3, PLAYBACK_RATE)
    async with line(speaker=speaker, realtime=False) as desk:
        assert desk.capabilities.playback_rate == PLAYBACK_RATE
        await desk.play(Frame(said[:2000], PLAYBACK_RATE, turn=1))
        await desk.play(Frame(said[2000:], PLAYBACK_RATE, turn=1))
        await desk.drained()
        written = read_wav(speaker.read_bytes())
        assert written.rate == PLAYBACK_RATE
        np.testing.assert_array_equal(written.samples, said)
        await desk.play(Frame(said, PLAYBACK_RATE, turn=2))
        assert desk.played == pytest.approx(0.6)
    assert read_wav(speaker.read_bytes()).seconds == pytest.approx(0.6)


async def test_a_speaker_that_said_nothing_is_an_empty_wav(line, tmp_path):
    speaker = tmp_path / "out.wav"
    async with line(speaker=speaker):
        pass
    assert speaker.read_bytes() == write_wav([Frame(silence(0), PLAYBACK_RATE)])


async def test_in_realtime_a_drain_takes_as_long_as_the_sound(line, tmp_path):
    async with line(speaker=tmp_path / "out.wav") as desk:
        begun = time.monotonic()
        await desk.play(Frame(tone(0.2, PLAYBACK_RATE), PLAYBACK_RATE))
        assert desk.played < 0.1
        await desk.drained()
        assert 0.2 <= time.monotonic() - begun < 0.4
        assert desk.played == pytest.approx(0.2)


async def test_in_realtime_play_waits_while_much_is_waiting(line):
    async with line() as desk:
        begun = time.monotonic()
        await desk.play(Frame(tone(0.45, PLAYBACK_RATE), PLAYBACK_RATE))
        assert time.monotonic() - begun < 0.1
        await desk.play(Frame(tone(0.2, PLAYBACK_RATE), PLAYBACK_RATE))
        assert 0.15 <= time.monotonic() - begun < 0.4


@pytest.mark.parametrize("at_once", [False, True])
async def test_cleared_sound_is_not_in_the_file_and_what_played_before_is(line, tmp_path, at_once):
    speaker = tmp_path / "out.wav"
    said = tone(0.4, PLAYBACK_RATE)
    async with line(speaker=speaker) as desk:
        await desk.play(Frame(said, PLAYBACK_RATE))
        draining = asyncio.create_task(desk.drained())
        while desk.played < 0.1:
            await asyncio.sleep(0.005)
        if at_once:
            desk.hush()
        else:
            await desk.clear()
        await asyncio.wait_for(draining, 0.1)
        played = desk.played
        assert 0.1 <= played < 0.3
        await desk.play(Frame(said[:441], PLAYBACK_RATE))
        await desk.drained()
    written = read_wav(speaker.read_bytes()).samples
    before = round(played * PLAYBACK_RATE)
    np.testing.assert_array_equal(written, np.concatenate((said[:before], said[:441])))


async def test_sound_at_another_rate_is_refused(line):
    async with line() as desk:
        with pytest.raises(VonadError, match="22050 Hz: got 16000") as raised:
            await desk.play(Frame(silence(0.1), 16_000))
        assert raised.value.code == "unsupported_audio_format"


async def test_a_full_disk_is_said(tmp_path):
    class Full(WavFile):
        def append(self, pieces):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with closing(Full(tmp_path / "out.wav")) as disk:
        speaker = WavSpeaker(SystemClock(), disk, realtime=False)
        await speaker.play(tone(1.0, PLAYBACK_RATE))
        with pytest.raises(VonadError, match="No space left on device") as raised:
            await speaker.drained()
    assert raised.value.code == "transport_send_failed"


async def test_in_full_duplex_the_recording_goes_on_while_it_is_answered(line, tmp_path):
    said = tone(0.3, 16_000)
    async with line(microphone=[file(tmp_path / "a.wav", said, 16_000)], full_duplex=True) as desk:
        assert desk.capabilities.full_duplex
        desk.show("listening", opened_by=WAKE)
        begin = await heard(desk, 0.1)
        desk.show("processing")
        desk.show("responding")
        desk.show("listening", opened_by=None)  # somebody has broken in
        sound = np.concatenate((begin, await heard(desk, 0.3)))
        sound = sound[np.flatnonzero(sound)[0] - 1 :][: len(said)]
        np.testing.assert_array_equal(sound, said)


async def test_in_full_duplex_what_is_left_of_a_recording_ends_with_its_conversation(line, tmp_path):
    async with line(microphone=[file(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)], full_duplex=True) as desk:
        desk.show("listening", opened_by=WAKE)
        assert (await heard(desk, 0.1)).any()
        desk.show("idle")
        assert not (await heard(desk, 0.1)).any()


def test_full_duplex_needs_realtime():
    with pytest.raises(ValueError, match="full_duplex needs realtime = true"):
        WavSettings(full_duplex=True, realtime=False)
