"""Health: how the link is, in sentences that name the place, the reason and the remedy."""

from dataclasses import dataclass
from typing import Literal

from vonad.mqtt.connection import Broker, ConnectionFailed
from vonad.mqtt.topics import Topics


@dataclass(frozen=True, slots=True)
class Health:
    """How the link is. detail: unless it is online, what is wrong and what mends it."""

    state: Literal["connecting", "online", "offline", "unconfigured", "denied", "stopped"]
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything works."""
        return self.state == "online"


def failed(broker: Broker, failure: ConnectionFailed) -> Health:
    """There is no connection."""
    if failure.kind == "credentials":
        return Health("unconfigured", _refused(broker, str(failure)))
    if failure.kind == "tls":
        remedy = "set mqtt.ca_file to who signed its certificate, and mqtt.host to a name that stands in it"
        return Health("unconfigured", f"TLS with the broker at {broker} fails ({failure}): {remedy}")
    if failure.kind == "lost":
        return Health("offline", f"the connection to the broker at {broker} broke ({failure}); trying again")
    if failure.kind == "taken_over":
        return Health("offline", f"another client took our client id at the broker at {broker}; trying again")
    if failure.kind in {"refused", "protocol"}:
        return Health("offline", f"the broker at {broker} turned us away ({failure}); trying again")
    if failure.kind == "silent":
        return Health(
            "offline", f"what listens at {broker} does not answer as an MQTT broker; check mqtt.host and port"
        )
    return Health(
        "offline", f"no broker at {broker} ({failure}): start it, or set mqtt.host and mqtt.port; trying again"
    )


def fought_over(broker: Broker, identifier: str) -> Health:
    """Somebody else insists on our client id."""
    what = f"another client keeps taking our client id {identifier} at the broker at {broker}"
    return Health("stopped", f"{what}: stop it, then restart vonad")


def denied(broker: Broker, topics: Topics, topic: str, *, verb: Literal["read", "publish to"]) -> Health:
    """Connected, but not allowed everything."""
    user = f"user {broker.username}" if broker.username else "clients without a user name"
    what = f"the broker at {broker} does not let {user} {verb} {topic}"
    return Health("denied", f"{what}: allow both on {topics.base}/# in the broker's access list (ACL)")


def _refused(broker: Broker, why: str) -> str:
    if broker.username is None:
        remedy = "set mqtt.username and mqtt.password_file in vonad.toml"
        return f"the broker at {broker} wants a user name and a password ({why}): {remedy}"
    remedy = "correct mqtt.username and mqtt.password_file in vonad.toml, or the broker's password file"
    return f"the broker at {broker} refuses user {broker.username} ({why}): {remedy}"
