"""The outbox: order, overtaking, what is dropped and what is never; and it never blocks."""

import asyncio
from contextlib import asynccontextmanager

import aiomqtt
import pytest

from vonad.mqtt.connection import WINDOW, ConnectionFailed
from vonad.mqtt.message import Outgoing, state
from vonad.mqtt.outbox import ACKNOWLEDGED_S, LIMIT, Outbox
from vonad.testing import ManualClock


class FakeClient:
    """Takes every message at once, and acknowledges it when told to, or soon."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.on_posted = None
        self.silent = False
        self.fails = False

    def post(self, message: Outgoing) -> int | None:
        if self.fails:
            raise aiomqtt.MqttError("gone")
        self.sent.append((message.topic, message.payload))
        if message.qos == 0:
            return None
        number = len(self.sent)
        if not self.silent:
            asyncio.get_running_loop().call_soon(self.acknowledge, number)
        return number

    def acknowledge(self, number: int) -> None:
        if self.on_posted:
            self.on_posted(number)


@asynccontextmanager
async def sending(outbox: Outbox, client: FakeClient):
    outbox.open()
    outbox.arrive(client)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.send())
        yield task
        task.cancel()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def event(number: int, *, qos: int = 1):
    return lambda: [Outgoing("event", str(number).encode(), qos)]


async def test_what_is_put_is_sent_in_order():
    outbox, client = Outbox(ManualClock()), FakeClient()
    async with sending(outbox, client):
        for number in range(100):
            outbox.tell(event(number))
        await outbox.flush(2)
    assert client.sent == [("event", str(number).encode()) for number in range(100)]
    assert outbox.counts["published"] == 100


async def test_nothing_waits_for_the_acknowledgement_of_the_one_before():
    outbox, client = Outbox(ManualClock()), FakeClient()
    client.silent = True
    async with sending(outbox, client):
        for number in range(WINDOW + 5):
            outbox.tell(event(number))
        await turns()
        assert len(client.sent) == WINDOW
        for number in range(1, 4):
            client.acknowledge(number)
        await turns()
        assert len(client.sent) == WINDOW + 3


async def test_a_state_is_on_its_way_before_put_returns():
    outbox, client = Outbox(ManualClock()), FakeClient()
    async with sending(outbox, client):
        outbox.put(state("state", b"listening"))
        assert client.sent == [("state", b"listening")]


async def test_a_state_for_a_broker_that_lags_waits_and_nobody_with_it():
    outbox, client = Outbox(ManualClock()), FakeClient()
    client.silent = True
    async with sending(outbox, client):
        for number in range(WINDOW + 2):
            outbox.put(state("state", str(number).encode()))
        assert len(client.sent) == WINDOW
        for number in range(1, WINDOW + 1):
            client.acknowledge(number)
        await turns()
        assert [payload for _, payload in client.sent] == [str(number).encode() for number in range(WINDOW + 2)]


async def test_a_broker_that_acknowledges_nothing_is_given_up():
    clock = ManualClock()
    outbox, client = Outbox(clock), FakeClient()
    client.silent = True
    with pytest.RaisesGroup(ConnectionFailed):
        async with sending(outbox, client) as task:
            outbox.tell(event(1))
            await turns()
            await clock.advance(ACKNOWLEDGED_S + 1)
            outbox.tell(event(2))
            await asyncio.wait({task})
    outbox.close()
    assert outbox.counts["lost"] == 2


async def test_states_overtake_events_and_keep_their_own_order():
    outbox, client = Outbox(ManualClock()), FakeClient()
    async with sending(outbox, client):
        outbox.tell(event(1))
        outbox.put(state("state", b"listening"))
        outbox.put(state("state", b"processing"))
        await outbox.flush(2)
    assert client.sent == [("state", b"listening"), ("state", b"processing"), ("event", b"1")]


async def test_a_state_that_is_retained_already_is_not_sent_again_unless_insisted():
    outbox, client = Outbox(ManualClock()), FakeClient()
    async with sending(outbox, client):
        outbox.put(state("state", b"idle"))
        outbox.put(state("state", b"idle"))
        outbox.insist(state("state", b"idle"))
        await outbox.flush(2)
    assert client.sent == [("state", b"idle")] * 2


async def test_without_a_connection_the_newest_states_wait_and_events_are_dropped_and_counted():
    outbox = Outbox(ManualClock())
    for word in (b"listening", b"processing", b"idle"):
        outbox.put(state("state", word))
        outbox.tell(event(1))
    outbox.put(state("gone", b"x"))
    outbox.put(state("gone", b""))
    assert list(outbox.truth) == [state("state", b"idle")]
    assert outbox.counts == {"dropped": 3}


async def test_events_wait_for_a_connection_that_is_being_made():
    outbox, client = Outbox(ManualClock()), FakeClient()
    outbox.open()
    outbox.tell(event(1))
    async with sending(outbox, client):
        await outbox.flush(2)
    assert client.sent == [("event", b"1")]


async def test_of_too_many_events_the_oldest_go_and_of_too_many_states_the_newest_of_each_topic_stay():
    outbox, client = Outbox(ManualClock()), FakeClient()
    client.silent = True
    outbox.open()
    outbox.arrive(client)
    for number in range(LIMIT + 50):
        outbox.tell(event(number))
        outbox.put(state(f"state{number % 3}", str(number).encode()))
    assert outbox.counts["dropped"] == 50
    assert len(client.sent) == WINDOW
    client.silent = False
    for number in range(1, WINDOW + 1):
        client.acknowledge(number)
    async with sending(outbox, client):
        await outbox.flush(2)
    last = {topic: int(payload) for topic, payload in client.sent if topic != "event"}
    assert last == {f"state{(LIMIT + 49 - back) % 3}": LIMIT + 49 - back for back in range(3)}
    assert next(payload for topic, payload in client.sent if topic == "event") == b"50"


async def test_flushing_ends_also_when_nothing_is_acknowledged_at_qos_0():
    outbox, client = Outbox(ManualClock()), FakeClient()
    async with asyncio.timeout(1), sending(outbox, client):
        outbox.tell(event(1, qos=0))
        await outbox.flush(60)


async def test_a_publish_that_fails_ends_the_connection_and_is_counted():
    outbox, client = Outbox(ManualClock()), FakeClient()
    client.fails = True
    with pytest.RaisesGroup(ConnectionFailed):
        async with sending(outbox, client) as task:
            outbox.put(state("state", b"idle"))
            outbox.tell(event(1))
            await asyncio.wait({task})
    outbox.close()
    assert outbox.counts["dropped"] == 1
    assert list(outbox.truth) == [state("state", b"idle")]


async def test_flushing_takes_no_longer_than_allowed_and_nothing_without_a_connection():
    outbox, client = Outbox(ManualClock()), FakeClient()
    async with asyncio.timeout(1):
        await outbox.flush(60)
        client.silent = True
        async with sending(outbox, client):
            outbox.tell(event(1))
            await outbox.flush(0.05)
