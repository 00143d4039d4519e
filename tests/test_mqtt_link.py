"""The MQTT face on real brokers, the embedded one and Mosquitto: what others see, and what they can do."""

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiomqtt import ProtocolVersion

from tests.mqtt_house import BASE, PATIENCE_S, FakeHouse, served, watching
from tests.parts.mosquitto import Mosquitto
from vonad import Event
from vonad.mqtt.connection import Broker, ConnectionFailed, connect
from vonad.mqtt.embedded import embedded_broker
from vonad.mqtt.message import Outgoing
from vonad.mqtt.presence import AlreadyRunning
from vonad.plan import ContextEvent


@dataclass
class Place:
    port: int
    speaks: ProtocolVersion | None = None


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.real("mosquitto"))])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    if request.param == "mosquitto":
        yield Place(request.getfixturevalue("mosquitto").port)
        return
    async with embedded_broker() as port:
        yield Place(port, ProtocolVersion.V311)


def serve(house: FakeHouse, place: Place, **options):
    return served(house, place.port, speaks=place.speaks, **options)


async def test_a_daemon_says_online_what_it_is_and_what_is_true_and_offline_when_it_stops(place):
    house = FakeHouse("desk")
    async with watching(place.port) as watcher:
        async with serve(house, place):
            await watcher.saw("satellite/desk/state", b"idle")
            async with watching(place.port) as late:
                await late.saw("satellite/desk/state", b"idle")
                await late.saw("info", b'{"version":"1","node":"home","satellites":["desk"]}')
                assert late.retained().keys() == {
                    "status",
                    "info",
                    "satellite/desk/availability",
                    "satellite/desk/state",
                    "satellite/desk/attributes",
                }
                assert late.retained()["status"] == b"online"
        await watcher.saw("status", b"offline")
        assert watcher.payloads("status") == [b"online", b"offline"]


async def test_a_wake_is_answered_by_the_state(place):
    house = FakeHouse("desk")
    async with watching(place.port) as watcher, serve(house, place):
        await watcher.publish("satellite/desk/wake", b'{"id":"w1"}')
        await watcher.saw("satellite/desk/state", b"listening")
        await watcher.told("satellite/desk/event", event_type="wake_accepted", id="w1")
        await watcher.told("session/s1/state", state="listening", satellite="desk")
        await watcher.told("session/s1/event/session.state", type="session.state", v=1)


async def test_text_say_and_stop_reach_the_house_and_errors_come_back(place):
    house = FakeHouse("desk")
    async with watching(place.port) as watcher, serve(house, place):
        await watcher.publish("satellite/desk/text", b"hello")
        await watcher.publish("satellite/desk/say", b'{"text":"dinner","id":"a1"}')
        await watcher.publish("satellite/desk/stop")
        await watcher.publish("satellite/desk/text", b'{"text":')
        await watcher.told("satellite/desk/event", event_type="error", code="malformed", op="mqtt.text")
        await watcher.publish("satellite/attic/say", b"dinner")
        await watcher.told("event", event_type="error", code="not_found", satellite="attic")
        assert house.texts == [("desk", "hello", None)]
        assert house.says == [("desk", "dinner", "a1", 0, False)]
        assert house.stops == ["desk"]


async def test_vona_external_context_event_over_mqtt_reaches_the_session_and_what_became_of_it_is_told(place):
    house = FakeHouse("desk")
    house.sessions["desk"] = "s1"
    async with watching(place.port) as watcher, serve(house, place):
        await watcher.publish("session/s1/inject", b'{"source":"doorbell","payload":{"who":"post"},"mode":"steer"}')
        told = await watcher.told("session/s1/event/context.injected", type="context.injected")
        assert told["data"] == {"source": "doorbell", "mode": "steer", "applied": "steered"}
        assert house.injected == [("s1", ContextEvent(source="doorbell", payload={"who": "post"}), "steer")]
        await watcher.publish("session/s9/inject", b'{"source":"doorbell","id":"i1"}')
        await watcher.told("event", event_type="error", code="session_not_found", op="mqtt.inject", id="i1")


