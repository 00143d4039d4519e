"""The choice of a broker: the one that is configured, else one on this machine, else the embedded one."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from aiomqtt import ProtocolVersion

from vonad.errors import VonadError
from vonad.mqtt.connection import Broker, ConnectionFailed, connect
from vonad.mqtt.embedded import HOST, embedded_broker
from vonad.settings import Mqtt

log = logging.getLogger(__name__)

PORT_FILE = "embedded_broker_port"
"""In the state directory: automations are configured with it once."""


PROBE_S = 1.0
"""How long what listens on this machine may take to answer as a broker."""


class Report(Protocol):
    """How a part of the house tells how it is."""

    def __call__(self, name: str, *, ok: bool, detail: str = "") -> None:
        """name: of the part; detail: when it is not well, what is wrong and what mends it."""


@asynccontextmanager
async def choose_broker(mqtt: Mqtt, state_dir: Path, *, report: Report) -> AsyncIterator[Broker | None]:
    """The broker to use, for as long as the `with` lasts. None: MQTT is off, or there is none and `report` knows why.

    A broker on this machine that refuses us is the one to use as well: the owner has only to give us a user there, and
    until then the link says so.
    """
    if not mqtt.enabled:
        yield None
        return
    broker = Broker(
        host=mqtt.host or HOST,
        port=mqtt.port,
        username=mqtt.username,
        password=mqtt.password.get_secret_value() if mqtt.password is not None else None,
        tls=mqtt.tls,
        ca_file=mqtt.ca_file,
    )
    if mqtt.host is not None or await _speaks_mqtt(broker):
        yield broker
        return
    async with AsyncExitStack() as stack:
        try:
            port = await stack.enter_async_context(_embedded(state_dir / PORT_FILE))
        except VonadError as error:
            log.error("MQTT: %s", error.message)  # noqa: TRY400  (a sentence for the owner)
            report("mqtt", ok=False, detail=error.message)
            yield None
        else:
            yield Broker(host=HOST, port=port, speaks=ProtocolVersion.V311, embedded=True)


async def _speaks_mqtt(broker: Broker) -> bool:
    """Whether a broker listens there, perhaps one that refuses us."""
    try:
        async with connect(
            broker,
            ProtocolVersion.V311,
            identifier=f"vonad-{os.urandom(8).hex()}",
            deliver=lambda _: None,
            patience_s=PROBE_S,
        ):
            return True
    except ConnectionFailed as failure:
        if failure.kind == "silent":
            log.warning("what listens at %s is no MQTT broker: the embedded one is used", broker)
        return failure.kind not in {"unreachable", "silent"}


@asynccontextmanager
async def _embedded(file: Path) -> AsyncIterator[int]:
    kept = _read(file)
    async with AsyncExitStack() as stack:
        try:
            port = await stack.enter_async_context(embedded_broker(kept))
        except VonadError as error:
            raise VonadError(error.code, f"{error.message}; or delete {file} for another port", op=error.op) from error
        if port != kept:
            _keep(file, port)
        yield port


def _read(file: Path) -> int | None:
    try:
        port = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return port if 0 < port < 65_536 else None


def _keep(file: Path, port: int) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(f"{port}\n", encoding="ascii")
    except OSError as error:
        log.warning("the embedded broker's port %d cannot be kept in %s: %s", port, file, error.strerror)
