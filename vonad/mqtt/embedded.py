"""The embedded broker, for the demo, tests and a first run: on the loopback interface, anonymous, forgetful.

Every local user may open the microphone through it, and it keeps nothing across restarts.
"""

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vonad.errors import VonadError

log = logging.getLogger(__name__)

HOST = "127.0.0.1"

STOP_S = 3.0
"""How long the broker may take to part from its clients."""

_PORTS = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections, so that a port once chosen is still free after a restart."""


@asynccontextmanager
async def embedded_broker(port: int | None = None) -> AsyncIterator[int]:
    """A broker for as long as the `with` lasts; its port. port: None: one that is free.

    Raises backend_unavailable when the port is taken.
    """
    listener = _listen(port)
    chosen: int = listener.getsockname()[1]
    try:
        from vonad.mqtt.loopback import LoopbackBroker  # noqa: PLC0415  (140 ms that only an embedded broker costs)

        broker = LoopbackBroker(listener)
        await broker.start()
    except BaseException:
        listener.close()
        raise
    log.info("embedded MQTT broker on %s:%d: every user of this machine may use it", HOST, chosen)
    try:
        yield chosen
    finally:
        try:
            await asyncio.wait_for(broker.stop(), STOP_S)
        except TimeoutError:
            log.warning("the embedded MQTT broker did not part from its clients within %g s", STOP_S)


def _listen(port: int | None) -> socket.socket:
    candidates = [port] if port is not None else [*random.sample(_PORTS, 20), 0]
    why = ""
    for candidate in candidates:
        # The protocol is named: asyncio switches Nagle off only where it sees TCP.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            why = error.strerror or str(error)
        else:
            return listener
    raise VonadError(
        "backend_unavailable",
        f"the embedded broker cannot listen on {HOST}:{candidates[0]} ({why}): stop what listens there, or set "
        "mqtt.host to a broker of your own",
        op="mqtt.broker",
    )
