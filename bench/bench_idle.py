"""What an idle daemon costs: memory without and with the embedded broker and HTTP port, and processor time."""

import asyncio
import sys

from common import cpu_s, daemon, emit, family, memory_mb, mosquitto, rss_mb

SETTLE_S = 3.0
QUIET = "[transports.local]\nenabled = false\n"
DESK = "[transports.desk]\nkind = 'wav'\nmicrophone = []\nrealtime = true\n"


async def share(pid: int, seconds: float) -> float:
    """Percent of a core."""
    before = cpu_s(pid)
    await asyncio.sleep(seconds)
    return round((cpu_s(pid) - before) / seconds * 100, 2)


async def main(seconds: float) -> None:
    with mosquitto() as port:
        config = f"[mqtt]\nhost = '127.0.0.1'\nport = {port}\n[web]\nenabled = false\n{QUIET}"
        async with daemon(config) as running:
            await asyncio.sleep(SETTLE_S)
            lean = {"rss": round(rss_mb(running.pid), 1), "pss": round(memory_mb(running.pid), 1)}
            idle = await share(running.pid, seconds)
        async with daemon(f"{config}{DESK}") as running:
            await asyncio.sleep(SETTLE_S)
            listening = await share(running.pid, seconds)
    async with daemon(f"[mqtt]\nport = 1\n[web]\nport = 18470\n{QUIET}") as running:
        await asyncio.sleep(SETTLE_S)
        whole = {"rss": round(rss_mb(running.pid), 1), "pss": round(memory_mb(running.pid), 1)}
    emit("idle_memory_mb", {"without": 140, "with": 180}, without=lean, with_broker_and_http=whole)
    emit("idle_cpu_percent", {"no_audio": 1, "listening": 3}, no_audio=idle, wake_word_on_a_wav_line=listening)


async def microphone(seconds: float) -> None:
    """With a real microphone: whatever sound card the machine has."""
    async with daemon("[mqtt]\nport = 1\n[web]\nenabled = false\n") as running:
        await asyncio.sleep(SETTLE_S)
        processes = len(family(running.pid))
        if processes > 1:
            percent = await share(running.pid, seconds)
            emit(
                "listening_cpu_percent",
                3,
                one_microphone=percent,
                processes=processes,
                pss_mb=round(memory_mb(running.pid), 1),
            )
        else:
            emit("listening_cpu_percent", 3, skipped="no sound device here")


if __name__ == "__main__":
    SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    asyncio.run(main(SECONDS))
    asyncio.run(microphone(SECONDS))
