"""Last speech sample → first sample of the reply, real recordings through the default stack in real time."""

import asyncio
import json
import socket
import sys
from pathlib import Path

import aiomqtt
from common import AUDIO, daemon, emit, mosquitto, spread

COMMANDS = ("what_time_is_it", "whats_the_date_today", "turn_on_the_lamp", "set_timer")
NODELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
SKILLS = Path(__file__).parent.parent / "tests" / "e2e" / "lamp.py"


async def main(rounds: int) -> None:
    files = [f"{AUDIO}/{name}.wav" for name in COMMANDS] * rounds
    with mosquitto() as port:
        config = (
            f"[mqtt]\nhost = '127.0.0.1'\nport = {port}\n[web]\nenabled = false\n[transports.local]\nenabled = false\n"
            f"[transports.desk]\nkind = 'wav'\nmicrophone = {json.dumps(files)}\nrealtime = true\n"
        )
        async with (
            daemon(config, drop_ins=[SKILLS]),
            aiomqtt.Client("127.0.0.1", port, socket_options=NODELAY) as client,
        ):
            await client.subscribe("vonad/bench/session/+/event/turn.ended")
            whole, without = [], []
            messages = client.messages.__aiter__()
            for name in COMMANDS * rounds:
                await client.publish("vonad/bench/satellite/desk/wake", b"", qos=1)
                ended = json.loads((await anext(messages)).payload)["data"]
                if ended["outcome"] != "completed":
                    raise SystemExit(f"{name} ended {ended['outcome']}")
                stages = ended["stages"]
                whole.append(float(ended["first_audio_ms"]))
                without.append(float(stages["playback_started"]) - float(stages["endpoint"]))
            emit("speech_end_to_reply_ms", {"p50": 700}, **spread(whole, 1))
            emit("endpoint_to_reply_ms", {"p50": 60}, **spread(without, 1))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
