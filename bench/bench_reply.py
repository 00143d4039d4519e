"""Last speech sample → first sample of the reply: real recordings through the default stack in real time, and no cuts.

    bench_reply.py [rounds] [mode …]      modes: silence, default, aggressive, relaxed; with -off: nothing is prepared;
                                          with -whole, -at_end: a recogniser needs the whole sound, and says so or not

What the daemon takes for the last speech sample is compared with where the recording's energy ends. Then each
sentence is said once more with a pause of 0.3 to 0.5 s between any two of its words: none may be cut short. (With
-whole one may: of a grammar that is made to decide, half a sentence is another whole one.)
"""

import asyncio
import json
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import numpy as np
from common import AUDIO, daemon, emit, mosquitto, spread
from vonad_silero import SileroVad

from vonad import Frame, NoSettings, Samples, read_wav, silence, write_wav
from vonad.plan import PATIENCE
from vonad.session.hearing import Hearing
from vonad.testing import ScriptedHost

NODELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
SKILLS = Path(__file__).parent.parent / "tests" / "e2e" / "lamp.py"
RECOGNISERS = Path(__file__).parent / "whole_recogniser.py"

MODES = {
    "silence": "turn = 'none'",
    "default": "endpointing = 'default'",
    "aggressive": "endpointing = 'aggressive'",
    "relaxed": "endpointing = 'relaxed'",
}
TARGETS = {"default": 250, "aggressive": 150}
RUN = ("default", "aggressive")
"""Modes unless others are named: each takes a minute and a half."""