async def test_an_announcement_s_end_is_told_with_its_state(place):
    house = FakeHouse("desk")
    async with watching(place.port) as watcher, serve(house, place):
        await watcher.publish("satellite/desk/say", b'{"text":"bins","id":"a1","preannounce":true,"durable":true}')
        await watcher.publish("satellite/desk/text", b'{"text":"hello","on_busy":"queue"}')
        await watcher.until(lambda _: house.queued)
        assert house.say_options == {"preannounce": True, "durable": True}
        ended = {"id": "a1", "ok": False, "reason": "stopped", "state": "cancelled"}
        house.bus.publish(Event("say.finished", ended, "desk"))
        await watcher.told("satellite/desk/event", event_type="say_finished", **ended)


async def test_order_is_kept_on_each_topic(place):
    house = FakeHouse("desk")
    words = ["listening", "processing", "responding", "idle"] * 20
    states = {"listening": "listening", "processing": "processing", "responding": "speaking", "idle": "idle"}
    async with watching(place.port) as watcher, serve(house, place):
        for word in words:
            house.bus.publish(Event("session.state", {"state": states[word]}, "desk", "s1"))
        await watcher.until(lambda w: len(w.payloads("satellite/desk/state")) == len(words) + 1)
        assert [payload.decode() for payload in watcher.payloads("satellite/desk/state")] == ["idle", *words]
        await watcher.until(lambda w: len(w.payloads("session/s1/state")) == len(words))
        told = [said["seq"] for said in watcher.objects("session/s1/state")]
        assert told == sorted(told)


async def test_a_retained_wake_opens_nothing_and_is_refused_at_each_connection(place):
    async with watching(place.port) as watcher:
        await watcher.publish("satellite/desk/wake", b'{"id":"old"}', retain=True)
        for count in (1, 2):
            house = FakeHouse("desk")
            async with serve(house, place):
                await watcher.until(lambda w, count=count: len(w.payloads("satellite/desk/event")) == count)
                (wake,) = house.wakes
                assert wake.retained
                assert house.bus.counts["wake.refused"] == 1
        refusals = watcher.objects("satellite/desk/event")
        assert [(said["event_type"], said["reason"]) for said in refusals] == [("wake_refused", "retained")] * 2
    async with watching(place.port, f"{BASE}/satellite/desk/wake") as watcher:
        await watcher.saw("satellite/desk/wake", b'{"id":"old"}')  # it is not ours to clear


async def test_satellites_that_are_no_more_are_cleared_from_the_broker(place):
    async with watching(place.port) as other:
        for leaf in ("availability", "state", "attributes", "transcript"):
            await other.publish(f"satellite/attic/{leaf}", b"old", retain=True)
        await other.publish("satellite/desk/transcript", b"words of yesterday", retain=True)
        await other.publish("satellite/desk/state", b"responding", retain=True)
        await other.publish("satellite/attic/note", b"not ours", retain=True)
        house = FakeHouse("desk")
        async with serve(house, place):
            await other.until(
                lambda w: all(
                    b"" in w.payloads(f"satellite/{leaf}")
                    for leaf in ("attic/state", "attic/availability", "attic/attributes", "attic/transcript")
                )
            )
            await other.saw("satellite/desk/transcript", b"")
            async with watching(place.port) as late:
                await late.until(lambda w: "satellite/attic/note" in w.retained())
                await late.saw("satellite/desk/state", b"idle")
                assert {topic for topic in late.retained() if "attic" in topic} == {"satellite/attic/note"}
                assert "satellite/desk/transcript" not in late.retained()


async def test_words_the_owner_wants_retained_survive_a_restart_of_the_daemon(place):
    for _ in range(2):
        house = FakeHouse("desk")
        async with watching(place.port) as watcher, serve(house, place, publish_text="retained"):
            if not watcher.retained():
                house.bus.publish(Event("turn.final", {"turn_id": "t1", "text": "hello"}, "desk", "s1"))
            await watcher.told("satellite/desk/transcript", text="hello")


