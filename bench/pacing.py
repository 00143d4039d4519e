"""Frames in real time: how many sessions one core carries, measured as the peers' `common.capacity` does."""

import asyncio
import gc
import os
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from common import percentile

PERIOD_S = 0.02
LATE_S = 0.020
"""A frame that has come through later than this after its time is late: p99 decides."""

now = time.monotonic


def cpu_used() -> float:
    """Processor time of this process, all threads, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def rss_mb() -> float:
    """Resident set size of this process, in 10^6 bytes as the peers count it."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def us(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles in microseconds, under the peers' names."""
    return {
        "n": len(seconds),
        "p50_us": round(percentile(seconds, 50) * 1e6, 2),
        "p99_us": round(percentile(seconds, 99) * 1e6, 2),
        "max_us": round(max(seconds) * 1e6, 1),
    }


async def drive(push: Callable[[float], None], *, phase: float, until: float) -> None:
    """One session's microphone: a frame a period, in a task of its own; a late one is not left out."""
    due = now() + PERIOD_S + PERIOD_S * phase
    while due < until:
        left = due - now()
        if left > 0:
            await asyncio.sleep(left)
        push(due)
        due += PERIOD_S


async def capacity(
    open_session: Callable[[], Awaitable[Callable[[float], None]]],
    *,
    levels: Sequence[int],
    late: list[float],
    fresh: Callable[[], Awaitable[None]],
    seconds: float = 3.0,
) -> tuple[list[dict[str, float]], int]:
    """Rows per level, and the last level with p99 lateness within LATE_S. Stops at the first beyond it.

    open_session: opens one more; what it returns takes a frame, given the time at which it is due.
    late:         where the lateness of each frame is left that has come through.
    fresh:        begins a new turn in every session, before each try; the quietest of three tries counts.
    """
    rows: list[dict[str, float]] = []
    pushes: list[Callable[[float], None]] = []
    best = 0
    for level in levels:
        while len(pushes) < level:
            pushes.append(await open_session())
        row: dict[str, float] | None = None
        for tries in range(1, 4):
            await fresh()
            await asyncio.sleep(0.3)
            gc.collect()
            late.clear()
            wall, used = now(), cpu_used()
            until = wall + seconds
            await asyncio.gather(*(drive(push, phase=i / level, until=until) for i, push in enumerate(pushes)))
            await asyncio.sleep(0.05)
            wall, used = now() - wall, cpu_used() - used
            sent = int(seconds / PERIOD_S) * level
            tried = {
                "sessions": level,
                "p50_ms": round(percentile(late, 50) * 1e3, 2),
                "p99_ms": round(percentile(late, 99) * 1e3, 2),
                "delivered": round(len(late) / sent, 3),
                "cpu": round(used / wall, 3),
                "cpu_us_per_frame": round(used / max(1, len(late)) * 1e6, 1),
                "rss_mb": round(rss_mb(), 1),
                "tries": tries,
            }
            if row is None or _better(tried) > _better(row):
                row = tried
            if row["p99_ms"] <= LATE_S * 500 and row["delivered"] >= 0.95:
                break
        assert row is not None
        rows.append(row)
        if row["p99_ms"] > LATE_S * 1e3 or row["delivered"] < 0.95:
            break
        best = level
    return rows, best


def _better(row: dict[str, float]) -> tuple[bool, float]:
    return row["delivered"] >= 0.95, -row["p99_ms"]
