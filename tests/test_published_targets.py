"""What an ancestor published of itself, measured with nothing behind it in a compiled language: matched in Python.

The figures are 99th percentiles of a machine at rest, which `bench/bench_targets.py` measures. The machine of a test is
not at rest: here the best of some runs counts, each the median of its own.
"""

import time
from pathlib import Path
from statistics import median

import pytest

from tests.published import PUBLISHED, Work

RUNS, ROUNDS = 10, 20


async def best(work: Work) -> float:
    """Seconds that it takes."""

    async def took() -> float:
        begun = time.perf_counter()
        await work()
        return time.perf_counter() - begun

    return min([median([await took() for _ in range(ROUNDS)]) for _ in range(RUNS)])


@pytest.mark.parametrize("name", PUBLISHED)
async def test_vona_published_targets_are_beaten_in_python(tmp_path: Path, name: str) -> None:
    done, seconds = PUBLISHED[name]
    assert sum(await done(tmp_path, best)) < seconds
