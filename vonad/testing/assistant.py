"""A whole house for a test: the real runtime, plugins and engines; no broker, no port, no device, nothing kept."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from vonad.bus import Bus, Subscription
from vonad.directories import Directories
from vonad.errors import VonadError
from vonad.events import Event
from vonad.frame import CAPTURE_RATE, Frame
from vonad.history import open_journal
from vonad.plan import Refusal, Wake
from vonad.plugins import Plugins
from vonad.resampling import resample
from vonad.runtime import Runtime
from vonad.service import SessionService
from vonad.settings import load
from vonad.settings.component_check import refuse_or_warn
from vonad.testing.clock import CalendarClock
from vonad.testing.given import Given, dropped_in
from vonad.testing.recorded import SATELLITE, RecordedLine
from vonad.testing.transport import ScriptedTransport
from vonad.wav import read_wav

ENVIRONMENT: Mapping[str, str] = {
    "VONAD_MQTT__ENABLED": "false",
    "VONAD_WEB__ENABLED": "false",
    "VONAD_WAKE__WORDS": "[]",
    "VONAD_POLICY__TURNS_PER_MINUTE": "0",
    "VONAD_ENGINES__MICROWAKEWORD__ENABLED": "false",
    "VONAD_TRANSPORTS__LOCAL__ENABLED": "false",
    f"VONAD_TRANSPORTS__{SATELLITE.upper()}__KIND": SATELLITE,
}

ANSWER_S = 30.0
"""In which every turn is over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a turn.

    text:       the reply, all of it.
    outcome:    completed, not_understood, failed, interrupted, …
    skills:     names of the skills that were asked for, in order.
    transcript: what was understood.
    sound:      what the satellite played, 16 kHz; empty for a turn from text.
    events:     everything the turn told of itself.
    """

    text: str
    outcome: str
    skills: tuple[str, ...]
    transcript: str
    sound: tuple[Frame, ...] = field(repr=False)
    events: tuple[Event, ...] = field(repr=False)


class Assistant:
    """Somebody to talk to. All texts are one conversation; all sound is another, on the satellite `assistant`.

    clock:  set what the calendar says with `clock.set_now`.
    events: everything that has happened.
    line:   the satellite's.
    """

    def __init__(self, runtime: Runtime, sessions: SessionService, clock: CalendarClock, line: RecordedLine) -> None:
        self.clock = clock
        self.events: list[Event] = []
        self.line = line
        self._runtime = runtime
        self._sessions = sessions
        self._text_session = ""
        self._news = asyncio.Event()

    async def say(self, text: str) -> Answer:
        """Take a turn from text. Raises VonadError for one that cannot be taken, AssertionError if it does not end."""
        if not self._text_session:
            self._text_session = (await self._sessions.create()).session_id
        begun = len(self.events)
        await self._sessions.start_turn(self._text_session, text)
        return await self._answer(self._text_session, begun, f"saying {text!r}")

    async def hear(self, recording: Path | str | Frame) -> Answer:
        """Take a turn from sound: a WAV file, or a frame of any rate. A microphone that is open hears it at once."""
        sound = _at_capture_rate(recording)
        begun, played = len(self.events), len(self.line.sound)
        self.line.play_to(sound)
        try:
            return await self._answer(self._open_microphone(), begun, f"hearing {recording!s:.80}", played=played)
        finally:
            self.line.play_to(None)

    async def listen_to(self, events: Subscription) -> None:
        """Keep what happens, until the subscription ends."""
        async for event in events:
            self.events.append(event)
            self._news.set()

    async def news(self) -> None:
        """Wait until something happens."""
        self._news.clear()
        await self._news.wait()

    def _open_microphone(self) -> str:
        """The session that hears."""
        satellite = self._runtime.lines.get(SATELLITE)
        if satellite.session is not None and satellite.session.listening:
            return satellite.session.id
        opened = self._runtime.wake(Wake(satellite=SATELLITE, source="api", at=self.clock.monotonic()))
        if not isinstance(opened, Refusal):
            return opened.id
        raise AssertionError(f"the microphone does not open: {opened.reason}: {opened.detail}")

    async def _answer(self, session_id: str, begun: int, what: str, *, played: int | None = None) -> Answer:
        """The first turn of a session that ends from here on."""
        try:
            async with asyncio.timeout(ANSWER_S):
                while (end := self._ended(session_id, begun)) is None:
                    await self.news()
        except TimeoutError:
            happened = ", ".join(event.type for event in self.events[begun:]) or "nothing"
            raise AssertionError(f"{what} has come to no end within {ANSWER_S:g} s; there was: {happened}") from None
        own = tuple(e for e in self.events[begun:] if e.session_id == session_id and e.turn == end.turn)
        return Answer(
            text=str(end.data.get("generated_text") or ""),
            outcome=str(end.data.get("outcome")),
            skills=tuple(str(event.data["name"]) for event in own if event.type == "skill.attempt"),
            transcript=next((str(event.data.get("text") or "") for event in own if event.type == "turn.final"), ""),
            sound=() if played is None else tuple(self.line.sound[played:]),
            events=own,
        )

    def _ended(self, session_id: str, begun: int) -> Event | None:
        for event in self.events[begun:]:
            if event.session_id == session_id and event.type == "turn.ended":
                return event
            if event.session_id == session_id and event.type == "session.closed":
                raise AssertionError(f"the session closed before the turn was over: {event.data.get('reason')}")
        return None


@asynccontextmanager
async def open_assistant(folder: Path, *, config: str = "", plugins: Sequence[Given] = ()) -> AsyncIterator[Assistant]:
    """A house in a folder of its own: every plugin that is installed, and those given.

    config: what stands in its vonad.toml. Raises ConfigProblems for what is wrong in it, AssertionError for a given
    plugin, or a skill, that does not run.
    """
    (folder / "plugins").mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "vonad.toml"
    path.write_text(config)
    clock, transport = CalendarClock(), ScriptedTransport()
    line = RecordedLine(clock)
    transport.connect(line)
    with dropped_in(folder / "plugins", plugins, transport) as names:
        loader = Plugins(drop_ins=folder / "plugins")
        loader.load()
    for status in loader.statuses:
        if status.name in names and not status.running:
            raise AssertionError(f"the plugin {names[status.name]} does not run: {status.reason}")
    loaded = load(path, ENVIRONMENT)
    refuse_or_warn(loaded, loader.offers.values(), loader.statuses)
    bus = Bus("test", clock)
    async with open_journal(folder / "vonad.db", clock=clock, retention_days=0) as journal:
        runtime = Runtime(
            settings=loaded.settings,
            plugins=loader,
            directories=Directories(config=folder, state=folder, runtime=folder, cache=folder),
            timezone=ZoneInfo(loaded.settings.node.timezone or "UTC"),
            bus=bus,
            journal=journal,
            clock=clock,
        )
        assistant = Assistant(runtime, SessionService(runtime, clock), clock, line)
        stop, started = asyncio.Event(), asyncio.Event()
        with bus.subscribe(limit=10_000) as events:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(assistant.listen_to(events), name="events of the assistant")
                    group.create_task(_lived(runtime, stop, started, events), name="assistant")
                    try:
                        await started.wait()
                        _check_skills(runtime)
                        while not any(event.type == "satellite.online" for event in assistant.events):
                            await assistant.news()
                        yield assistant
                    finally:
                        stop.set()
            except BaseExceptionGroup as errors:
                if len(errors.exceptions) > 1:
                    raise
                raise errors.exceptions[0] from None  # a test's own failure is to be read as such


async def _lived(runtime: Runtime, stop: asyncio.Event, started: asyncio.Event, events: Subscription) -> None:
    try:
        await runtime.run(stop, started.set)
    finally:
        events.close()


def _check_skills(runtime: Runtime) -> None:
    for part in runtime.parts.all("skills"):
        if not part.running:
            raise AssertionError(f"{part.label} does not run: {part.reason}")


def _at_capture_rate(recording: Path | str | Frame) -> Frame:
    if isinstance(recording, Frame):
        frame = recording
    else:
        path = Path(recording)
        if not path.is_file():
            raise VonadError("not_found", f"there is no recording {path}", op="hear")
        frame = read_wav(path.read_bytes(), name=str(path))
    return resample(frame, CAPTURE_RATE)