@dataclass(frozen=True)
class Recording:
    """A command. gaps: seconds at which one word ends and the next begins."""

    name: str
    text: str
    gaps: tuple[float, ...]

    def sound(self) -> Samples:
        file = AUDIO / f"{self.name}.wav"
        return read_wav(file.read_bytes(), name=file.name).samples

    def with_pause(self, gap: float, seconds: float) -> Samples:
        """The quietest tenth of a second of the recording, there and back, is what a pause sounds like in that room."""
        sound = self.sound()
        tenths = sound[: len(sound) // 1600 * 1600].reshape(-1, 1600)
        quietest = tenths[np.square(tenths.astype(float)).mean(axis=1).argmin()]
        room = np.resize(np.concatenate([quietest, quietest[::-1]]), round(seconds * 16_000))
        at = round(gap * 16_000)
        return np.concatenate([sound[:at], room, sound[at:]])


COMMANDS = (
    Recording("what_time_is_it", "what time is it", (1.08, 1.27, 1.41)),
    Recording("whats_the_date_today", "what's the date today", (0.94, 1.04, 1.33)),
    Recording("turn_on_the_lamp", "turn on the lamp", (1.28, 1.44, 1.54)),
    Recording("set_timer", "set a timer for ten minutes", (0.68, 0.76, 1.09, 1.23, 1.49)),
)
OTHERS = ("this_is_a_test", "play_the_beatles")
"""Speech that is no command."""


def energy_end(sound: Samples) -> float:
    """Seconds at which the voice has died away: the last 10 ms above a thirtieth of it, and thrice the room's noise."""
    level = np.sqrt(np.square(sound[: len(sound) // 160 * 160].astype(float).reshape(-1, 160)).mean(axis=1))
    loud = np.flatnonzero(level > max(3 * np.quantile(level, 0.1), np.quantile(level, 0.99) / 33))
    return float(loud[-1] + 1) / 100


async def measured_end(sound: Samples) -> float:
    """What the session takes for it."""
    async with SileroVad(NoSettings(), ScriptedHost(Path())) as detector:
        hearing = Hearing(detector.stream(), detector.window, PATIENCE["default"])
        padded = np.concatenate([sound, silence(1.0)])
        for start in range(0, len(padded), 320):
            if hearing.push(Frame(padded[start : start + 320].copy(), 16_000, at=start / 16_000)) is not None:
                break
    return hearing.speech_end_at


@dataclass(frozen=True)
class Ended:
    """How a turn ended, and what was understood in it."""

    text: str
    outcome: str
    endpoint: str
    first_audio_ms: float
    endpoint_to_reply_ms: float


@asynccontextmanager
async def house(mode: str, files: Sequence[Path]) -> AsyncIterator["House"]:
    """A daemon whose satellite hears these files, one a wake."""
    preset, _, how = mode.partition("-")
    kind = how if how in {"whole", "at_end"} else "pocketsphinx"
    with mosquitto() as port:
        microphone = json.dumps([str(file) for file in files])
        config = (
            f"[mqtt]\nhost = '127.0.0.1'\nport = {port}\n[web]\nenabled = false\n[transports.local]\nenabled = false\n"
            f"[session]\n{MODES[preset]}\npreemptive = '{'off' if how == 'off' else 'discard'}'\n"
            f"[engines.recogniser]\nkind = '{kind}'\n[backends.bridge]\nstt = ['recogniser']\n"
            f"[transports.desk]\nkind = 'wav'\nmicrophone = {microphone}\nrealtime = true\n"
        )
        async with (
            daemon(config, drop_ins=[SKILLS, RECOGNISERS]),
            aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY) as client,
        ):
            await client.subscribe("vonad/bench/session/+/event/turn.ended")
            await client.subscribe("vonad/bench/session/+/event/transcript.final")
            yield House(client)


class House:
    """Hears one file after the other."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._messages = client.messages.__aiter__()

    async def hear(self) -> Ended:
        await self._client.publish("vonad/bench/satellite/desk/wake", b"", qos=1)
        text = ""
        while True:
            message = await anext(self._messages)
            data = json.loads(bytes(message.payload))["data"]
            if message.topic.value.endswith("transcript.final"):
                text = data["text"]
                continue
            stages = data["stages"]
            reply = float(stages.get("playback_started", 0)) - float(stages.get("endpoint", 0))
            return Ended(text, data["outcome"], data["endpoint"], float(data["first_audio_ms"] or 0), reply)


async def replies(mode: str, rounds: int) -> None:
    """How long a reply takes, and where the end of speech was found."""
    files = [AUDIO / f"{command.name}.wav" for command in COMMANDS] * rounds
    files += [AUDIO / f"{name}.wav" for name in OTHERS]
    async with house(mode, files) as running:
        heard = [(command, await running.hear()) for command in COMMANDS * rounds]
        others = [(await running.hear()).outcome for _ in OTHERS]
    wrong = [ended.text for command, ended in heard if (ended.text, ended.outcome) != (command.text, "completed")]
    if wrong or set(others) != {"not_understood"}:
        raise SystemExit(f"{mode}: {wrong} was understood; speech that is no command ended {others}")
    target = {"p50": TARGETS[mode.partition("-")[0]]} if mode.partition("-")[0] in TARGETS else None
    by_command = {
        command.name: round(float(np.median([ended.first_audio_ms for of, ended in heard if of is command])), 1)
        for command in COMMANDS
    }
    whole = spread([ended.first_audio_ms for _, ended in heard], 1)
    emit("speech_end_to_reply_ms", target, mode=mode, **whole, median_by_command=by_command)
    without = spread([ended.endpoint_to_reply_ms for _, ended in heard], 1)
    emit("endpoint_to_reply_ms", None, mode=mode, **without, endpoints=dict(Counter(e.endpoint for _, e in heard)))


async def pauses(mode: str) -> None:
    """Each sentence with a pause between two words of it."""
    said = [(command, gap, 0.3 + 0.1 * (index % 3)) for index, (command, gap) in enumerate(_gaps())]
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for index, (command, gap, seconds) in enumerate(said):
            files.append(Path(folder) / f"{index}.wav")
            files[-1].write_bytes(write_wav([Frame(command.with_pause(gap, seconds), 16_000)]))
        async with house(mode, files) as running:
            heard = [await running.hear() for _ in said]
    cut = [
        {"said": command.text, "gap_s": gap, "pause_s": round(seconds, 1), "understood": ended.text}
        for (command, gap, seconds), ended in zip(said, heard, strict=True)
        if ended.text != command.text
    ]
    emit("sentences_cut_short", 0, mode=mode, n=len(said), cut=len(cut), **({"which": cut} if cut else {}))


def _gaps() -> list[tuple[Recording, float]]:
    return [(command, gap) for command in COMMANDS for gap in command.gaps]


async def main(rounds: int, modes: Sequence[str]) -> None:
    late = {
        command.name: round((await measured_end(sound) - energy_end(sound)) * 1000)
        for command in COMMANDS
        for sound in (command.sound(),)
    }
    emit("measured_end_behind_energy_end_ms", {"absolute": 30}, **late)
    for mode in modes:
        await replies(mode, rounds)
        await pauses(mode)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    asyncio.run(main(*(numbers or [2]), [argument for argument in sys.argv[1:] if not argument.isdecimal()] or RUN))
