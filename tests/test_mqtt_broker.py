"""The embedded broker, and the choice of a broker."""

import asyncio
import logging
import random
import socket
from pathlib import Path

import pytest

from tests.mqtt_house import PATIENCE_S, watching
from vonad import VonadError
from vonad.mqtt.broker import PORT_FILE, choose_broker
from vonad.mqtt.embedded import embedded_broker
from vonad.mqtt.loopback import PACKET_LIMIT
from vonad.settings import Mqtt

CONNECT = bytes([0x10, 16, 0, 4]) + b"MQTT" + bytes([4, 2, 0, 0, 0, 4]) + b"eve!"


async def sent(port: int, data: bytes) -> bytes:
    """What comes back before the broker cuts us off, or says no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(0.05):
            while piece := await reader.read(1000):
                answer += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return answer


async def is_alive(port: int) -> None:
    async with watching(port, "alive") as watcher:
        await watcher.client.publish("alive", b"yes", qos=1)
        await watcher.until(lambda w: ("alive", b"yes", False) in w.seen)


def broker_on(report: list, tmp_path: Path, **mqtt):
    def note(name, *, ok, detail=""):
        report.append((name, ok, detail))

    return choose_broker(Mqtt(**mqtt), tmp_path, report=note)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_client_that_speaks_mqtt_5_is_told_at_once_that_it_is_not_spoken_here():
    greeting = CONNECT.replace(b"MQTT\x04", b"MQTT\x05")
    async with embedded_broker() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(greeting)
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == bytes((0x20, 3, 0, 0x84, 0))
        writer.close()
        await is_alive(port)


async def test_it_listens_on_the_loopback_interface_only():
    async with embedded_broker() as port:
        lines = Path("/proc/net/tcp").read_text().splitlines()
        local = [line.split()[1] for line in lines if f":{port:04X} 00000000:0000" in line]
        assert local == [f"0100007F:{port:04X}"]
        assert 20_000 <= port < 32_000


async def test_no_message_waits_for_nagle_on_its_side():
    async with embedded_broker() as port, watching(port, "x") as watcher:
        await watcher.client.publish("x", b"1", qos=1)
        (sockets,) = [server.sockets for server in _servers()]
        assert sockets
        fds = [transport.get_extra_info("socket") for transport in _transports()]
        served = [fd for fd in fds if fd is not None and fd.getsockname()[1] == port]
        assert served
        assert all(fd.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for fd in served)


def _objects(kind):
    import gc

    return [thing for thing in gc.get_objects() if isinstance(thing, kind)]


def _servers():
    return [server for server in _objects(asyncio.Server) if server.is_serving()]


def _transports():
    return [transport for transport in _objects(asyncio.Transport) if not transport.is_closing()]


async def test_retained_messages_reach_only_who_subscribed_to_them():
    """amqtt 0.12.1 sends what any client's filter matches to every client that connects. Keep while it is pinned."""
    async with embedded_broker() as port, watching(port, "private/#") as owner:
        await owner.client.publish("private/diary", b"dear diary", qos=1, retain=True)
        await owner.until(lambda w: w.seen)
        async with watching(port, "public/#") as stranger:
            await stranger.client.publish("public/x", b"hello", qos=1)
            await stranger.until(lambda w: w.seen)
            assert stranger.seen == [("public/x", b"hello", False)]
        async with watching(port, "private/+") as friend:
            await friend.until(lambda w: w.seen)
            assert friend.seen == [("private/diary", b"dear diary", True)]


async def test_a_retained_message_can_be_cleared():
    async with embedded_broker() as port, watching(port, "a") as owner:
        await owner.client.publish("a", b"1", qos=1, retain=True)
        await owner.client.publish("a", b"", qos=1, retain=True)
        await owner.until(lambda w: len(w.seen) == 2)
        async with watching(port, "a", "b") as late:
            await late.client.publish("b", b"end", qos=1)
            await late.until(lambda w: w.seen)
            assert late.seen == [("b", b"end", False)]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\xff",
        CONNECT + CONNECT,
        CONNECT + b"\x00\x00",
        CONNECT + b"\xf0\x00",
        CONNECT + b"\x30\x00",
        CONNECT + b"\x32\x03\x00\x00\x00",
        CONNECT + b"\x30\x05\x00\x02\xff\xfe1",
        CONNECT + b"\x30\x05\x00\x02a\x001",
        CONNECT + b"\x30\xff\xff\xff\x7f" + b"a" * 1000,
        CONNECT + b"\x30\x0a\x00\x50abc",
        CONNECT + b"\x82\x05\x00\x01\x00\x00\x00",
        CONNECT + b"\x82\x0a\x00\x01\x00\x05a/#/b\x05",
        CONNECT + b"\x40\x02\x00\x09",
    ],
    ids=lambda data: data[:40].hex() or "nothing",
)
async def test_whatever_a_client_sends_the_others_are_served(garbage, caplog):
    async with embedded_broker() as port:
        await sent(port, garbage)
        await is_alive(port)


