"""Events as a stream: what happens, what was missed, what was too much."""

import asyncio
import json

import pytest

from tests.web_house import served
from vonad import Event
from vonad.web import events as web_events
from vonad.web import server as web_server


@pytest.fixture
async def web(tmp_path):
    async with served(tmp_path) as world:
        yield world


class Reader:
    """Reads events off a response."""

    def __init__(self, response) -> None:
        assert response.headers["content-type"].startswith("text/event-stream")
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        """The next event's or comment's fields."""
        fields: dict[str, str] = {}
        while line := await asyncio.wait_for(anext(self._lines), 10):
            name, _, value = line.partition(": ")
            fields[name or "comment"] = value
        return fields


async def test_events_come_as_they_happen_with_their_envelope(web):
    async with web.client() as client, client.stream("GET", "/api/events") as response:
        reader = Reader(response)
        assert "comment" in await reader.next()
        web.bus.publish(Event("session.created", {"backend": "bridge"}, "desk", "s1"))
        told = await reader.next()
        assert told["event"] == "session.created"
        envelope = json.loads(told["data"])
        assert told["id"] == str(envelope["seq"])
        assert (envelope["satellite"], envelope["session_id"], envelope["node"]) == ("desk", "s1", "test")


async def test_a_reader_who_comes_back_gets_what_it_missed(web):
    for number in range(4):
        web.bus.publish(Event("latency.mark", {"stage": "stt", "ms": number}))
    async with web.client() as client, client.stream("GET", "/api/events", headers={"last-event-id": "2"}) as response:
        reader = Reader(response)
        await reader.next()
        assert [(await reader.next())["id"] for _ in range(2)] == ["3", "4"]
        web.bus.publish(Event("latency.mark", {"stage": "stt", "ms": 9}))
        assert (await reader.next())["id"] == "5"


async def test_what_is_no_longer_remembered_is_told_as_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(web_events, "REMEMBERED", 2)
    async with served(tmp_path) as web:
        for number in range(6):
            web.bus.publish(Event("latency.mark", {"stage": "stt", "ms": number}))
        await asyncio.sleep(0)
        headers = {"last-event-id": "1"}
        async with web.client() as client, client.stream("GET", "/api/events", headers=headers) as response:
            reader = Reader(response)
            await reader.next()
            gap = await reader.next()
            assert gap["event"] == "events_dropped"
            assert "id" not in gap
            envelope = json.loads(gap["data"])
            assert (envelope["data"], envelope["seq"]) == ({"count": 3}, 4)
            assert (await reader.next())["id"] == "5"


async def test_a_gap_in_what_is_remembered_is_nobodys_and_its_size_unknown_for_one_session(tmp_path, monkeypatch):
    monkeypatch.setattr(web_events, "REMEMBERED", 2)
    async with served(tmp_path) as web:
        for number in range(6):
            event = Event("latency.mark", {"stage": "stt", "ms": number}, "desk", "s1" if number % 2 else "s2", "c1", 1)
            web.bus.publish(event)
        await asyncio.sleep(0)
        headers = {"last-event-id": "1"}
        async with web.client() as client, client.stream("GET", "/api/sessions/s1/events", headers=headers) as response:
            reader = Reader(response)
            await reader.next()
            gap = json.loads((await reader.next())["data"])
            assert (gap["type"], gap["seq"], gap["data"]) == ("events_dropped", 4, {"count": None})
            assert [gap[key] for key in ("satellite", "session_id", "conversation_id", "turn")] == [None] * 4
            assert (await reader.next())["id"] == "6"


async def test_an_id_from_before_a_restart_starts_anew(web):
    web.bus.publish(Event("latency.mark", {"stage": "stt", "ms": 1}))
    headers = {"last-event-id": "5000"}
    async with web.client() as client, client.stream("GET", "/api/events", headers=headers) as response:
        reader = Reader(response)
        await reader.next()
        assert (await reader.next())["id"] == "1"


async def test_an_impossible_last_event_id_is_refused(web):
    async with web.client() as client:
        answer = await client.get("/api/events", headers={"last-event-id": "x" * 1000})
        assert answer.status_code == 400
        assert len(answer.text) < 400


async def test_a_session_s_stream_has_only_its_events_and_ends_with_it(web):
    async with web.client() as client, client.stream("GET", "/api/sessions/s1/events") as response:
        reader = Reader(response)
        await reader.next()
        web.bus.publish(Event("session.created", {}, session_id="other"))
        web.bus.publish(Event("session.closed", {"reason": "user_ended"}, session_id="s1"))
        assert (await reader.next())["event"] == "session.closed"
        with pytest.raises(StopAsyncIteration):
            await reader.next()


async def test_an_unknown_session_has_no_stream(web):
    async with web.client() as client:
        answer = await client.get("/api/sessions/s9/events")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "session_not_found"


async def test_quiet_is_filled_with_heartbeats(tmp_path, monkeypatch):
    monkeypatch.setattr(web_events, "HEARTBEAT_S", 0.02)
    async with served(tmp_path) as web, web.client() as client, client.stream("GET", "/api/events") as response:
        reader = Reader(response)
        await reader.next()
        assert (await reader.next())["comment"] == "still here"
        web.bus.publish(Event("latency.mark", {"stage": "stt", "ms": 1}))
        while "event" not in (told := await reader.next()):
            pass
        assert told["id"] == "1"


async def test_meerkat_subscribe_over_sse_a_slow_reader_is_told_how_many_events_are_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(web_events, "WAITING", 3)
    async with served(tmp_path) as web, web.client() as client, client.stream("GET", "/api/events") as response:
        reader = Reader(response)
        await reader.next()
        for number in range(10):
            web.bus.publish(Event("latency.mark", {"stage": "stt", "ms": number}))
        told = [json.loads((await reader.next())["data"]) for _ in range(4)]
        assert sorted(one["type"] for one in told) == ["events_dropped", *["latency.mark"] * 3]
        assert [one["data"]["ms"] for one in told if one["type"] == "latency.mark"] == [7, 8, 9]
        assert [one["data"]["count"] for one in told if one["type"] == "events_dropped"] == [7]


async def test_a_reader_who_stalls_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(web_server, "STALLED_S", 0.2)
    async with served(tmp_path) as web:
        reader, writer = await asyncio.open_unix_connection(str(web.socket), limit=1024)
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b": vonad")
        baseline = len(web.bus._mailboxes)
        while len(web.bus._mailboxes) == baseline:
            web.bus.publish(Event("transcript.final", {"text": "x" * 10_000}))
            await asyncio.sleep(0.001)
        writer.close()


async def test_readers_are_capped(tmp_path, monkeypatch):
    monkeypatch.setattr(web_events, "READERS", 1)
    async with served(tmp_path) as web, web.client() as client, client.stream("GET", "/api/events") as response:
        await Reader(response).next()
        answer = await client.get("/api/events")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "overload"


async def test_a_reader_who_leaves_is_forgotten(web):
    before = len(web.bus._mailboxes)
    async with web.client() as client, client.stream("GET", "/api/events") as response:
        await Reader(response).next()
        assert len(web.bus._mailboxes) == before + 1
    async with asyncio.timeout(5):
        while len(web.bus._mailboxes) > before:
            await asyncio.sleep(0.01)