async def test_a_second_live_daemon_below_the_same_base_gives_way(place):
    async with watching(place.port) as watcher, serve(FakeHouse("desk"), place):
        with pytest.raises(ExceptionGroup) as caught:
            async with serve(FakeHouse("attic"), place, wait=False) as second:
                await asyncio.wait({second}, timeout=PATIENCE_S)
        (error,) = caught.value.exceptions
        assert isinstance(error, AlreadyRunning)
        assert "another vonad (vonad-home-" in error.message
        assert "give this one its own [node] id" in error.message
        await watcher.saw("satellite/desk/state", b"idle")
        assert watcher.payloads("status") == [b"online"]
        assert not watcher.payloads("satellite/attic/state")


async def test_the_online_of_a_daemon_that_died_unnoticed_keeps_nobody_out(place):
    async with watching(place.port) as watcher:
        await watcher.publish("status", b"online", retain=True)
        house = FakeHouse("desk")
        async with serve(house, place):
            await watcher.saw("satellite/desk/state", b"idle")


async def test_an_offline_that_is_not_true_is_put_right(place):
    async with watching(place.port) as watcher, serve(FakeHouse("desk"), place):
        await watcher.saw("status", b"online")
        await watcher.publish("status", b"offline", retain=True)  # the will of a connection that died long ago
        await watcher.until(lambda w: w.payloads("status") == [b"online", b"offline", b"online"])


async def test_a_satellite_that_comes_later_is_told(place):
    house = FakeHouse()
    async with watching(place.port) as watcher, serve(house, place):
        house.online.append("desk")
        house.bus.publish(Event("satellite.online", {"transport": "local"}, "desk"))
        await watcher.saw("satellite/desk/availability", b"online")
        await watcher.until(lambda w: any(said["satellites"] == ["desk"] for said in w.objects("info")))


async def test_what_happens_before_the_stop_is_published_before_offline(place):
    house = FakeHouse("desk")
    async with watching(place.port) as watcher:
        async with serve(house, place):
            for number in range(50):
                house.bus.publish(Event("say.finished", {"id": f"a{number}", "ok": True}, "desk"))
        await watcher.saw("status", b"offline")
        topics = [topic for topic, _, _ in watcher.seen]
        assert topics.count(f"{BASE}/satellite/desk/event") == 50
        assert topics[-1] == f"{BASE}/status"


async def test_cancelling_says_offline_too(place):
    async with watching(place.port) as watcher:
        async with serve(FakeHouse("desk"), place) as task:
            task.cancel()
            await asyncio.wait({task})
        await watcher.saw("status", b"offline")


@pytest.mark.real("mosquitto")
async def test_mqtt_5_is_spoken_where_the_broker_does(mosquitto):
    async with serve(FakeHouse("desk"), Place(mosquitto.port)):
        assert "(p5, c1, k9)" in mosquitto.log.read_text()  # version 5, clean, keepalive


async def test_where_mqtt_5_is_refused_3_1_1_is_spoken():
    async with embedded_broker() as port, serve(FakeHouse("desk"), Place(port)):
        pass


@pytest.mark.real("mosquitto")
async def test_no_message_waits_for_nagle(mosquitto, monkeypatch):
    options: list[tuple] = []
    original = socket.socket.setsockopt
    monkeypatch.setattr(
        socket.socket, "setsockopt", lambda self, *rest: (options.append(rest[:3]), original(self, *rest))[1]
    )
    async with serve(FakeHouse("desk"), Place(mosquitto.port)):
        assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in options


@pytest.mark.real("mosquitto")
async def test_what_is_posted_is_written_though_the_loop_has_other_things_to_do(mosquitto):
    broker = Broker(host="127.0.0.1", port=mosquitto.port)
    async with connect(broker, ProtocolVersion.V5, identifier="x", deliver=lambda _: None) as client:
        client.post(Outgoing("posted", b"now"))
        deadline = time.monotonic() + PATIENCE_S
        while "'posted'" not in mosquitto.log.read_text():  # nothing here gives way to the loop
            assert time.monotonic() < deadline


