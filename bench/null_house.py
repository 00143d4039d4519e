"""The daemon's own composition over null engines, in this process: what the benchmarks of sessions measure."""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

from null_engines import DESK, NullLine

from vonad import Wake
from vonad.clock import SystemClock
from vonad.daemon import Requests, serve
from vonad.directories import Directories
from vonad.garbage import collect_at_rest
from vonad.service import Service
from vonad.settings import load

CONFIG = """
[node]
id = "bench"
[mqtt]
enabled = false
[web]
enabled = false
[history]
enabled = {history}
[policy]
plugins = ["bridge", "null"]
turns_per_minute = 0
sessions_per_satellite = 0
[wake]
words = []
cooldown_s = 0
[session]
maximum = 1000
vad = "null_vad"
silence_s = 0.1
no_speech_s = 120
maximum_s = 600
follow_up = "never"
barge_in_need = "any"
barge_in_speech_s = 0
{session}
[transports]
null_line = {{}}
local.enabled = false
[backends.bridge]
stt = ["null_stt"]
agent = ["null_agent"]
tts = ["null_tts"]
[engines]
null_vad = {{}}
null_stt = {{}}
null_agent = {{}}
null_tts = {{}}
{unwanted}
"""
UNWANTED = ("silero", "microwakeword", "pocketsphinx", "sentences", "sentences_turn", "espeak")


class NullHouse:
    """A house that runs. events: how many the one subscriber of the bus has seen."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.events = 0

    async def line(self, satellite: str, *, full_duplex: bool = True) -> NullLine:
        """A satellite that is online."""
        line = DESK.connect(satellite, full_duplex=full_duplex)
        while not any(view.id == satellite for view in self.service.house.satellites() if view.online):
            await asyncio.sleep(0)
        return line

    def wake(self, line: NullLine) -> str:
        """Open its microphone, now or once what it says is cleared; the session's id."""
        answer = self.service.house.wake(Wake(satellite=line.satellite, source="button", at=time.monotonic()))
        if not answer.accepted:
            raise SystemExit(f"{line.satellite} was not woken: {answer.reason} {answer.detail}")
        assert answer.session_id is not None
        return answer.session_id

    async def listening(self, satellite: str) -> tuple[NullLine, str]:
        """A satellite whose session hears somebody speak."""
        line = await self.line(satellite)
        session_id = self.wake(line)
        await until(line, "listening")
        return line, session_id


async def until(line: NullLine, state: str) -> None:
    """Wait for a satellite's state."""
    async with asyncio.timeout(5):
        while line.state != state:
            await asyncio.sleep(0.001)


@asynccontextmanager
async def null_house(*, history: bool = True, session: str = "") -> AsyncIterator[NullHouse]:
    """`vonad run` without its process: the real runtime, sessions, bridge, bus and (in a temporary file) database.

    MQTT is off and the bus has one subscriber. session: more lines of the [session] table.
    """
    folder = Path(tempfile.mkdtemp(prefix="vb"))
    (folder / "plugins").mkdir(mode=0o755)
    (folder / "plugins" / "null.py").write_text("from null_engines import *\nfrom null_engines import VONAD_API\n")
    (folder / "plugins" / "null.py").chmod(0o644)
    unwanted = "\n".join(f"{name}.enabled = false" for name in UNWANTED)
    unwanted += "\n[skills]\nclock.enabled = false\nwords.enabled = false"
    config = folder / "vonad.toml"
    config.write_text(CONFIG.format(history=str(history).lower(), session=session, unwanted=unwanted))
    places = Directories(config=folder, state=folder, runtime=folder, cache=folder)
    requests, up = Requests(), asyncio.get_running_loop().create_future()
    logging.getLogger("vonad").setLevel(logging.ERROR)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(load(config, {}), places, requests, environ={}, started=up.set_result))
            house = NullHouse(await up)
            if ill := house.service.house.health()["parts"]:
                raise SystemExit(f"the null house is ill: {ill}")
            with house.service.house.events() as subscription:
                beside = [
                    group.create_task(_watch(house, subscription)),
                    group.create_task(collect_at_rest(SystemClock(), house.service.sessions.busy)),
                ]
                yield house
                requests.stop.set()
                for task in beside:
                    task.cancel()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _watch(house: NullHouse, events: AsyncIterator[object]) -> None:
    async for _ in events:
        house.events += 1


def run(work: Coroutine[object, object, None], loop: str) -> None:
    """On asyncio's loop or uvloop (which `vonad run` uses). Ends the process: nothing is measured by its teardown."""

    async def whole() -> None:
        await work
        sys.stdout.flush()
        os._exit(0)

    if loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(whole())
    else:
        asyncio.run(whole())
