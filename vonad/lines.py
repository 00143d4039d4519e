"""Lines: every satellite that is connected, from the moment a transport offers it until it goes."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from vonad.backoff import Backoff
from vonad.bus import Bus
from vonad.cancellation import calls_off
from vonad.clock import Clock
from vonad.ear import Ear
from vonad.engine import Detection
from vonad.errors import VonadError
from vonad.events import COARSE, Event
from vonad.part import Part
from vonad.parts import Parts
from vonad.plan import SATELLITE_ID, Wake
from vonad.session.machine import State, Trigger
from vonad.session.session import Session
from vonad.session.words import words
from vonad.settings import Settings
from vonad.transport import Line, Transport
from vonad.wake.machine import WakeMachine
from vonad.wake_words import WakeWords

log = logging.getLogger(__name__)

BEGINNING = frozenset({State.CREATED, State.CONNECTING})
"""States of a session that has not done anything yet: what it is to do, its wake has told the wake machine."""


@dataclass(slots=True, eq=False)
class Satellite:
    """A connected satellite.

    machine: its wake machine.
    state:   idle, listening, processing or responding.
    """

    id: str
    transport: str
    line: Line
    ear: Ear
    wake_words: WakeWords
    machine: WakeMachine
    session: Session | None = None
    state: str = "idle"

    def take(self, session: Session | None) -> None:
        """The session that has its line from now on."""
        self.session = session
        self.ear.session = session

    def follow(self, state: str, *, drained: bool) -> None:
        """Its session's state is this now. drained: because all that it had to say was played."""
        before, self.state = self.state, COARSE[state]
        if state in BEGINNING:
            return
        said = self._said() if before == "responding" != self.state else ""
        self.machine.follow(self.state, drained=drained, said=said)

    def look(self) -> None:
        """Take notice of the device's own switch. One that cannot tell is taken for switched off."""
        try:
            muted = self.line.muted
        except Exception:  # a defect of the transport's must not open a microphone, nor lose a wake
            log.exception("satellite %s cannot tell whether its microphone is on", self.id)
            muted = True
        self.machine.mute(on=muted)

    def _said(self) -> str:
        """Of which turn it was depends on what came after it."""
        turns = (self.session.turn, self.session.last) if self.session is not None else ()
        return next((turn.reply for turn in turns if turn is not None and turn.reply), "")


