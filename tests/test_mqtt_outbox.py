"""The outbox: order, overtaking, what is dropped and what is never; and it never blocks."""

import asyncio
from contextlib import asynccontextmanager

import aiomqtt
import pytest

from vonad.mqtt.connection import WINDOW, ConnectionFailed
from vonad.mqtt.message import Outgoing, state
from vonad.mqtt.outbox import LIMIT, Outbox


class FakeClient:
    """Takes every message at once, and acknowledges what it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.acknowledges = asyncio.Event()
        self.acknowledges.set()
        self.fails = False

    async def publish(self, topic, payload, qos, retain, *, timeout):
        self.sent.append((topic, payload))
        if self.fails:
            raise aiomqtt.MqttError("gone")
        await self.acknowledges.wait()


@asynccontextmanager
async def sending(outbox: Outbox, client: FakeClient):
    outbox.open()
    outbox.arrive()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.send(client))
        yield task
        task.cancel()


def event(number: int) -> Outgoing:
    return Outgoing("event", str(number).encode())


async def test_what_is_put_is_sent_in_order():
    outbox, client = Outbox(), FakeClient()
    async with sending(outbox, client):
        for number in range(100):
            outbox.put(event(number))
        await outbox.flush(2)
    assert client.sent == [("event", str(number).encode()) for number in range(100)]
    assert outbox.counts == {"published": 100}


async def test_nothing_waits_for_the_acknowledgement_of_the_one_before():
    outbox, client = Outbox(), FakeClient()
    client.acknowledges.clear()
    async with sending(outbox, client):
        for number in range(WINDOW + 5):
            outbox.put(event(number))
        while len(client.sent) < WINDOW:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(client.sent) == WINDOW
        client.acknowledges.set()
        await outbox.flush(2)
    assert len(client.sent) == WINDOW + 5


async def test_states_overtake_events_and_keep_their_own_order():
    outbox, client = Outbox(), FakeClient()
    async with sending(outbox, client):
        outbox.put(event(1))
        outbox.put(state("state", b"listening"))
        outbox.put(state("state", b"processing"))
        await outbox.flush(2)
    assert client.sent == [("state", b"listening"), ("state", b"processing"), ("event", b"1")]


async def test_a_state_that_is_retained_already_is_not_sent_again_unless_insisted():
    outbox, client = Outbox(), FakeClient()
    async with sending(outbox, client):
        outbox.put(state("state", b"idle"))
        outbox.put(state("state", b"idle"))
        outbox.insist(state("state", b"idle"))
        await outbox.flush(2)
    assert client.sent == [("state", b"idle")] * 2


async def test_without_a_connection_the_newest_states_wait_and_events_are_dropped_and_counted():
    outbox = Outbox()
    for word in (b"listening", b"processing", b"idle"):
        outbox.put(state("state", word))
        outbox.put(event(1))
    outbox.put(state("gone", b"x"))
    outbox.put(state("gone", b""))
    assert list(outbox.truth) == [state("state", b"idle")]
    assert outbox.counts == {"dropped": 3}


async def test_events_wait_for_a_connection_that_is_being_made():
    outbox, client = Outbox(), FakeClient()
    outbox.open()
    outbox.put(event(1))
    async with sending(outbox, client):
        await outbox.flush(2)
    assert client.sent == [("event", b"1")]


async def test_of_too_many_events_the_oldest_go_and_no_state_does():
    outbox, client = Outbox(), FakeClient()
    outbox.open()
    outbox.arrive()
    for number in range(LIMIT + 50):
        outbox.put(event(number))
        outbox.put(state(f"state{number % 3}", str(number).encode()))
    assert outbox.counts == {"dropped": 50}
    async with sending(outbox, client):
        await outbox.flush(2)
    sent = dict(client.sent)
    assert {topic: int(payload) for topic, payload in sent.items() if topic != "event"} == {
        f"state{(LIMIT + 49 - back) % 3}": LIMIT + 49 - back for back in range(3)
    }
    assert next(payload for topic, payload in client.sent if topic == "event") == b"50"
    assert len(client.sent) < 2 * LIMIT + 10


async def test_a_publish_that_fails_ends_the_connection_and_is_counted():
    outbox, client = Outbox(), FakeClient()
    client.fails = True
    with pytest.RaisesGroup(pytest.RaisesGroup(ConnectionFailed)):
        async with sending(outbox, client) as task:
            outbox.put(event(1))
            await asyncio.wait({task})
    outbox.close()
    assert +outbox.counts == {"lost": 1}


async def test_flushing_takes_no_longer_than_allowed_and_nothing_without_a_connection():
    outbox, client = Outbox(), FakeClient()
    async with asyncio.timeout(1):
        await outbox.flush(60)
        client.acknowledges.clear()
        async with sending(outbox, client):
            outbox.put(event(1))
            await outbox.flush(0.05)
