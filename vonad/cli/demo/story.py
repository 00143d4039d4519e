"""What happens in the demo, in order."""

import asyncio
import json
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex

from vonad import __version__
from vonad.cli.demo.account import Account
from vonad.cli.demo.promises import SeenTurn, broken_history, broken_sound, broken_turn, level_db
from vonad.cli.demo.stage import SATELLITE, Stage, build_stage, start_daemon, stop_daemon
from vonad.cli.exits import Failure
from vonad.clock import SystemClock
from vonad.daemon import DATABASE
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.history import TurnView, WakeView, open_journal
from vonad.mqtt.embedded import embedded_broker
from vonad.mqtt.observer import Observed, Observer, observe
from vonad.wav import read_wav, write_wav

SAID: Mapping[str, str] = {
    "what_time_is_it.wav": "what time is it",
    "whats_the_date_today.wav": "what's the date today",
}
"""Recording → what is said in it."""

READY_S = 30.0
TURN_S = 30.0
OFFLINE_S = 2.0


async def tell(account: Account, output: Path) -> list[str]:
    """Play it; what was promised and did not happen. Raises Failure when it cannot go on."""
    async with embedded_broker() as port:
        with build_stage(port, list(SAID)) as stage:
            async with observe("127.0.0.1", port, f"{stage.base}/#") as observer, start_daemon(stage) as daemon:
                show = _Show(account, stage, observer, daemon)
                await show.start()
                turns = [await show.turn(name, said) for name, said in SAID.items()]
                rows, wakes = await show.history()
                broken = [*(promise for turn in turns for promise in broken_turn(turn))]
                broken += broken_history(turns, rows, wakes)
                broken += await show.end()
                sound = show.replies(output)
                broken += broken_sound(turns, sound)
                return broken


