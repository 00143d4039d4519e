"""WAV bytes, good and bad."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vonad import Frame, VonadError, read_wav, write_wav

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def chunk(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def layout(code: int = PCM, channels: int = 1, rate: int = 16_000, bits: int = 16) -> bytes:
    step = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, rate, (rate * step) % 2**32, step, bits))


def riff(*chunks: bytes, magic: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("code", "bits", "body"),
    [
        (PCM, 8, bytes([0, 128, 192])),
        (PCM, 16, struct.pack("<3h", -32768, 0, 16384)),
        (PCM, 24, b"\x00\x00\x80" + b"\x00\x00\x00" + b"\x00\x00\x40"),
        (PCM, 32, struct.pack("<3i", -(2**31), 0, 2**30)),
        (FLOAT, 32, struct.pack("<3f", -1.0, 0.0, 0.5)),
    ],
)
def test_every_depth_is_read_as_int16(code: int, bits: int, body: bytes) -> None:
    frame = read_wav(riff(layout(code, bits=bits), chunk(b"data", body)))

    assert frame.rate == 16_000
    assert frame.samples.tolist() == [-32768, 0, 16384]


def test_channels_are_mixed_down() -> None:
    body = struct.pack("<6h", 100, 300, -200, 200, 32767, 32767)

    frame = read_wav(riff(layout(channels=2, rate=44_100), chunk(b"data", body)))

    assert (frame.rate, frame.samples.tolist()) == (44_100, [200, 0, 32767])


def test_an_extensible_header_is_read() -> None:
    guid = struct.pack("<H", PCM) + bytes.fromhex("000000001000800000aa00389b71")
    header = struct.pack("<HHIIHHHHI", EXTENSIBLE, 1, 16_000, 32_000, 2, 16, 22, 16, 4) + guid

    assert read_wav(riff(chunk(b"fmt ", header), chunk(b"data", b"\1\0\2\0"))).samples.tolist() == [1, 2]


def test_chunks_of_others_are_passed_over() -> None:
    data = riff(
        chunk(b"LIST", b"odd"), layout(), chunk(b"fact", b"1234"), chunk(b"data", b"\1\0"), chunk(b"id3 ", b"x")
    )

    assert read_wav(data).samples.tolist() == [1]


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 1_000])
def test_a_length_that_lies_gives_what_is_there(length: int) -> None:
    data = riff(layout()) + b"data" + struct.pack("<I", length) + b"\1\0\2\0"

    assert read_wav(data).samples.tolist() == [1, 2]


def test_an_odd_byte_at_the_end_is_left_out() -> None:
    assert read_wav(riff(layout(), chunk(b"data", b"\1\0\2"))).samples.tolist() == [1]


def test_sound_that_is_no_number_is_silence_and_too_loud_is_clipped() -> None:
    body = struct.pack("<5f", float("nan"), float("inf"), float("-inf"), 2.0, -2.0)

    frame = read_wav(riff(layout(FLOAT, bits=32), chunk(b"data", body)))

    assert frame.samples.tolist() == [0, 32767, -32768, 32767, -32768]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"RIFF", "not a WAV file"),
        (b"ID3\x04" + b"\0" * 100, "not a WAV file.*ID3"),
        (b"\xff\xfb\x90\x00" + b"\0" * 100, "not a WAV file"),
        (riff(layout(), chunk(b"data", b"\1\0"), magic=b"RIFX"), "not a WAV file.*RIFX"),
        (riff(), "no sound in it"),
        (riff(layout()), "no sound in it"),
        (riff(chunk(b"data", b"\1\0"), layout()), "before its format"),
        (riff(chunk(b"fmt ", b"\1\0\1\0"), chunk(b"data", b"\1\0")), "cut short"),
        (riff(layout(), chunk(b"data", b"")), "0 samples"),
        (riff(layout(), chunk(b"data", b"\1")), "0 samples"),
        (riff(layout(rate=0), chunk(b"data", b"\1\0")), "rate of 0 Hz"),
        (riff(layout(rate=2**32 - 1), chunk(b"data", b"\1\0")), "rate of 4294967295 Hz"),
        (riff(layout(channels=0), chunk(b"data", b"\1\0")), "0 channels"),
        (riff(layout(channels=33), chunk(b"data", b"\1\0")), "33 channels"),
        (riff(layout(code=0x55), chunk(b"data", b"\1\0")), "format 85 with 16 bits"),
        (riff(layout(bits=12), chunk(b"data", b"\1\0")), "format 1 with 12 bits"),
        (riff(layout(FLOAT, bits=64), chunk(b"data", b"\0" * 8)), "format 3 with 64 bits"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_name_and_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(VonadError, match=f"(?s)^hall.wav: .*{why}") as refused:
        read_wav(data, name="hall.wav")
    assert refused.value.code == "unsupported_audio_format"


@given(st.binary(max_size=200), st.integers(0, 60))
def test_no_bytes_do_anything_but_sound_or_be_refused(noise: bytes, cut: int) -> None:
    whole = riff(layout(), chunk(b"data", noise))
    for data in (noise, whole[:cut] + noise, whole[: len(whole) - cut]):
        try:
            assert len(read_wav(data).samples) > 0
        except VonadError as error:
            assert error.code == "unsupported_audio_format"  # noqa: PT017


def test_what_is_written_is_read_back() -> None:
    first, second = np.array([1, -2, 32767], np.int16), np.array([-32768, 0], np.int16)

    frame = read_wav(write_wav([Frame(first, 22_050), Frame(second, 22_050)]))

    assert (frame.rate, frame.samples.tolist()) == (22_050, [1, -2, 32767, -32768, 0])


def test_frames_of_several_rates_are_no_file() -> None:
    frames = [Frame(np.zeros(1, np.int16), 16_000), Frame(np.zeros(1, np.int16), 22_050)]

    with pytest.raises(VonadError, match=r"\[16000, 22050\] Hz"):
        write_wav(frames)


def test_recordings_of_people_are_read(audio: Path) -> None:
    recordings = {path.name: read_wav(path.read_bytes(), name=path.name) for path in audio.glob("*.wav")}

    assert len(recordings) >= 10
    assert all(1.0 < frame.seconds < 6.0 and frame.samples.std() > 50 for frame in recordings.values())
