"""What an ancestor published, with scripted parts: a step, a session's life, the way through a line, ten events in.

    bench_targets.py [uvloop|asyncio] [rounds]

The real runtime over the fakes of `vonad.testing`, as `tests/test_published_targets.py` has it.
"""

import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

from common import emit
from null_house import run
from pacing import now, us

sys.path.insert(0, str(Path(__file__).parent.parent))  # a benchmark is started as a file

from tests.published import PUBLISHED, Work
from vonad.clock import SystemClock
from vonad.garbage import collect_at_rest

WARM_UP = 50


async def measured(loop: str, rounds: int) -> None:
    async def took(work: Work) -> list[float]:
        figures = []
        for _ in range(WARM_UP + rounds):
            begun = now()
            await work()
            figures.append(now() - begun)
            await asyncio.sleep(0)  # whoever listens to the bus has its turn
        return figures[WARM_UP:]

    logging.getLogger("vonad").setLevel(logging.ERROR)
    figures = {}
    collecting = asyncio.create_task(collect_at_rest(SystemClock(), lambda: True))  # as the daemon does
    for name, (done, _) in PUBLISHED.items():
        with tempfile.TemporaryDirectory(prefix="vb") as folder:
            parts = await done(Path(folder), took)
        figures[name] = us([sum(together) for together in zip(*parts, strict=True)])
    collecting.cancel()
    target = {name: {"p99_us": round(seconds * 1e6)} for name, (_, seconds) in PUBLISHED.items()}
    emit("session.targets", target, loop=loop, **figures)


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    loop, rounds = (sys.argv[1:] + ["uvloop", "1000"][len(sys.argv) - 1 :])[:2]
    run(measured(loop, int(rounds)), loop)
