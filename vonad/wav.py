"""WAV bytes to a Frame and back. Reads 8 to 32 bit integers and 32 bit floats, any rate, mixed down to mono."""

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vonad.errors import VonadError
from vonad.frame import Frame, Samples

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
RATES = range(1_000, 384_001)
"""Hz that a file may claim."""


def read_wav(data: bytes, *, name: str = "WAV") -> Frame:
    """The sound of a WAV file: int16 mono at the file's own rate.

    name: how an error calls it. Raises unsupported_audio_format for anything that is not such a file; a file cut short
    gives the whole samples that are there.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _refused(name, f"not a WAV file ({_first_bytes(data)})")
    layout: tuple[int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(data):
        tag, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if tag == b"fmt ":
            layout = _layout(body, name)
        elif tag == b"data":
            if layout is None:
                raise _refused(name, "its sound comes before its format")
            return _frame(body, layout, name)
        at += 8 + size + size % 2
    raise _refused(name, "no sound in it (no data chunk)")


def write_wav(frames: Sequence[Frame]) -> bytes:
    """A 16 bit mono WAV file of frames that share one rate (none: an empty file at 16 kHz)."""
    rates = {frame.rate for frame in frames} or {16_000}
    if len(rates) > 1:
        raise VonadError(
            "unsupported_audio_format", f"frames of several rates in one WAV: {sorted(rates)} Hz", op="wav"
        )
    rate = rates.pop()
    body = b"".join(frame.samples.astype("<i2", copy=False).tobytes() for frame in frames)
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(body),
        b"WAVE",
        b"fmt ",
        16,
        PCM,
        1,
        rate,
        rate * 2,
        2,
        16,
        b"data",
        len(body),
    )
    return header + body


def _layout(body: bytes, name: str) -> tuple[int, int, int, int]:
    """(format, channels, rate, bits)"""
    if len(body) < 16:
        raise _refused(name, "its format chunk is cut short")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if code == EXTENSIBLE and len(body) >= 26:
        code = int.from_bytes(body[24:26], "little")
    if (code, bits) not in {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32)}:
        raise _refused(name, f"format {code} with {bits} bits; 8, 16, 24, 32 bit PCM and 32 bit float can be read")
    if not 1 <= channels <= 32:
        raise _refused(name, f"{channels} channels; 1 to 32 can be read")
    if rate not in RATES:
        raise _refused(name, f"a rate of {rate} Hz; {RATES[0]} to {RATES[-1]} Hz can be read")
    return code, channels, rate, bits


def _frame(body: bytes, layout: tuple[int, int, int, int], name: str) -> Frame:
    code, channels, rate, bits = layout
    step = channels * bits // 8
    body = body[: len(body) - len(body) % step]
    if not body:
        raise _refused(name, "no sound in it (0 samples)")
    wide = _float(body, code, bits).reshape(-1, channels).mean(axis=1)
    samples: Samples = np.clip(np.rint(wide * 32768.0), -32768, 32767).astype(np.int16)
    return Frame(samples, rate)


def _float(body: bytes, code: int, bits: int) -> npt.NDArray[np.float64]:
    """-1..1"""
    if code == FLOAT:
        return np.nan_to_num(np.frombuffer(body, "<f4").astype(np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
    if bits == 8:
        return (np.frombuffer(body, np.uint8).astype(np.float64) - 128.0) / 128.0
    if bits == 24:
        padded = np.zeros((len(body) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        return padded.view("<i4").reshape(-1).astype(np.float64) / 2.0**31
    return np.frombuffer(body, f"<i{bits // 8}").astype(np.float64) / 2.0 ** (bits - 1)


def _first_bytes(data: bytes) -> str:
    return f"begins with {data[:4]!r}" if data else "it is empty"


def _refused(name: str, what: str) -> VonadError:
    return VonadError("unsupported_audio_format", f"{name}: {what}", op="wav")
