"""Chunking: long sound in blocks, whatever the lengths in which it arrives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vonad import Blocks


def arriving(total: int, at: list[int]) -> list[np.ndarray]:
    """Numbered samples in the pieces that these places cut."""
    return np.split(np.arange(total).astype(np.int16), sorted(place for place in at if place < total))


@given(st.integers(0, 5_000), st.integers(1, 700), st.lists(st.integers(0, 5_000), max_size=30))
def test_beluga_long_utterances_chunks_are_the_same_however_the_stream_is_split(
    total: int, size: int, at: list[int]
) -> None:
    blocks = Blocks(size)
    chunks = [list(chunk) for piece in arriving(total, at) for chunk in blocks.push(piece)]
    rest = list(blocks.flush())
    sound = list(np.arange(total).astype(np.int16))
    assert chunks == [sound[start : start + size] for start in range(0, total - size + 1, size)]
    assert rest == sound[total - total % size :]


@given(st.integers(0, 20_000), st.integers(1, 9_000))
def test_regression_chunking_makes_no_more_blocks_than_the_sound_fills(total: int, size: int) -> None:
    blocks = Blocks(size)
    assert len(list(blocks.push(np.zeros(total, np.int16)))) == total // size
    assert len(blocks.flush()) == total % size


@pytest.mark.parametrize("piece", [1, 160, 1_024, 5_000])
def test_regression_chunking_10_000_bytes_in_chunks_of_8_192_is_one_and_a_rest_not_1_001(piece: int) -> None:
    """Upstream stepped by one overlap after the last full chunk: 1 001 chunks. Bytes are samples of two here."""
    blocks = Blocks(8_192 // 2)
    sound = np.arange(10_000 // 2).astype(np.int16)
    chunks = [chunk for start in range(0, len(sound), piece) for chunk in blocks.push(sound[start : start + piece])]
    rest = blocks.flush()
    assert len(chunks) == 1
    assert np.array_equal(np.concatenate([*chunks, rest]), sound)
