"""`vonad run` → READY=1, warm disk, default engines loaded, with the embedded broker and HTTP; and `import vonad`."""

import asyncio
import os
import re
import statistics
import subprocess
import sys

from common import daemon, emit, spread


async def ready(rounds: int) -> None:
    seconds = []
    for _ in range(rounds + 1):
        async with daemon("[mqtt]\nport = 1\n[web]\nenabled = false\n") as running:
            seconds.append(running.ready_s)
    emit("run_to_ready_s", 1.5, **spread(seconds[1:], 3))


def imports(rounds: int) -> None:
    """What `import vonad` adds to a bare interpreter, by -X importtime."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    costs = {}
    for what in ("vonad", "vonad, vonad.transport; from vonad import Skill, Transport, hookimpl"):
        figures = []
        for _ in range(rounds):
            command = [sys.executable, "-X", "importtime", "-c", f"import {what}"]
            lines = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stderr.splitlines()
            rows = [re.match(r"import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)", line) for line in lines]
            tops = [row for row in rows if row and len(row[3]) == 1]
            after = next(i for i, row in enumerate(tops) if row[4].startswith("vonad"))
            figures.append(sum(int(row[2]) for row in tops[after:]) / 1000)
        costs[what.split(",")[0] if what == "vonad" else "facade used"] = round(statistics.median(figures), 1)
    emit("import_ms", 100, **costs)


if __name__ == "__main__":
    asyncio.run(ready(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
    imports(7)
