"""The publisher: each Event becomes the messages that the contract names. No I/O."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from vonad.events import COARSE, EVENTS, Event
from vonad.mqtt.arrival import OFFLINE, ONLINE
from vonad.mqtt.message import Outgoing, state
from vonad.mqtt.topics import STATE, WORDS, Topics
from vonad.views import SatelliteView

PublishText = Literal["off", "events", "retained"]

_NAMES = {"session.closed": "session_ended"}
_TOLD = frozenset({"wake.accepted", "wake.refused", "session.closed", "say.finished", "error"})
"""Told on the satellite's own event topic, or on the node's when there is no such satellite."""

_SPOKEN = {"turn.final": "transcript", "reply.complete": "reply"}
_INFORMS = frozenset({"satellite.online", "satellite.offline", "plugins.changed"})


class Publisher:
    """Follows the events, and knows what is true of each satellite.

    satellites, info: asked when something about them may have changed.
    """

    def __init__(
        self,
        topics: Topics,
        *,
        publish_text: PublishText,
        satellites: Callable[[], Iterable[SatelliteView]],
        info: Callable[[], Mapping[str, object]],
    ) -> None:
        self._topics = topics
        self._publish_text = publish_text
        self._satellites = satellites
        self._info = info
        self._known: set[str] = set()
        self._sessions: dict[str, str] = {}
        self._states: dict[str, str] = {}

    def truth(self) -> Iterator[Outgoing]:
        """Everything that is true now, retained."""
        yield self._retained(self._topics.info, self._info())
        views = list(self._satellites())
        for view in views:
            yield from self._satellite(view)
        for gone in sorted(self._known - {view.id for view in views}):
            yield from self._gone(gone)

    def stale(self, topic: str) -> bool:
        """Whether the broker should no longer retain it: of a satellite that is none, or words."""
        place = self._topics.parse(topic)
        return place.id not in self._known or (place.leaf in WORDS and self._publish_text != "retained")

    def states(self, event: Event) -> Iterator[Outgoing]:
        """What is true after an event. Ask for every event, in order."""
        if event.type in _INFORMS:
            yield from self.truth()
        if event.type == "plugins.changed":
            yield from self._forget(self._known - {view.id for view in self._satellites()})
        if event.satellite is not None and event.satellite in self._known:
            yield from self._changes(event, event.satellite)

    def tells(self, event: Event) -> Iterator[Outgoing]:
        """What is told of an event; it may be asked later, or never."""
        satellite = event.satellite if event.satellite in self._known else None
        data = self._public(event)
        if satellite is not None and event.type in _SPOKEN and self._publish_text != "off":
            spoken = {"turn_id": data.get("turn_id"), "text": data.get("text")}
            topic = self._topics.satellite(satellite, _SPOKEN[event.type])
            yield Outgoing(topic, encode(spoken), retain=self._publish_text == "retained")
        if event.type in _TOLD and satellite is not None:
            yield Outgoing(self._topics.satellite(satellite, "event"), encode(_told(event, data)))
        elif event.type in _TOLD or event.session_id is None:
            yield Outgoing(self._topics.event, encode(_told(event, data)))
        if event.session_id is not None:
            yield from self._session(event, event.session_id, data)

    def _satellite(self, view: SatelliteView) -> Iterator[Outgoing]:
        name = view.id
        if name not in self._known:
            self._known.add(name)
            nothing = dict.fromkeys(("session_id", "turn", "outcome", "latency_ms", "backend", "degraded"))
            yield self._retained(self._topics.satellite(name, "attributes"), nothing)
        if view.session_id is None:
            self._sessions.pop(name, None)
        else:
            self._sessions[name] = view.session_id
        self._states[name] = view.state
        yield self._availability(name, online=view.online)
        yield self._retained(self._topics.satellite(name, "state"), view.state)

    def _changes(self, event: Event, satellite: str) -> Iterator[Outgoing]:
        if event.type == "session.created" and event.session_id is not None:
            self._sessions[satellite] = event.session_id
        elif event.type in {"session.state", "session.closed"}:
            # A session that was superseded ends while its successor already listens.
            if self._sessions.setdefault(satellite, event.session_id or "") != event.session_id:
                return
            word = COARSE.get(str(event.data.get("state")), "idle")
            if event.type == "session.closed":
                del self._sessions[satellite]
            if word != self._states.get(satellite):
                self._states[satellite] = word
                yield self._retained(self._topics.satellite(satellite, "state"), word)
        elif event.type == "turn.ended" and event.turn is not None:  # else it never began
            attributes = {
                "session_id": event.session_id,
                "turn": event.turn,
                "outcome": event.data.get("outcome"),
                "latency_ms": event.data.get("first_audio_ms"),
                "backend": event.data.get("backend"),
                "degraded": event.data.get("degraded"),
            }
            yield self._retained(self._topics.satellite(satellite, "attributes"), attributes)

    def _session(self, event: Event, session_id: str, data: Mapping[str, object]) -> Iterator[Outgoing]:
        qos = 1 if EVENTS[event.type].kept else 0
        if event.type == "session.state":
            said = {"session_id": session_id, "satellite": event.satellite, **data}
            said |= {"turn": event.turn, "seq": event.seq, "ts": event.ts}
            yield Outgoing(self._topics.session_state(session_id), encode(said), qos)
        topic = self._topics.session_event(session_id, event.type)
        yield Outgoing(topic, encode(event.envelope() | {"data": data}), qos)

    def _public(self, event: Event) -> dict[str, object]:
        """The event's data, without anybody's words where the owner wants none published."""
        hidden = EVENTS[event.type].words if self._publish_text == "off" else ()
        return {key: value for key, value in event.data.items() if key not in hidden}

    def _gone(self, satellite: str) -> Iterator[Outgoing]:
        """It was here and may come back."""
        self._sessions.pop(satellite, None)
        self._states[satellite] = "idle"
        yield self._availability(satellite, online=False)
        yield self._retained(self._topics.satellite(satellite, "state"), "idle")

    def _forget(self, satellites: Iterable[str]) -> Iterator[Outgoing]:
        """They are no longer part of the house: nothing of them stays on the broker."""
        for satellite in sorted(satellites):
            self._known.discard(satellite)
            for leaf in (*STATE, *WORDS):
                yield state(self._topics.satellite(satellite, leaf), b"")

    def _availability(self, satellite: str, *, online: bool) -> Outgoing:
        topic = self._topics.satellite(satellite, "availability")
        return state(topic, ONLINE if online else OFFLINE)

    def _retained(self, topic: str, value: Mapping[str, object] | str) -> Outgoing:
        return state(topic, value.encode() if isinstance(value, str) else encode(value))


def encode(value: Mapping[str, object]) -> bytes:
    """JSON as UTF-8; what JSON cannot say becomes text."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_jsonable)
    return text.encode("utf-8", "replace")


def _told(event: Event, data: Mapping[str, object]) -> dict[str, object]:
    return {
        "event_type": _NAMES.get(event.type, event.type.replace(".", "_")),
        "satellite": event.satellite,
        "session_id": event.session_id,
        "seq": event.seq,
        "ts": event.ts,
        **data,
    }


def _jsonable(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