class _Show:
    """The daemon from outside: what is seen of it, told as it is seen."""

    def __init__(self, account: Account, stage: Stage, observer: Observer, daemon: Process) -> None:
        self._account = account
        self._stage = stage
        self._observer = observer
        self._daemon = daemon
        self._satellite = f"{stage.base}/satellite/{SATELLITE}"

    async def start(self) -> None:
        """Wait until it is ready."""
        self._account.title(f"vonad {__version__}: a daemon of its own")
        self._account.fact("broker", f"127.0.0.1:{self._stage.port}, embedded")
        self._account.fact("topics", f"{self._stage.base}/…")
        began = time.monotonic()
        there: set[str] = set()
        wanted = {f"{self._stage.base}/status", f"{self._satellite}/availability", f"{self._satellite}/state"}

        def seen(message: Observed) -> bool:
            if message.text in {"online", "idle"}:
                there.add(message.topic)
            return wanted <= there

        await self._watch(seen, READY_S, "the daemon is online, with its satellite")
        self._account.fact("daemon", f"{self._stage.node}, online after {time.monotonic() - began:.1f} s")

    async def turn(self, recording: str, said: str) -> SeenTurn:
        """Wake it over MQTT; somebody speaks; it answers."""
        self._account.title(f"Somebody says “{said}” ({recording})")
        turn, wake = SeenTurn(said), json.dumps({"id": token_hex(4)})
        began = time.monotonic()
        self._account.message(0.0, self._short(f"{self._satellite}/wake"), wake, ours=True)
        await self._observer.publish(f"{self._satellite}/wake", wake)

        def seen(message: Observed) -> bool:
            self._take(turn, message, message.at - began)
            return turn.over

        await self._watch(seen, TURN_S, f"“{said}” is answered")
        self._account.said("heard", turn.transcript)
        self._account.said("replied", turn.reply)
        stages, first = turn.ended.get("stages"), turn.ended.get("first_audio_ms")
        self._account.latency(
            {str(stage): float(ms) for stage, ms in stages.items()} if isinstance(stages, dict) else {},
            float(first) if isinstance(first, int | float) else None,
        )
        return turn

    async def history(self) -> tuple[list[TurnView], list[WakeView]]:
        """What the database has, read beside the daemon."""
        self._account.title(f"What {DATABASE} (SQLite) remembers")
        path = self._stage.state / DATABASE
        try:
            async with open_journal(path, clock=SystemClock(), read_only=True) as journal:
                rows, wakes = await journal.history(), await journal.wakes()
        except VonadError as error:
            raise self._failure(f"the history can be read ({error.message})") from error
        self._account.rows([(row.ts, row.transcript, row.reply, ", ".join(row.skills), row.outcome) for row in rows])
        self._account.rows(
            [(wake.ts, "wake", wake.source, "accepted" if wake.accepted else wake.reason) for wake in wakes]
        )
        return rows, wakes

    async def end(self) -> list[str]:
        """Stop it as systemd would."""
        began = time.monotonic()
        status = await stop_daemon(self._daemon)
        took = time.monotonic() - began
        try:
            async with asyncio.timeout(OFFLINE_S):
                await self._until(lambda message: message.topic.endswith("/status") and message.text == "offline")
        except TimeoutError:
            return ["the daemon said offline when it ended"]
        self._account.fact("stopped", f"offline, exit status {status}, after {took:.1f} s")
        return [] if status == 0 else [f"the daemon ended with exit status 0: it was {status}"]

    def replies(self, output: Path) -> Frame | None:
        """The sound that was played, kept for the owner to listen to."""
        try:
            sound = read_wav(self._stage.speaker.read_bytes(), name="the replies")
        except (OSError, VonadError):
            return None
        try:
            output.write_bytes(write_wav([sound]))
        except OSError as error:
            raise Failure(f"{output} cannot be written: {error.strerror}") from None
        self._account.written(output, sound.seconds, level_db(sound))
        return sound

    def _take(self, turn: SeenTurn, message: Observed, after_s: float) -> None:
        """Note a message; tell those that matter."""
        below = message.topic.removeprefix(f"{self._satellite}/")
        if message.retained or below == "wake":
            return
        if below == "state":
            turn.states.append(message.text)
            self._account.message(after_s, self._short(message.topic), message.text)
        elif below == "event":
            event = _json(message.text)
            turn.accepted |= event.get("event_type") == "wake_accepted"
            told = " ".join(str(event[key]) for key in ("event_type", "reason", "message") if event.get(key))
            self._account.message(after_s, self._short(message.topic), told)
        elif below in {"transcript", "reply"}:
            text = str(_json(message.text).get("text"))
            if below == "transcript":
                turn.transcript = text
            else:
                turn.reply = text
            self._account.message(after_s, self._short(message.topic), text)
        elif message.topic.endswith("/event/turn.ended"):
            data = _json(message.text).get("data")
            turn.ended = data if isinstance(data, dict) else {}
        elif message.topic.startswith(f"{self._stage.base}/session/") and message.topic.endswith("/state"):
            self._account.message(after_s, self._short(message.topic), str(_json(message.text).get("state")))

    async def _watch(self, seen: Callable[[Observed], bool], seconds: float, wanted: str) -> None:
        """Look at messages until `seen` has what it wants. Raises Failure when that does not come."""
        watching = asyncio.create_task(self._until(seen), name="demo.watch")
        dying = asyncio.create_task(self._daemon.wait(), name="demo.daemon")
        try:
            await asyncio.wait({watching, dying}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                raise self._failure(f"{wanted}: the daemon ended with exit status {dying.result()}")
            if not watching.done():
                raise self._failure(f"{wanted}, within {seconds:g} s")
            await watching
        finally:
            watching.cancel()
            dying.cancel()

    async def _until(self, seen: Callable[[Observed], bool]) -> None:
        async for message in self._observer:
            if seen(message):
                return

    def _short(self, topic: str) -> str:
        return topic.replace(self._stage.base, "…", 1)

    def _failure(self, wanted: str) -> Failure:
        log = self._stage.log.read_text(errors="replace").splitlines()[-8:]
        return Failure("\n  ".join([f"did not happen: {wanted}. The daemon's last words:", *log]))


def _json(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
