"""The receiver: commands become verbs of the service. Whatever is sent, nothing is raised, or lost in silence."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.mailbox import Mailbox
from vonad.mqtt.commands import decode_inject, decode_say, decode_stop, decode_text, decode_wake, request_id
from vonad.mqtt.message import Incoming
from vonad.mqtt.topics import COMMANDS, SESSION_COMMANDS, Place, Topics, satellite_id, shown
from vonad.plan import SATELLITE_ID
from vonad.service import Service

log = logging.getLogger(__name__)

INBOX = 1_000
"""Commands that wait: what a flood brings while the loop is busy for a fifth of a second. Then they are refused."""

OPENING = 32
"""Requests that are being served at once, where that takes a while; a home has fewer satellites."""

_READ = {"satellite": COMMANDS, "session": SESSION_COMMANDS}


class Receiver:
    """counts: what came, by leaf; `foreign`: what was never meant for us; `overload`: what was refused unread."""

    def __init__(self, topics: Topics, service: Service, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._topics = topics
        self._house = service.house
        self._sessions = service.sessions
        self._clock = clock
        self._inbox: Mailbox[Incoming] = Mailbox(INBOX)
        self._opening = 0
        self._verbs: dict[str, Callable[[str, Incoming, asyncio.TaskGroup], None]] = {
            "wake": self._wake,
            "text": self._text,
            "say": self._say,
            "stop": self._stop,
            "inject": self._inject,
        }

    def deliver(self, message: Incoming) -> None:
        """Called where the socket is read: takes the message at once, or refuses it."""
        if len(self._inbox) < INBOX:
            self._inbox.put(message)
        else:
            self._overflow(message)

    async def run(self) -> None:
        """Serve what arrives until cancelled."""
        async with asyncio.TaskGroup() as group:
            async for message in self._inbox:
                self._take(message, group)

    def _take(self, message: Incoming, group: asyncio.TaskGroup) -> None:
        """The boundary of one message."""
        place = self._place(message)
        if place is None:
            return
        self.counts[place.leaf] += 1
        try:
            self._verbs[place.leaf](place.id, message, group)
        except VonadError as error:
            self._failed(error, place, request_id(message.payload))
        except Exception as error:  # a defect behind a verb: the next message is served
            log.exception("MQTT %s failed", place.leaf)
            failure = VonadError("internal_error", f"{type(error).__name__}: {error}")
            self._failed(failure, place, request_id(message.payload))

    def _place(self, message: Incoming) -> Place | None:
        """What a command is about; None for what is none. Some brokers deliver what nobody subscribed to."""
        try:
            place = self._topics.parse(message.topic)
        except VonadError as error:
            log.debug("%s", error.message)
            place = None
        if place is None or place.leaf not in _READ.get(place.area, ()):
            self.counts["foreign"] += 1
            return None
        return place

    def _wake(self, satellite: str, message: Incoming, _group: asyncio.TaskGroup | None = None) -> None:
        try:
            wake = decode_wake(
                satellite_id(satellite), message.payload, at=self._clock.monotonic(), retained=message.retained
            )
        except VonadError as error:
            reason = "retained" if message.retained else "malformed"
            self._house.refuse(
                satellite=_named(satellite),
                source="mqtt",
                reason=reason,
                detail=error.message,
                id=request_id(message.payload),
            )
        else:
            self._house.wake(wake)

    def _text(self, satellite: str, message: Incoming, group: asyncio.TaskGroup) -> None:
        text = decode_text(self._live(message, "text"))
        place = Place("satellite", satellite_id(satellite), "text")
        self._begin(
            lambda: self._house.text(place.id, text.text, id=text.id, on_busy=text.on_busy), place, text.id, group
        )

    def _inject(self, session_id: str, message: Incoming, group: asyncio.TaskGroup) -> None:
        """What became of it, the session's `context.injected` tells."""
        told = decode_inject(self._live(message, "inject"))
        place = Place("session", session_id, "inject")
        self._begin(lambda: self._sessions.inject(session_id, told.event, told.mode), place, told.id, group)

    def _begin(
        self,
        verb: Callable[[], Coroutine[None, None, object]],
        place: Place,
        asked: str | None,
        group: asyncio.TaskGroup,
    ) -> None:
        """asked: the request's id."""
        if self._opening >= OPENING:
            why = f"{OPENING} requests are being served already: send this one again"
            self._failed(VonadError("overload", why, op=place.leaf), place, asked)
            return
        self._opening += 1
        group.create_task(self._serve(verb, place, asked), name=f"mqtt-{place.leaf} {place.id:.64}")

    async def _serve(self, verb: Callable[[], Coroutine[None, None, object]], place: Place, asked: str | None) -> None:
        """The boundary of one request that may take a while: a session opens for it, or a backend is told."""
        try:
            await verb()
        except VonadError as error:
            self._failed(error, place, asked)
        except Exception as error:  # a defect behind the verb
            log.exception("MQTT %s failed", place.leaf)
            self._failed(VonadError("internal_error", f"{type(error).__name__}: {error}"), place, asked)
        finally:
            self._opening -= 1

    def _say(self, satellite: str, message: Incoming, _group: asyncio.TaskGroup) -> None:
        say = decode_say(self._live(message, "say"))
        self._house.say(
            satellite_id(satellite),
            say.text,
            id=say.id,
            priority=say.priority,
            interrupt=say.interrupt,
            preannounce=say.preannounce,
            durable=say.durable,
        )

    def _stop(self, satellite: str, message: Incoming, _group: asyncio.TaskGroup | None = None) -> None:
        decode_stop(self._live(message, "stop"))
        self._house.stop(satellite_id(satellite))

    def _live(self, message: Incoming, leaf: str) -> bytes:
        """Raises malformed for what the broker has kept from earlier: it must not happen again at each connection."""
        if message.retained:
            raise VonadError(
                "malformed",
                f"MQTT {leaf}: retained: {shown(message.topic)}: publish it without retain, and clear this topic",
                op=f"mqtt.{leaf}",
            )
        return message.payload

    def _overflow(self, message: Incoming) -> None:
        """More than can be served: wakes are refused one by one, being quiet is always possible, the rest is told."""
        place = self._place(message)
        if place is None:
            return
        self.counts["overload"] += 1
        detail = f"{INBOX} commands wait already"
        try:
            if place.leaf == "wake":
                self.counts["wake"] += 1
                self._house.refuse(satellite=_named(place.id), source="mqtt", reason="overload", detail=detail)
            elif place.leaf == "stop":
                self.counts["stop"] += 1
                self._stop(place.id, message)
            else:
                raise VonadError("overload", f"MQTT {place.leaf}: {detail}: send it again later")
        except VonadError as error:
            self._failed(error, place)
        except Exception:  # a defect behind a verb must not cost the connection that is being read
            log.exception("MQTT %s failed", place.leaf)

    def _failed(self, error: VonadError, place: Place, asked: str | None = None) -> None:
        op = f"mqtt.{place.leaf}"
        satellite = _named(place.id) if place.area == "satellite" else None
        self._house.error(error.code, error.message, op=op, satellite=satellite, id=asked)


def _named(satellite: str) -> str:
    """The id, or what somebody took for one, fit for logs and tables."""
    return satellite if SATELLITE_ID.fullmatch(satellite) else shown(satellite)
