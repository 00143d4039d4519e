"""F01 to F10: what brokers, networks and other clients do to the MQTT face, and what it must survive."""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import aiomqtt
import pytest

from tests.faults.proxy import proxy_to
from tests.mqtt_house import BASE, PATIENCE_S, FakeHouse, served, watching
from tests.parts.mosquitto import OPEN
from vonad import Event, SystemClock

pytestmark = pytest.mark.real("mosquitto")

LOGGERS = "vonad.mqtt"


class HastyClock(SystemClock):
    """Pauses are noted, and short."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.enough = asyncio.Event()

    async def sleep(self, delay: float) -> None:
        self.pauses.append(delay)
        if len(self.pauses) >= 12:
            self.enough.set()
        await asyncio.sleep(0.02)


def lines(caplog, level: int = logging.INFO) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith(LOGGERS) and r.levelno >= level]


async def online(house: FakeHouse) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await house.ready.wait()


async def offline(house: FakeHouse, seconds: float = PATIENCE_S) -> None:
    async with asyncio.timeout(seconds):
        await house.ill.wait()


async def again(house: FakeHouse, times: int) -> None:
    """Online more often than it was."""
    async with asyncio.timeout(PATIENCE_S):
        while house.times_online == times:
            await asyncio.sleep(0.005)


# F01


async def test_f01_without_a_broker_it_tries_ever_more_slowly_and_says_so_once(mosquitto, caplog):
    caplog.set_level(logging.INFO, LOGGERS)
    mosquitto.stop()
    house, clock = FakeHouse("desk"), HastyClock()
    async with served(house, mosquitto.port, wait=False, clock=clock, seed=1):
        async with asyncio.timeout(PATIENCE_S):
            await clock.enough.wait()
        house.bus.publish(Event("session.state", {"state": "listening"}, "desk", "s1"))
        house.bus.publish(Event("say.finished", {"id": "a1", "ok": True}, "desk"))
        (down,) = lines(caplog)
        assert "no broker at 127.0.0.1" in down
        assert "start it, or set mqtt.host and mqtt.port; trying again" in down
        assert house.health == [(False, down.removeprefix("MQTT: "))]
        mosquitto.start()
        await online(house)
        async with watching(mosquitto.port) as watcher:
            await watcher.saw("status", b"online")
            await watcher.saw("satellite/desk/state", b"idle")  # as the house says now
            assert not watcher.payloads("satellite/desk/event"), "what was not retained is gone"
        assert len(lines(caplog)) == 2
        assert "MQTT 5: connected to" in lines(caplog)[1]
    pauses = clock.pauses
    assert all(1 <= pause <= 30 for pause in pauses)
    assert pauses[0] == 1
    assert pauses[3] < pauses[4] < pauses[5] < 30
    assert len(set(pauses[6:])) > 1, "without jitter all of a house's daemons come at once"
    assert all(pause >= 20 for pause in pauses[6:12])


# F02


async def test_f02_a_broker_restarted_twenty_times_knows_everything_again(mosquitto):
    house = FakeHouse("desk")
    tasks, descriptors = [], []
    async with served(house, mosquitto.port, clock=HastyClock()):
        for _ in range(20):
            times = house.times_online
            await asyncio.to_thread(mosquitto.restart)
            await again(house, times)
            async with watching(mosquitto.port) as watcher:
                await watcher.until(lambda w: "satellite/desk/state" in w.retained())
                assert watcher.retained()["status"] == b"online"
                assert watcher.retained()["satellite/desk/availability"] == b"online"
                await watcher.publish("satellite/desk/stop")
            tasks.append(len(asyncio.all_tasks()))
            descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
        async with asyncio.timeout(PATIENCE_S):
            while len(house.stops) < 20:
                await asyncio.sleep(0.01)
    assert tasks[-1] <= tasks[0] + 2
    assert descriptors[-1] <= descriptors[0] + 2


# F03


async def test_f03_a_half_open_connection_is_noticed_within_two_keepalives_and_blocks_nobody(mosquitto):
    house = FakeHouse("desk")
    keepalive_s = 2
    async with (
        proxy_to(mosquitto.port) as proxy,
        served(house, proxy.port, keepalive_s=keepalive_s, clock=HastyClock()),
    ):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1.5)  # the connection is quiet, so that only the keepalive can notice
        proxy.hold()
        held = loop.time()
        house.bus.publish(Event("session.state", {"state": "listening"}, "desk", "s1"))
        for _ in range(5_000):
            house.bus.publish(Event("reply.delta", {"text": "x"}, "desk", "s1"))
        assert loop.time() - held < 1, "publishing waited for the broker"
        await offline(house, 2 * keepalive_s + 0.5)
        assert loop.time() - held <= 2 * keepalive_s + 0.5
        assert proxy.held_bytes, "nothing was held back: the fault was not there"
        proxy.release()
        await online(house)


async def test_f03_a_broker_that_hangs_does_not_hold_up_the_end(mosquitto):
    house = FakeHouse("desk")
    async with asyncio.timeout(PATIENCE_S + 3):
        async with served(house, mosquitto.port):
            mosquitto.freeze()
            house.bus.publish(Event("session.state", {"state": "listening"}, "desk", "s1"))
    mosquitto.thaw()


# F04, F05


@pytest.mark.parametrize(
    ("slice_bytes", "delay_s"), [(1, 0.0), (100, 0.001), (0, 0.02)], ids=["bytes", "pieces", "slow"]
)
async def test_f04_a_slow_sliced_line_is_slow_and_nothing_else(mosquitto, slice_bytes, delay_s, caplog):
    house = FakeHouse("desk")
    async with proxy_to(mosquitto.port) as proxy, watching(mosquitto.port) as watcher:
        proxy.slice_bytes, proxy.delay_s = slice_bytes, delay_s
        async with served(house, proxy.port):
            for number in range(5):
                await watcher.publish("satellite/desk/wake", json.dumps({"id": f"w{number}"}))
            await watcher.until(lambda w: len(w.objects("satellite/desk/event")) == 5)
        assert proxy.connections == 1
    assert [wake.id for wake in house.wakes] == [f"w{number}" for number in range(5)]
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_f05_cut_in_the_middle_of_a_frame_it_comes_back_with_what_is_true(mosquitto, caplog):
    house = FakeHouse("desk")
    async with proxy_to(mosquitto.port) as proxy, watching(mosquitto.port) as watcher:
        async with served(house, proxy.port, clock=HastyClock()):
            for number in range(5):
                proxy.slice_bytes, proxy.delay_s = 3, 0.002
                for _ in range(10):
                    house.bus.publish(Event("say.finished", {"id": f"a{number}", "ok": True}, "desk"))
                await asyncio.sleep(0.02)
                times = house.times_online
                proxy.reset()
                proxy.slice_bytes, proxy.delay_s = 0, 0.0
                await again(house, times)
            await watcher.until(lambda w: w.payloads("status")[-1] == b"online")
        assert proxy.connections >= 6
        await watcher.until(lambda w: w.payloads("status")[-1] == b"offline")
    assert not [record for record in caplog.records if record.name == "asyncio"], caplog.text


# F06, F07


async def test_f06_a_wake_delivered_twice_is_judged_twice_and_its_id_is_kept(mosquitto):
    house = FakeHouse("desk")
    async with watching(mosquitto.port) as watcher, served(house, mosquitto.port):
        for _ in range(2):
            await watcher.publish("satellite/desk/wake", b'{"id":"w1"}')
        await watcher.until(lambda w: len(w.objects("satellite/desk/event")) == 2)
    assert [wake.id for wake in house.wakes] == ["w1", "w1"]


async def test_f07_a_wake_sent_while_we_were_away_is_never_delivered(mosquitto):
    house = FakeHouse("desk")
    async with (
        proxy_to(mosquitto.port) as proxy,
        watching(mosquitto.port) as watcher,
        served(house, proxy.port, clock=HastyClock()),
    ):
        proxy.hold()
        await watcher.publish("satellite/desk/wake", b'{"id":"lost"}')
        proxy.reset()
        await offline(house)
        await watcher.publish("satellite/desk/wake", b'{"id":"early"}')
        proxy.release()
        await online(house)
        await watcher.publish("satellite/desk/wake", b'{"id":"live"}')
        await watcher.told("satellite/desk/event", event_type="wake_accepted", id="live")
    assert [wake.id for wake in house.wakes if wake.id != "early"] == ["live"]
    assert "lost" not in [wake.id for wake in house.wakes]


# F08


async def test_f08_a_client_id_that_is_taken_is_given_up_where_the_broker_does_not_say_so(mosquitto):
    house = FakeHouse("desk")
    async with watching(mosquitto.port) as watcher, served(house, mosquitto.port, clock=HastyClock()):
        ours = watcher.objects("selftest")[0]["instance"]
        times = house.times_online
        async with aiomqtt.Client("127.0.0.1", mosquitto.port, identifier=ours) as thief:
            await again(house, times)
            await thief.publish(f"{BASE}/satellite/desk/stop", qos=1)  # both live
            await watcher.until(lambda w: w.payloads("status")[-2:] == [b"offline", b"online"])


async def test_f08_three_takeovers_of_our_client_id_in_a_minute_are_enough(caplog):
    welcome, taken_over = b"\x20\x03\x00\x00\x00", b"\xe0\x02\x8e\x00"
    greetings: list[bytes] = []

    async def take_over(reader, writer):
        greetings.append(await reader.read(1000))
        writer.write(welcome + taken_over)
        await reader.read()
        writer.close()

    house = FakeHouse("desk")
    async with await asyncio.start_server(take_over, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with served(house, port, wait=False, clock=HastyClock()):
            async with asyncio.timeout(PATIENCE_S):
                while len(house.health) < 2:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)  # ten of its hasty pauses
            assert len(greetings) == 3
            ((_, first), (_, last)) = house.health
    assert "another client took our client id" in first
    assert "another client keeps taking our client id vonad-home-" in last
    assert "stop it, then restart vonad" in last
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.getMessage() == f"MQTT: {last}"


# F09


ACL = OPEN + "acl_file {folder}/../acl\n"


@pytest.mark.parametrize(
    ("rules", "verb", "topic"),
    [
        ("topic write #", "publish to", "vonad/home/selftest"),
        ("topic read #", "publish to", "vonad/home/selftest"),
        ("topic readwrite +/+/selftest\ntopic readwrite +/+/status", "publish to", "vonad/home/info"),
        ("topic readwrite #\ntopic deny +/+/satellite/+/state", "publish to", "vonad/home/satellite/desk/state"),
    ],
    ids=["reading", "writing", "info", "one leaf"],
)
async def test_f09_what_the_access_list_denies_is_named(mosquitto_with, tmp_path, rules, verb, topic):
    (tmp_path / "acl").write_text(f"{rules}\n")
    broker = mosquitto_with(ACL)
    house = FakeHouse("desk")
    async with served(house, broker.port, wait=False, clock=HastyClock()):
        async with asyncio.timeout(PATIENCE_S):
            while not any("does not let" in detail for _, detail in house.health):
                await asyncio.sleep(0.01)
        ok, detail = house.health[-1]
        assert not ok
        assert f"does not let clients without a user name {verb} {topic}: allow both on vonad/home/#" in detail
        assert [ok for ok, _ in house.health] == [False] * len(house.health)


@pytest.mark.parametrize("rule", ["topic read #", "topic write #"])
async def test_f09_once_the_access_list_is_mended_all_is_well(mosquitto_with, tmp_path, rule):
    acl = tmp_path / "acl"
    acl.write_text(f"{rule}\n")
    broker = mosquitto_with(ACL)
    house = FakeHouse("desk")
    async with served(house, broker.port, wait=False, clock=HastyClock()):
        await offline(house)
        acl.write_text("topic readwrite #\n")
        broker.reread()
        await online(house)


# F10


def resident() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


FLOOD = """
import sys, time, paho.mqtt.client as mqtt
port, topic, size, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.connect("127.0.0.1", port)
client.loop_start()
begun = time.monotonic()
for number in range(count):
    payload = b"x" * size or b'{"id":"%d"}' % number
    sent = client.publish(topic, payload, qos=1 if size else 0)
    if size:
        sent.wait_for_publish(10)
    time.sleep(max(0, begun + number / 5000 - time.monotonic()))
