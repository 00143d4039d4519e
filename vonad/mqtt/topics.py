"""Topics: what each thing is called on the broker, and back. No I/O."""

from dataclasses import dataclass
from typing import Literal

from vonad.errors import VonadError
from vonad.plan import SATELLITE_ID

LONGEST = 65_535
"""Bytes of UTF-8 that MQTT allows in a topic."""

SHOWN = 60
"""Characters of somebody's topic that are repeated in a message."""

NODE = ("status", "info", "event", "selftest")
COMMANDS = ("wake", "text", "say", "stop")
SESSION_COMMANDS = ("inject",)
STATE = ("availability", "state", "attributes")
WORDS = ("transcript", "reply")
"""Retained only where the owner wants words retained."""

_SATELLITE = frozenset((*COMMANDS, *STATE, *WORDS, "event"))
_SESSION = frozenset((*SESSION_COMMANDS, "state"))


@dataclass(frozen=True, slots=True)
class Place:
    """What a topic is about. id: of the satellite or session; leaf: the rest, `event/turn.final` for a session's."""

    area: Literal["node", "satellite", "session"]
    id: str
    leaf: str


class Topics:
    """The topics below `<prefix>/<node>`."""

    def __init__(self, prefix: str, node: str) -> None:
        self.base = f"{prefix}/{node}"
        check(self.base)
        self.status, self.info, self.event, self.selftest = (f"{self.base}/{leaf}" for leaf in NODE)

    def satellite(self, satellite: str, leaf: str) -> str:
        """Raises malformed for an id that no satellite can have."""
        return f"{self.base}/satellite/{satellite_id(satellite)}/{leaf}"

    def session_state(self, session_id: str) -> str:
        """Where a session's state is told."""
        return f"{self.base}/session/{_level(session_id)}/state"

    def session_event(self, session_id: str, kind: str) -> str:
        """Where a session's events of a type are told; the type keeps its dots and is one level."""
        return f"{self.base}/session/{_level(session_id)}/event/{_level(kind)}"

    @property
    def commands(self) -> list[str]:
        """Filters of everything that can be asked for."""
        satellites = [f"{self.base}/satellite/+/{leaf}" for leaf in COMMANDS]
        return satellites + [f"{self.base}/session/+/{leaf}" for leaf in SESSION_COMMANDS]

    @property
    def kept(self) -> list[str]:
        """Filters of what vonad, this version or another, may have left retained for satellites."""
        return [f"{self.base}/satellite/+/{leaf}" for leaf in (*STATE, *WORDS)]

    def remembered(self, topic: str) -> bool:
        """Whether it is one that vonad itself retains, or may have left retained."""
        try:
            place = self.parse(topic)
        except VonadError:
            return False
        return topic in {self.status, self.info} or (place.area == "satellite" and place.leaf in (*STATE, *WORDS))

    def parse(self, topic: str) -> Place:
        """What a topic below the base is about; the id is as given. Raises malformed for any other topic."""
        below = topic.removeprefix(self.base + "/")
        levels = below.split("/")
        if below != topic:
            match levels:
                case [leaf] if leaf in NODE:
                    return Place("node", "", leaf)
                case ["satellite", name, leaf] if leaf in _SATELLITE:
                    return Place("satellite", name, leaf)
                case ["session", name, leaf] if leaf in _SESSION:
                    return Place("session", name, leaf)
                case ["session", name, "event", kind]:
                    return Place("session", name, f"event/{kind}")
        raise _malformed("not one of ours", topic, f"{self.base}/satellite/<id>/({'|'.join(COMMANDS)}) are read")


def check(topic: str) -> None:
    """Raises malformed for what must never reach a broker: it may cut the connection for it."""
    try:
        length = len(topic.encode())
    except UnicodeEncodeError:
        raise _malformed("a lone surrogate", topic, "topics are UTF-8") from None
    if not 0 < length <= LONGEST:
        raise _malformed(f"{length} bytes", topic, f"1 to {LONGEST} bytes are allowed")
    if wrong := sorted(set(topic) & {"\0", "+", "#"}):
        raise _malformed(f"contains {wrong[0]!r}", topic, "topics have no NUL, + or #")
    if topic.startswith("$"):
        raise _malformed("begins with $", topic, "such topics are the broker's own")


def satellite_id(name: str) -> str:
    """The id, when a satellite can have it. Raises malformed."""
    if not SATELLITE_ID.fullmatch(name):
        raise _malformed("no satellite can have this id", name, "ids are 1 to 64 of a-z, 0-9, _ and -")
    return name


def shown(text: str) -> str:
    """Somebody's text, safe and short enough to be repeated in a message."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def _level(name: str) -> str:
    check(name)
    if "/" in name:
        raise _malformed("contains '/'", name, "this is one level of a topic")
    return name


def _malformed(what: str, value: str, allowed: str) -> VonadError:
    return VonadError("malformed", f"MQTT topic: {what}: {shown(value)}: {allowed}", op="mqtt.topic")