@pytest.mark.real("mosquitto")
@pytest.mark.parametrize("payload", [b"x" * 20_000, b"x" * 10_000_000], ids=["20 kB", "10 MB"])
async def test_a_wake_too_large_is_refused_and_counted(mosquitto, payload):
    house = FakeHouse("desk")
    async with watching(mosquitto.port, f"{BASE}/satellite/desk/event") as watcher, serve(house, Place(mosquitto.port)):
        await watcher.publish("satellite/desk/wake", payload)
        told = await watcher.told("satellite/desk/event", event_type="wake_refused", reason="malformed")
        assert "too large: payload: at most 16384 bytes" in told["detail"]


NO_ENTRANCE = """
listener {port} 127.0.0.1
allow_anonymous false
persistence false
set_tcp_nodelay true
"""


@pytest.mark.real("mosquitto")
@pytest.mark.parametrize(
    ("credentials", "sentence"),
    [
        ({}, "wants a user name and a password (Not authorized): set mqtt.username and mqtt.password_file"),
        ({"username": "eve", "password": "apple"}, "refuses user eve (Not authorized): correct mqtt.username"),
    ],
)
async def test_a_broker_that_refuses_us_is_reported_once_with_the_remedy(mosquitto_with, credentials, sentence, caplog):
    broker: Mosquitto = mosquitto_with(NO_ENTRANCE)
    house = FakeHouse("desk")
    async with served(house, broker.port, wait=False, **credentials):
        async with asyncio.timeout(PATIENCE_S):
            await house.ill.wait()
    assert len(house.health) == 1
    assert sentence in house.health[0][1]
    assert "apple" not in caplog.text + house.health[0][1]


ENCRYPTED = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
certfile {folder}/../cert.pem
keyfile {folder}/../key.pem
"""


def certificate(folder: Path) -> Path:
    """For 127.0.0.1, signed by itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    command = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run([openssl, *command.split(), *files], check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.mark.real("mosquitto")
async def test_tls_is_spoken_and_the_certificate_verified(mosquitto_with, tmp_path):
    ca_file = certificate(tmp_path)
    broker: Mosquitto = mosquitto_with(ENCRYPTED)
    async with served(FakeHouse("desk"), broker.port, ca_file=ca_file):
        assert "(p5, c1, k9)" in broker.log.read_text()


DISTRUST = """
import asyncio, sys
from aiomqtt import ProtocolVersion
from vonad.mqtt.connection import Broker, ConnectionFailed, connect
from vonad.mqtt.health import failed

async def main():
    broker = Broker(host="127.0.0.1", port=int(sys.argv[1]), tls=True)
    try:
        async with connect(broker, ProtocolVersion.V5, identifier="x", deliver=print):
            print("connected")
    except ConnectionFailed as failure:
        print(failed(broker, failure).detail)

asyncio.run(main())
"""


@pytest.mark.real("mosquitto")
async def test_a_certificate_that_nobody_vouches_for_is_reported_with_the_remedy(mosquitto_with, tmp_path):
    # In a process of its own: the socket that paho leaves to the collector would fail another test.
    certificate(tmp_path)
    broker: Mosquitto = mosquitto_with(ENCRYPTED)
    command = [sys.executable, "-c", DISTRUST, str(broker.port)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    assert f"TLS with the broker at 127.0.0.1:{broker.port} fails" in done.stdout
    assert "CERTIFICATE_VERIFY_FAILED" in done.stdout
    assert "set mqtt.ca_file to who signed its certificate" in done.stdout


async def test_a_host_name_that_can_be_none_is_reported():
    with pytest.raises(ConnectionFailed) as caught:
        async with connect(
            Broker(host="a" * 80 + "..b", port=1), ProtocolVersion.V5, identifier="x", deliver=lambda _: None
        ):
            pass
    assert caught.value.kind == "unreachable"


async def test_what_listens_but_is_no_broker_is_silent_and_leaves_nothing_open():
    async def mute(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        broker = Broker(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        with pytest.raises(ConnectionFailed) as caught:
            async with connect(broker, ProtocolVersion.V311, identifier="x", patience_s=0.1, deliver=lambda _: None):
                pass
    assert caught.value.kind == "silent"
