"""vonad beside its peers: the same figures, in turn on the same core, and their ratios.

    peers.py SCRIPTS [--python PEER=PATH]... [--loops uvloop,asyncio] [--modes turn,sessions,idle] [--levels 100,500]
             [--rounds 3]

SCRIPTS holds one `bench_PEER.py MODE LOOP [LEVELS]` for each peer, which prints one JSON line under the names that
`bench_session.py` uses; PATH is the Python of an environment in which that peer is installed. A script of the name
`bench_floor_sessions.py LOOP HOPS LEVELS` is taken as what the event loop alone costs (`--python floor=PATH`), and
`bench_ha.py null` as Home Assistant with a null agent (`--python ha=PATH`).
The peers' recognisers need the whole sound; vonad is also measured with one that says so and is asked at the pause.
Every round asks everybody once, so that a busy minute of the machine is everybody's; the median of the rounds counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

OWN = "vonad"
FIGURES = {
    "turn": (
        ("end of turn → first sound, p50 µs", ("stop_to_first_audio", "p50_us")),
        ("end of turn → first sound, worst µs", ("stop_to_first_audio", "max_us")),
        ("… asked at the pause, p50 µs", (("whole_to_first_audio", "stop_to_first_audio"), "p50_us")),
        ("end of a file → first sound, p50 µs", ("stream_end_to_first_audio", "p50_us")),
        (
            "… asked at the pause, of a file, p50 µs",
            (("stream_end_whole_to_first_audio", "stream_end_to_first_audio"), "p50_us"),
        ),
        ("interrupt → cleared, p50 µs", (("interrupt_to_cleared", "interrupt_to_bot_stopped"), "p50_us")),
        ("interrupt → cleared, worst µs", (("interrupt_to_cleared", "interrupt_to_bot_stopped"), "max_us")),
    ),
    "sessions": (
        ("processor time per paced frame, µs", ("rows", "cpu_us_per_frame")),
        ("sessions with p99 lateness ≤ 20 ms", ("max_sessions_p99_20ms",)),
    ),
    "idle": (
        ("memory per session, MB", ("rss_mb_per_session",)),
        ("session start, ms", ("session_start_ms",)),
        ("processor time of 10 idle sessions, %", ("idle_cpu_pct",)),
    ),
}


def command(  # noqa: PLR0917
    peer: str, python: str, scripts: Path, mode: str, loop: str, levels: str
) -> list[str] | None:
    """How one of them is asked; None: it has nothing to say about this."""
    if peer == OWN:
        file = Path(__file__).resolve().with_name("bench_session.py")
    elif peer == "floor":
        if mode != "sessions":
            return None
        return [python, str(scripts / "bench_floor_sessions.py"), loop, "4", levels]
    elif peer == "ha":
        return [python, str(scripts / "bench_ha.py"), "null"] if (mode, loop) == ("turn", "asyncio") else None
    else:
        file = scripts / f"bench_{peer}.py"
    return [python, str(file), mode, loop, *([levels] if mode == "sessions" else [])]


def asked(line: list[str], folder: Path) -> dict[str, object] | None:
    """What it printed last; None, and a word on the error stream, when it failed."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
        answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        print(f"no figure from {' '.join(line)}", file=sys.stderr)
        return None
    return answer


def figure(answer: dict[str, object], path: tuple[object, ...]) -> dict[str, float]:
    """The values at a path; of rows one per number of sessions."""
    at: object = answer
    for step in path:
        if step == "rows":
            return {f"{row['sessions']} sessions": float(row[path[-1]]) for row in answer["rows"]}  # type: ignore[attr-defined,index]
        keys = step if isinstance(step, tuple) else (step,)
        at = next((at[key] for key in keys if isinstance(at, dict) and key in at), None)
    return {"": float(at)} if isinstance(at, int | float) else {}


def main() -> None:
    """Ask everybody, then print one JSON line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", type=Path)
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH")
    parser.add_argument("--loops", default="uvloop,asyncio")
    parser.add_argument("--modes", default="turn,sessions,idle")
    parser.add_argument("--levels", default="100,300,500,700,900")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    pythons = {OWN: sys.executable, **dict(given.split("=", 1) for given in args.python)}
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for mode in args.modes.split(","):
        for loop in args.loops.split(","):
            found: dict[tuple[str, str], dict[str, list[float]]] = {}
            for _ in range(args.rounds):
                for peer, python in pythons.items():
                    line = command(peer, python, args.scripts, mode, loop, args.levels)
                    answer = asked(line, args.scripts if peer != OWN else Path.cwd()) if line is not None else None
                    for name, path in FIGURES[mode]:
                        for what, value in figure(answer, path).items() if answer is not None else ():
                            found.setdefault((name, what), {}).setdefault(peer, []).append(value)
            for (name, what), values in found.items():
                medians = {peer: round(statistics.median(seen), 3) for peer, seen in values.items()}
                own = medians.get(OWN)
                ratios = {p: round(value / own, 2) for p, value in medians.items() if p != OWN and own}
                row = {"figure": name, "at": what, "loop": loop, **medians, "peer_by_vonad": ratios}
                print(json.dumps(row, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
