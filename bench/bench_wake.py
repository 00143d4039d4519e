"""MQTT wake published (QoS 1) → `listening` seen by another client, through the whole daemon and a real Mosquitto."""

import asyncio
import socket
import sys
import time

import aiomqtt
from common import AUDIO, daemon, emit, mosquitto, spread

ROUNDS = 300
NODELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
V5 = aiomqtt.ProtocolVersion.V5


async def main(rounds: int) -> None:
    with mosquitto() as port:
        config = (
            f"[mqtt]\nhost = '127.0.0.1'\nport = {port}\n[web]\nenabled = false\n[transports.local]\nenabled = false\n"
            f"[transports.desk]\nkind = 'wav'\nmicrophone = ['{AUDIO}/this_is_a_test.wav']\nrealtime = true\n"
        )
        async with (
            daemon(config),
            aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY, protocol=V5) as publisher,
            aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY, protocol=V5) as observer,
        ):
            await observer.subscribe("vonad/bench/satellite/desk/state", qos=1)
            messages = observer.messages.__aiter__()

            async def until(state: str) -> float:
                while True:
                    message = await anext(messages)
                    if message.payload == state.encode():
                        return time.perf_counter()

            await until("idle")
            first, warm = [], []
            for number in range(rounds):
                begun = time.perf_counter()
                wake = asyncio.create_task(publisher.publish("vonad/bench/satellite/desk/wake", b"", qos=1))
                ms = (await until("listening") - begun) * 1000
                await wake
                (first if number == 0 else warm).append(ms)
                await publisher.publish("vonad/bench/satellite/desk/stop", b"", qos=1)
                await until("idle")
                await asyncio.sleep(0.01)
            emit("wake_to_listening_ms", {"p50": 2, "p99": 10}, **spread(warm), first=round(first[0], 2))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
