"""What a whole session costs with null engines: line → ear → session → bridge → engines and back, bus, database.

    bench_session.py [frames|turn|sessions|idle|service|fsync] [uvloop|asyncio] [levels or rounds]

One JSON line a mode, under the names of the peers' benchmarks (`peers.py` divides the two). Without arguments: all of
them, briefly.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from common import emit, percentile
from null_engines import DESK, NullLine, NullRecogniser, now
from null_house import NullHouse, null_house, run, until
from pacing import capacity, cpu_used, drive, rss_mb, us

Figures = dict[str, Any]

WARM_UP = 3
"""Rounds that do not count, as with the peers."""


async def waited() -> None:
    """The core has rested before the next frame, as it has between frames of 20 ms."""
    await asyncio.sleep(0.001)


async def streamed() -> None:
    """The next frame comes at once, as out of a file: long enough for the one before to be heard."""
    for _ in range(8):
        await asyncio.sleep(0)


async def again(house: NullHouse, line: NullLine, session_id: str) -> None:
    """A new turn hears somebody speak, whatever was before."""
    if line.state != "idle":
        await house.service.sessions.interrupt(session_id)
        await until(line, "idle")
    house.wake(line)
    await until(line, "listening")


async def frames(_: str) -> Figures:
    """One session, as fast as it takes them: latency of one frame alone, cost of a frame in bursts of 20."""
    async with null_house() as house:
        line, session_id = await house.listening("desk")
        late: list[float] = []
        DESK.arrived = lambda frame: late.append(now() - frame.at)
        await asyncio.sleep(0.3)
        for _ in range(1500):
            known = len(late)
            line.push()
            while len(late) == known:
                await asyncio.sleep(0)
        alone = late[200:]
        costs = []
        for _ in range(3):
            await again(house, line, session_id)
            late.clear()
            count, used, wall = 3000, cpu_used(), now()
            for number in range(count):
                line.push()
                if number % 20 == 19:
                    await asyncio.sleep(0)
            while len(late) < count:
                await asyncio.sleep(0.001)
            costs.append(((cpu_used() - used) / count * 1e6, count / (now() - wall)))
        cost, rate = min(costs)
        return {
            "in_to_stt": us(alone),
            "got": len(late),
            "cpu_us_per_frame": round(cost, 1),
            "frames_s": round(rate),
        }


async def turn(rounds: str) -> Figures:
    """The end of what the user says → first frame of the reply; interruptions by verb, by wake word and by voice.

    stop_to_first_audio: the sound comes in pieces, between which the core rests, as livekit's and pipecat's are asked;
    the words come only with its end, though the recogniser says that it tells them while they are spoken.
    whole_to_first_audio: the same, but it says that it needs the whole sound first: it is asked at the pause.
    prepared_to_first_audio: the words were known before the end, so that the reply could be made ready.
    stream_end_to_first_audio: as the first, but it comes as fast as it is taken, as Home Assistant's is asked.
    stream_end_whole_to_first_audio: the same of the second.
    interrupt_to_cleared: a line that falls silent without waiting, as the peers' do.
    interrupt_to_clear: one that has to be waited for is told to.
    """
    async with null_house() as house:
        line, session_id = await house.listening("desk")
        replied, prepared, stopped, waited_for, woken, reopened, voiced = [], [], [], [], [], [], []
        for number in range(int(rounds or 40) + WARM_UP):
            replied.append(await ask(line))
            await asyncio.sleep(0.11)
            cleared: asyncio.Future[float] = asyncio.get_running_loop().create_future()
            line.on_clear = cleared.set_result
            if number % 2:
                line.hushes = number % 4 == 1
                begun = now()
                await house.service.sessions.interrupt(session_id)
                (stopped if line.hushes else waited_for).append(await asyncio.wait_for(cleared, 5) - begun)
                line.hushes = True
                await until(line, "idle")
            else:
                opened: asyncio.Future[float] = asyncio.get_running_loop().create_future()
                line.on_show = lambda state, at, opened=opened: (
                    opened.set_result(at) if state == "listening" and not opened.done() else None
                )
                begun = now()
                house.wake(line)
                woken.append(await asyncio.wait_for(cleared, 5) - begun)
                reopened.append(await asyncio.wait_for(opened, 5) - begun)
                line.on_show = None
            await asyncio.sleep(0.05)
            if line.late:
                raise SystemExit(f"{line.late} frames of the interrupted turn were played after the clear")
            await again(house, line, session_id)
        at_once = []
        for _ in range(int(rounds or 40) + WARM_UP):
            await asyncio.sleep(0.02)
            at_once.append(await ask(line, rest=streamed))
            await again(house, line, session_id)
        DESK.words_after = 5
        for _ in range(int(rounds or 40) // 4 + WARM_UP):
            prepared.append(await ask(line))
            await asyncio.sleep(0.11)
            at = await speak_over(line)
            if at is None:
                break
            voiced.append(at)
            await asyncio.sleep(0.05)
            await again(house, line, session_id)
        DESK.words_after = 0
        NullRecogniser.interim = False
        paced, fed = [], []
        for _ in range(int(rounds or 40) + WARM_UP):
            paced.append(await ask(line))
            await asyncio.sleep(0.11)
            await again(house, line, session_id)
            await asyncio.sleep(0.02)
            fed.append(await ask(line, rest=streamed))
            await again(house, line, session_id)
        NullRecogniser.interim = True
        return {
            "stop_to_first_audio": us(replied[WARM_UP:]),
            "stream_end_to_first_audio": us(at_once[WARM_UP:]),
            "whole_to_first_audio": us(paced[WARM_UP:]),
            "stream_end_whole_to_first_audio": us(fed[WARM_UP:]),
            "prepared_to_first_audio": us(prepared[WARM_UP:]) if len(prepared) > WARM_UP else None,
            "interrupt_to_cleared": us(stopped[1:]),
            "interrupt_to_clear": us(waited_for[1:]),
            "wake_to_cleared": us(woken[WARM_UP:]),
            "wake_to_listening": us(reopened[WARM_UP:]),
            "speech_to_cleared": us(voiced[WARM_UP:]) if len(voiced) > WARM_UP else None,
            "frames_after_clear": line.late,
            "events": house.events,
        }


async def ask(line: NullLine, *, rest: Callable[[], Awaitable[None]] = waited) -> float:
    """Speak and pause; seconds from the frame that ends the turn to the first of the reply. rest: between frames."""
    first: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    line.on_first = first.set_result
    for number in range(200):
        DESK.probability = 1.0 if number < 15 else 0.0
        begun = now()
        line.push()
        await rest()
        if line.state != "listening":
            break
    DESK.probability = 1.0
    return await asyncio.wait_for(first, 5) - begun


async def speak_over(line: NullLine) -> float | None:
    """Seconds from the frame that makes an interruption to the clear; None: two seconds of speech make none."""
    cleared: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    line.on_clear = cleared.set_result
    for _ in range(100):
        begun = now()
        line.push()
        await asyncio.sleep(0.001)
        if cleared.done():
            return cleared.result() - begun
    return None


async def sessions(levels: str) -> Figures:
    """How many at once; the row of each level has the cost of a paced frame, all of the session included."""
    before = rss_mb()
    async with null_house() as house:
        base = rss_mb()
        late: list[float] = []
        open_: list[tuple[NullLine, str]] = []
        DESK.arrived = lambda frame: late.append(now() - frame.at)

        async def one_more() -> Callable[[float], None]:
            open_.append(await house.listening(f"s{len(open_)}"))
            return open_[-1][0].push

        async def fresh() -> None:
            for line, session_id in open_:
                await again(house, line, session_id)

        steps = [int(level) for level in (levels or "100,200,300,400,500,600,700,800,900").split(",")]
        rows, best = await capacity(one_more, levels=steps, late=late, fresh=fresh)
        return {
            "rss_base_mb": round(base, 1),
            "rss_import_mb": round(before, 1),
            "rows": rows,
            "max_sessions_p99_20ms": best,
            "cpu_us_per_frame": rows[-1 if best == steps[-1] else max(0, len(rows) - 2)]["cpu_us_per_frame"],
            "rss_mb_per_session": round((rows[-1]["rss_mb"] - base) / rows[-1]["sessions"], 2),
        }


async def idle(seconds: str) -> Figures:
    """Sessions that nobody speaks to: memory, processor time, tasks; and what opening one takes."""
    wait = float(seconds or 8)
    async with null_house() as house:
        base = rss_mb()
        for number in range(10):
            await house.listening(f"a{number}")
        ten = (rss_mb() - base) / 10
        await asyncio.sleep(1)
        used = cpu_used()
        await asyncio.sleep(wait)
        used = cpu_used() - used
        tasks = len(asyncio.all_tasks())
        base = rss_mb()
        starts = []
        for number in range(100):
            line = await house.line(f"b{number}")
            opened: asyncio.Future[float] = asyncio.get_running_loop().create_future()
            line.on_show = lambda state, at, opened=opened: None if opened.done() else opened.set_result(at)
            begun = now()
            house.wake(line)
            starts.append(await opened - begun)
            line.on_show = None
        return {
            "sessions": 10,
            "idle_cpu_pct": round(used / wait * 100, 3),
            "rss_mb_per_session": round(ten, 3),
            "rss_mb_per_further_session": round((rss_mb() - base) / 100, 3),
            "tasks": tasks,
            "session_start_ms": round(percentile(starts, 50) * 1e3, 2),
            "session_start_p99_ms": round(percentile(starts, 99) * 1e3, 2),
        }


async def service(rounds: str) -> Figures:
    """The verbs, with 100 other sessions that hear somebody speak in real time."""
    async with null_house() as house:
        lines = [(await house.listening(f"s{number}"))[0] for number in range(100)]
        count = int(rounds or 200)
        verbs = house.service.sessions
        times: dict[str, list[float]] = {}

        async def timed(name: str, work: Awaitable[Any]) -> Any:
            begun = now()
            result = await work
            times.setdefault(name, []).append(now() - begun)
            return result

        async def at_once(result: Any) -> Any:
            return result

        async with asyncio.TaskGroup() as group:
            drivers = [
                group.create_task(drive(line.push, phase=i / len(lines), until=now() + 600))
                for i, line in enumerate(lines)
            ]
            used, wall = cpu_used(), now()
            for _ in range(count):
                view = await timed("create", verbs.create())
                DESK.holding.clear()
                turn = await timed("start_turn", verbs.start_turn(view.session_id, "wait for it"))
                await DESK.holding.wait()
                await timed("interrupt", verbs.interrupt(view.session_id))
                await timed("read", verbs.read(view.session_id))
                await timed("list", verbs.list(limit=100))
                begun = now()
                await turn.ended
                times.setdefault("turn_ended_stored", []).append(now() - begun)
                await timed("archive", verbs.archive(view.session_id))
                await asyncio.sleep(0.005)
            share = (cpu_used() - used) / (now() - wall)
            for driver in drivers:
                driver.cancel()
        return {"live_sessions": 100, "cpu": round(share, 3), **{name: us(values) for name, values in times.items()}}


def fsync(rounds: str, loop: str) -> Figures:
    """`turn` in a process of its own, with a disk as it is and with one that takes 150 ms to confirm."""
    if shutil.which("strace") is None:
        raise SystemExit("strace is not installed: apt install strace")
    found = {}
    for name, inject in (("disk", []), ("slow_disk", ["-e", "inject=fdatasync,fsync:delay_enter=150000"])):
        strace = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", *inject]
        command = [*strace, sys.executable, __file__, "turn", loop, rounds or "40"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[name] = json.loads(output)["stop_to_first_audio"]
    added = {p: round((found["slow_disk"][p] - found["disk"][p]) / 1e3, 2) for p in ("p50_us", "p99_us")}
    return {**found, "added_ms": {"p50": added["p50_us"], "p99": added["p99_us"]}}


MODES: dict[str, tuple[Callable[[str], Awaitable[Figures]], object]] = {
    "frames": (frames, None),
    "turn": (
        turn,
        {
            "stop_to_first_audio": {"p50_us": 400, "p99_us": 5000},
            "interrupt_to_cleared": {"p50_us": 300, "p99_us": 2000},
        },
    ),
    "sessions": (sessions, {"cpu_us_per_frame": 30, "max_sessions_p99_20ms": 500}),
    "idle": (idle, {"rss_mb_per_further_session": 0.1, "session_start_ms": 1}),
    "service": (service, {"p99_us": 5000}),
}
BRIEF = (("frames", ""), ("turn", "20"), ("sessions", "100,500"), ("idle", "3"), ("service", "100"), ("fsync", "12"))
"""What `make bench` runs: under two minutes."""


async def measured(mode: str, loop: str, more: str) -> None:
    work, target = MODES[mode]
    emit(f"session.{mode}", target, loop=loop, **await work(more))


def main(mode: str, loop: str, more: str) -> None:
    """Pinned to one core: the last of those allowed, so that `taskset` can choose."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if mode == "fsync":
        emit("session.fsync", {"added_ms": 5}, loop=loop, **fsync(more, loop))
    elif mode:
        run(measured(mode, loop, more), loop)
    else:
        for each, brief in BRIEF:
            subprocess.run([sys.executable, __file__, each, loop, brief], check=True)
            time.sleep(0.5)


if __name__ == "__main__":
    main(*(sys.argv[1:] + ["", "uvloop", ""][len(sys.argv) - 1 :]))
