"""How the API is served: socket, port, limits, stopping."""

import asyncio
import json
import socket
import stat
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest
import uvicorn
import uvloop

from tests.web_house import served
from vonad import VonadError
from vonad.web import server as web_server
from vonad.web.sockets import listen_port, listen_unix


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def raw(world, request: bytes) -> tuple[str, dict]:
    """The status line and the JSON body of what is answered to these bytes."""
    reader, writer = await asyncio.open_unix_connection(str(world.socket))
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode(), json.loads(body)


def test_the_socket_is_private_to_owner_and_group_and_gone_afterwards(tmp_path):
    path = tmp_path / "vonad.sock"
    with listen_unix(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert list(tmp_path.iterdir()) == [path]
    assert not list(tmp_path.iterdir())


def test_the_socket_of_a_daemon_that_died_is_replaced(tmp_path):
    path = tmp_path / "vonad.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with listen_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_the_socket_of_a_living_daemon_is_left_alone(tmp_path):
    path = tmp_path / "vonad.sock"
    with listen_unix(path):
        with pytest.raises(VonadError, match="another daemon answers"), listen_unix(path):
            pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_file_in_the_way_is_not_removed(tmp_path):
    path = tmp_path / "vonad.sock"
    path.write_text("mine")
    with pytest.raises(VonadError, match="not a socket"), listen_unix(path):
        pass
    assert path.read_text() == "mine"


def test_a_path_too_long_for_a_socket_address_works(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with listen_unix(deep / "vonad.sock"):
        assert stat.S_ISSOCK((deep / "vonad.sock").stat().st_mode)
        with pytest.raises(VonadError, match="another daemon answers"), listen_unix(deep / "vonad.sock"):
            pass


def test_a_port_that_is_taken_is_told_with_the_remedy():
    port = free_port()
    with listen_port(port), pytest.raises(VonadError, match=r"web\.port"), listen_port(port):
        pass


async def test_a_taken_port_is_a_warning_and_the_socket_still_answers(tmp_path, caplog):
    port = free_port()
    with listen_port(port):
        async with served(tmp_path, port=port) as world, world.client() as client:
            assert (await client.get("/readyz")).status_code == 200
    assert f"port {port}" in caplog.text
    assert "web.enabled = false" in caplog.text


async def test_the_port_answers_health_and_nothing_else(tmp_path):
    async with served(tmp_path, port=free_port()) as world:
        async with httpx.AsyncClient(verify=False, base_url=f"http://127.0.0.1:{world.port}") as client:
            health = await client.get("/healthz")
            assert health.status_code == 200
            assert "parts" not in health.json()
            assert (await client.get("/readyz")).status_code == 200
            for path in ("/api/history", "/api/docs", "/api/openapi.json", "/nothing"):
                answer = await client.get(path)
                assert answer.status_code == 401
                assert answer.json()["error"]["code"] == "unauthorized"
                assert "vonad.sock" in answer.json()["error"]["message"]
            assert (await client.post("/api/satellites/desk/wake")).status_code == 401
        assert world.house.woken == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8470", "127.0.0.1.evil.example", "a@localhost", ""])
async def test_the_port_refuses_other_names(tmp_path, host):
    async with (
        served(tmp_path, port=free_port()) as world,
        httpx.AsyncClient(verify=False, base_url=f"http://127.0.0.1:{world.port}") as client,
    ):
        answer = await client.get("/healthz", headers={"host": host})
        assert answer.status_code == 421
        assert answer.json()["error"]["code"] == "wrong_host"
        for good in (f"localhost:{world.port}", "127.0.0.1", "[::1]:80"):
            assert (await client.get("/healthz", headers={"host": good})).status_code == 200


BROKEN = {
    "two lengths": b"POST /api/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x00\xa5 hello\r\n\r\n",
    "a head without end": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000,
    "an impossible length": b"POST /api/reload HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
}


@pytest.mark.parametrize("request_", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_not_http_is_refused_in_our_form(tmp_path, request_, caplog):
    async with served(tmp_path) as world:
        status, body = await raw(world, request_)
        assert status.startswith("HTTP/1.1 400")
        assert body["error"]["code"] == "malformed"
        assert body["error"]["request_id"]
    assert not caplog.records


async def test_a_declared_length_of_gigabytes_is_refused_at_once(tmp_path):
    async with served(tmp_path) as world:
        request = b"POST /api/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4000000000\r\n\r\n"
        status, body = await raw(world, request)
    assert status.startswith("HTTP/1.1 413")
    assert body["error"]["code"] == "body_too_large"


async def test_a_head_that_never_ends_is_cut_and_others_are_served(tmp_path, monkeypatch):
    monkeypatch.setattr(web_server, "STALLED_S", 0.1)
    async with served(tmp_path) as world, world.client() as client:
        reader, writer = await asyncio.open_unix_connection(str(world.socket))
        writer.write(b"GET /healthz HTT")
        assert (await client.get("/healthz")).status_code == 200
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 10)
        writer.close()


async def test_connections_are_capped(tmp_path, monkeypatch):
    monkeypatch.setattr(web_server, "CONNECTIONS", 2)
    async with served(tmp_path) as world:
        kept = [await asyncio.open_unix_connection(str(world.socket)) for _ in range(2)]
        for _, writer in kept:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for reader, _ in kept:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        reader, extra = await asyncio.open_unix_connection(str(world.socket))
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 10)
        for _, writer in [*kept, (None, extra)]:
            writer.close()


async def test_stopping_ends_event_streams_and_leaves_no_socket(tmp_path):
    async with served(tmp_path) as world, world.client() as client, client.stream("GET", "/api/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": vonad"
        began = time.monotonic()
        world.stop.set()
        await asyncio.wait_for(world.done.wait(), 5)
        assert time.monotonic() - began < 2
    assert not world.socket.exists()


async def test_a_house_in_which_nobody_asks_is_left_alone_and_answers_have_a_date(tmp_path, monkeypatch):
    looks = []
    tick = uvicorn.Server.on_tick

    async def counted(server, counter):
        looks.append(counter)
        return await tick(server, counter)

    monkeypatch.setattr(uvicorn.Server, "on_tick", counted)
    monkeypatch.setattr(web_server, "DATE_S", 3600.0)
    async with served(tmp_path) as world, world.client() as client:
        for _ in range(3):
            date = parsedate_to_datetime((await client.get("/readyz")).headers["date"])
            assert abs((datetime.now(UTC) - date).total_seconds()) < 60
        assert looks == [0]
    assert looks == [0, 0]


def test_it_is_served_on_uvloop_too(tmp_path):
    async def story() -> None:
        async with served(tmp_path, port=free_port()) as world, world.client() as client:
            assert (await client.get("/readyz")).json() == {"ready": True}
            assert "parts" in (await client.get("/healthz")).json()
            async with httpx.AsyncClient(verify=False, base_url=f"http://127.0.0.1:{world.port}") as stranger:
                assert (await stranger.get("/api/history")).status_code == 401

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