async def test_random_bytes_do_not_end_it(caplog):
    rng = random.Random(1)
    async with embedded_broker() as port:
        for _ in range(20):
            await sent(port, CONNECT + rng.randbytes(60))
        await is_alive(port)


async def test_a_client_that_sends_too_much_is_cut_off(caplog):
    length = PACKET_LIMIT + 100
    remaining = bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14 & 0x7F | 0x80, length >> 21])
    async with embedded_broker() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CONNECT + b"\x30" + remaining + b"\x00\x01x" + b"x" * 1000)
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b"\x20\x02\x00\x00"  # welcome, then the end
        writer.transport.abort()
        await is_alive(port)


async def test_it_stops_at_once_though_clients_linger(caplog):
    async with asyncio.timeout(2), embedded_broker() as port:
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        _, rude = await asyncio.open_connection("127.0.0.1", port)
        rude.write(CONNECT)
        await is_alive(port)
    silent.transport.abort()
    rude.transport.abort()


async def test_its_port_is_free_again_after_the_end():
    async with embedded_broker() as port:
        pass
    async with embedded_broker(port) as again:
        assert again == port
        await is_alive(again)


async def test_somebody_who_looks_whether_it_listens_is_no_news(caplog):
    async with embedded_broker() as port:
        await sent(port, b"")
        await is_alive(port)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_a_taken_port_is_a_sentence_with_the_remedy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            VonadError, match=f"cannot listen on 127.0.0.1:{port} .*: stop what listens there"
        ) as caught:
            async with embedded_broker(port):
                pass
    assert caught.value.code == "backend_unavailable"


async def test_without_any_broker_the_embedded_one_is_chosen_and_keeps_its_port(tmp_path):
    nobody = free_port()
    ports = []
    for _ in range(2):
        async with broker_on([], tmp_path, port=nobody) as broker:
            assert broker.embedded
            ports.append(broker.port)
            await is_alive(broker.port)
    assert ports == [ports[0]] * 2 == [int((tmp_path / PORT_FILE).read_text())] * 2


@pytest.mark.parametrize("kept", ["", "many", "0", "99999", "\xff"])
async def test_a_port_file_that_is_none_is_written_anew(tmp_path, kept):
    (tmp_path / PORT_FILE).write_text(kept, encoding="latin-1")
    async with broker_on([], tmp_path, port=free_port()) as broker:
        assert int((tmp_path / PORT_FILE).read_text()) == broker.port


async def test_a_kept_port_that_is_taken_is_reported_and_the_rest_of_the_house_goes_on(tmp_path, caplog):
    report: list = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (tmp_path / PORT_FILE).write_text(str(taken.getsockname()[1]))
        async with broker_on(report, tmp_path, port=free_port()) as broker:
            assert broker is None
    ((name, ok, detail),) = report
    assert (name, ok) == ("mqtt", False)
    assert f"delete {tmp_path / PORT_FILE} for another port" in detail


async def test_a_state_directory_that_cannot_be_written_is_only_a_warning(tmp_path, caplog):
    (tmp_path / "state").write_text("a file, no directory")
    async with broker_on([], tmp_path / "state", port=free_port()) as broker:
        assert broker.embedded
    assert "cannot be kept" in caplog.text


async def test_mqtt_that_is_off_has_no_broker(tmp_path):
    async with broker_on([], tmp_path, enabled=False) as broker:
        assert broker is None
    assert not list(tmp_path.iterdir())


async def test_a_broker_that_is_configured_is_used_whether_it_answers_or_not(tmp_path):
    async with broker_on([], tmp_path, host="broker.example", port=1234, username="u", password="p") as broker:
        assert (broker.host, broker.port, broker.username, broker.password) == ("broker.example", 1234, "u", "p")
        assert not broker.embedded
        assert "p'" not in repr(broker)


async def test_a_broker_on_this_machine_is_used(tmp_path):
    async with embedded_broker() as port, broker_on([], tmp_path, port=port) as broker:
        assert (broker.port, broker.embedded) == (port, False)


@pytest.mark.real("mosquitto")
async def test_mosquitto_on_this_machine_is_used(mosquitto, tmp_path):
    async with broker_on([], tmp_path, port=mosquitto.port) as broker:
        assert (broker.port, broker.embedded) == (mosquitto.port, False)


@pytest.mark.real("mosquitto")
async def test_a_broker_on_this_machine_that_refuses_us_is_used_so_that_its_owner_learns_why(mosquitto_with, tmp_path):
    mosquitto = mosquitto_with("listener {port} 127.0.0.1\nallow_anonymous false\n")
    async with broker_on([], tmp_path, port=mosquitto.port) as broker:
        assert (broker.port, broker.embedded) == (mosquitto.port, False)


async def test_what_listens_on_the_usual_port_but_is_no_broker_is_not_used(tmp_path, caplog):
    async def mute(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with broker_on([], tmp_path, port=port) as broker:
            assert broker.embedded
    assert f"what listens at 127.0.0.1:{port} is no MQTT broker" in caplog.text