client.disconnect()
client.loop_stop()
"""


async def flood(port: int, size: int, count: int) -> None:
    topic = f"{BASE}/satellite/desk/wake"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FLOOD, str(port), topic, str(size), str(count))
    assert await process.wait() == 0


async def test_f10_a_flood_of_wakes_is_counted_to_the_last(mosquitto):
    house = FakeHouse("desk")
    async with served(house, mosquitto.port):
        await flood(mosquitto.port, 0, 5_000)
        async with asyncio.timeout(PATIENCE_S):
            while house.bus.counts["wake.accepted"] + house.bus.counts["wake.refused"] < 5_000:
                await asyncio.sleep(0.01)
        assert house.bus.counts["wake.accepted"] + house.bus.counts["wake.refused"] == 5_000
        async with watching(mosquitto.port) as watcher:
            await watcher.publish("satellite/desk/stop")
            await watcher.saw("status", b"online")
        assert [ok for ok, _ in house.health] == [True]


async def test_f10_payloads_of_ten_megabytes_are_refused_and_cost_little_memory(mosquitto):
    house = FakeHouse("desk")
    async with served(house, mosquitto.port):
        before = peak = resident()
        flooding = asyncio.ensure_future(flood(mosquitto.port, 10_000_000, 15))
        while not flooding.done() or len(house.refused) < 15:
            await asyncio.sleep(0.002)
            peak = max(peak, resident())
    assert {refusal["reason"] for refusal in house.refused} == {"malformed"}
    assert peak - before < 50_000_000
