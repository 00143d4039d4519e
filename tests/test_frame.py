"""Sound in pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vonad import Blocks, Frame, VonadError, silence


def test_a_frame_knows_how_long_it_sounds() -> None:
    assert Frame(silence(0.02), 16_000).seconds == 0.02
    assert Frame(silence(0.5, 48_000), 48_000).seconds == 0.5


def test_a_frame_s_samples_cannot_be_changed() -> None:
    frame = Frame(np.arange(4, dtype=np.int16), 16_000)

    with pytest.raises(ValueError, match="read-only"):
        frame.samples[0] = 1


@pytest.mark.parametrize(
    "samples",
    [np.zeros(4, np.float32), np.zeros(4, np.int32), np.zeros((4, 2), np.int16), np.zeros((), np.int16)],
    ids=["float", "wide", "stereo", "scalar"],
)
def test_a_frame_refuses_what_is_not_int16_mono(samples: np.ndarray) -> None:
    with pytest.raises(VonadError, match="int16 mono") as refused:
        Frame(samples, 16_000)
    assert refused.value.code == "unsupported_audio_format"


@pytest.mark.parametrize("rate", [0, -16_000])
def test_a_frame_refuses_an_impossible_rate(rate: int) -> None:
    with pytest.raises(VonadError, match=f"got {rate}"):
        Frame(silence(0.02), rate)


@given(st.lists(st.integers(0, 700), max_size=20), st.integers(1, 512))
def test_blocks_lose_nothing_and_keep_the_order(lengths: list[int], size: int) -> None:
    sound = np.arange(sum(lengths), dtype=np.int64).astype(np.int16)
    blocks, cut = Blocks(size), []

    for piece in np.split(sound, np.cumsum(lengths)):
        cut.extend(blocks.push(piece))
    rest = blocks.flush()

    assert all(len(block) == size for block in cut)
    assert len(rest) < size
    assert np.array_equal(np.concatenate([*cut, rest]), sound)


def test_flushed_blocks_begin_anew() -> None:
    blocks = Blocks(4)
    assert list(blocks.push(np.ones(3, np.int16))) == []
    assert len(blocks.flush()) == 3
    assert len(blocks.flush()) == 0
    assert [list(block) for block in blocks.push(np.array([1, 2, 3, 4], np.int16))] == [[1, 2, 3, 4]]