class Lines:
    """Satellites by id.

    wake: told of every wake that a detector finds, here or on the device.
    came: told of each satellite that has connected.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        settings: Settings,
        bus: Bus,
        clock: Clock,
        wake: Callable[[Wake], object],
        came: Callable[[str], object],
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._wake = wake
        self._came = came
        self._satellites: dict[str, Satellite] = {}
        self._transports: dict[str, tuple[Part, asyncio.Task[None]]] = {}
        self._lines: dict[asyncio.Task[None], Part] = {}

    @property
    def online(self) -> list[Satellite]:
        """Those connected now."""
        return list(self._satellites.values())

    def find(self, satellite: str | None) -> Satellite | None:
        """One that is connected, or None."""
        return self._satellites.get(satellite or "")

    def get(self, satellite: str) -> Satellite:
        """One that is connected. Raises not_found, naming those that are."""
        found = self.find(satellite)
        if found is None:
            raise VonadError("not_found", f"satellite {satellite!r} is not connected; {self.who()}", op="satellite")
        return found

    def follow(self, event: Event) -> None:
        """A session's state, told by this event, is its satellite's: unless another session has its line."""
        satellite = self._satellites.get(event.satellite or "")
        if satellite is not None and (satellite.session is None or satellite.session.id == event.session_id):
            satellite.follow(str(event.data["state"]), drained=event.data["reason"] == Trigger.PLAYBACK_FINISHED)

    def who(self) -> str:
        """A clause that names the satellites that are online."""
        return f"online: {', '.join(sorted(self._satellites)) or 'none'}"

    def serve(self, settings: Settings, group: asyncio.TaskGroup) -> None:
        """Take the lines of every transport that runs and is not served yet; leave those of one that has closed.

        Satellites that stay wait for the wake words of these settings, with the engine that runs now.
        """
        self._settings = settings
        for satellite in self.online:
            satellite.wake_words.renew()
        left = [task for part, task in self._transports.values() if part.closed.is_set()]
        left += [task for task, part in self._lines.items() if part.closed.is_set()]
        for task in left:
            task.cancel()
        for part in self._parts.all("transports"):
            served = self._transports.get(part.name)
            if not part.running or (served is not None and served[0] is part and not served[1].done()):
                continue
            work = self._serve_transport(part, group)
            self._transports[part.name] = (part, group.create_task(work, name=f"transport {part.name}"))

    def leave(self, part: Part) -> None:
        """A reload takes a transport out of the house: what is said over its lines ends while they still are there."""
        for satellite in self.online:
            if satellite.transport == part.name and satellite.session is not None:
                satellite.session.close("plugin_unloaded")

    def take_no_more(self) -> None:
        """Those that are connected stay so."""
        for _, task in self._transports.values():
            task.cancel()

    def hang_up(self) -> None:
        """Leave the lines whose transports have closed without ending them."""
        for task in self._lines:
            task.cancel()

    async def _serve_transport(self, part: Part, group: asyncio.TaskGroup) -> None:
        """The spawn boundary of a transport: whatever it raises, it is asked again after a pause."""
        backoff = Backoff()
        transport = part.component
        while isinstance(transport, Transport) and part.running and not part.stop.is_set():
            try:
                async for line in transport.lines():
                    backoff.reset()
                    task = group.create_task(self._serve_line(part, line, group), name=f"line {line.satellite}")
                    self._lines[task] = part
                    task.add_done_callback(self._lines.pop)
            except VonadError as error:
                self._ill(part, error.message)
            except (Exception, asyncio.CancelledError) as error:  # a defect of the transport's
                if calls_off(error):
                    raise
                log.debug("%s failed", part.label, exc_info=True)
                self._ill(part, f"{type(error).__name__}: {error}")
            await self._clock.sleep(backoff.next())

    def _ill(self, part: Part, why: str) -> None:
        log.warning("%s: %s", part.label, why)
        self._bus.publish(Event("backend.health", {"name": part.label, "ok": False, "detail": why}))

    async def _serve_line(self, part: Part, line: Line, group: asyncio.TaskGroup) -> None:
        """The spawn boundary of a line. In one piece: it goes on with every frame that is captured."""
        try:
            satellite = self._taken_in(part, line)
            if satellite is None:
                return
            name, reason = satellite.id, "it went away"
            own = [
                group.create_task(satellite.wake_words.run(), name=f"wake words of {name}"),
                group.create_task(self._device_wakes(line), name=f"wakes of {name}"),
            ]
            try:
                self._bus.publish(Event("satellite.online", {"transport": part.name}, name))
                log.info("satellite %s is online", name)
                self._came(name)
                await asyncio.sleep(0)  # the wake words come first: a line may bring much sound at once
                await satellite.ear.run()
            except VonadError as error:
                reason = error.message
            except (Exception, asyncio.CancelledError) as error:  # a defect of the transport's
                if calls_off(error):
                    raise
                log.exception("satellite %s failed", name)
                reason = f"{type(error).__name__}: {error}"
            finally:
                for task in own:
                    task.cancel()
                del self._satellites[name]
                if satellite.session is not None:
                    satellite.session.close("transport_closed")
                self._bus.publish(Event("satellite.offline", {"reason": reason}, name))
                log.info("satellite %s is offline: %s", name, reason)
        except Exception:  # a defect of the transport's costs its line, not the house
            log.exception("%s: a line failed", part.label)

    def _taken_in(self, part: Part, line: Line) -> Satellite | None:
        """It has its name from here on. None: it is turned away, as is one of two that come at once."""
        name = line.satellite
        if not SATELLITE_ID.fullmatch(name) or name in self._satellites:
            why = "is connected already" if name in self._satellites else "is no id: a-z 0-9 _ -, at most 64"
            log.error("%s: satellite %r was turned away: it %s", part.label, name, why)
            return None
        ear = Ear(
            line,
            pre_roll_s=self._settings.session.pre_roll_s,
            detected=lambda found: self._detected(name, found),
            stopped=lambda found: self._stopped(name, found),
        )
        wake_words = WakeWords(
            name, ear, self._parts, lambda: self._settings, clock=self._clock, health=self._engine_health
        )
        satellite = Satellite(name, part.name, line, ear, wake_words, WakeMachine(self._clock))
        self._satellites[name] = satellite
        return satellite

    def _engine_health(self, engine: str, why: str) -> None:
        self._bus.publish(Event("backend.health", {"name": f"[engines.{engine}]", "ok": not why, "detail": why}))

    def _detected(self, satellite: str, found: Detection) -> None:
        wake = Wake(
            satellite=satellite,
            source="detector",
            at=self._clock.monotonic(),
            phrase=found.phrase,
            score=found.score,
            cutoff=found.cutoff,
            speaker_score=found.speaker_score,
        )
        self._wake(wake)

    def _stopped(self, satellite: str, found: Detection) -> None:
        place = self.find(satellite)
        session = place.session if place is not None else None
        if session is None:
            return
        if any(word.startswith(found.phrase) for word in words(session.speaking_text)):  # "stopped" sounds alike
            log.debug("satellite %s said %r itself", satellite, found.phrase)
        else:
            session.stop("stop_word")

    async def _device_wakes(self, line: Line) -> None:
        try:
            async for wake in line.wakes():
                self._came_to(wake)
        except Exception:  # a defect of the device's own detector leaves the line as it is
            log.exception("satellite %s: its own wake word detector failed", line.satellite)

    def _came_to(self, wake: Wake) -> None:
        """One wake that comes to nothing is not the last."""
        try:
            self._wake(wake)
        except Exception:  # a defect
            log.exception("satellite %s: a wake of its own came to nothing", wake.satellite)
