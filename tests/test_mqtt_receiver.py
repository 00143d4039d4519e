"""The receiver: each command becomes one verb, or one error, or one refusal; wakes add up exactly."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from tests.mqtt_house import FakeHouse
from vonad import SystemClock
from vonad.mqtt.message import PAYLOAD_LIMIT, Incoming
from vonad.mqtt.receiver import INBOX, OPENING, Receiver
from vonad.mqtt.topics import Topics

TOPICS = Topics("vonad", "home")


class Served:
    """A receiver at work on a house; what it published."""

    def __init__(self, house: FakeHouse, receiver: Receiver, events) -> None:
        self.house = house
        self.receiver = receiver
        self._events = events

    def send(self, satellite: str, leaf: str, payload=b"", *, retained: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.receiver.deliver(
            Incoming(f"{TOPICS.base}/satellite/{satellite}/{leaf}", data[: PAYLOAD_LIMIT + 1], retained)
        )

    def inject(self, session_id: str, payload, *, retained: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.receiver.deliver(Incoming(f"{TOPICS.base}/session/{session_id}/inject", data, retained))

    async def event(self, kind: str):
        async with asyncio.timeout(2):
            async for event in self._events:
                if event.type == kind:
                    return event
        raise AssertionError(kind)

    async def served(self) -> None:
        """Everything sent so far has been taken."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def desk() -> AsyncIterator[Served]:
    house = FakeHouse("desk")
    receiver = Receiver(TOPICS, SimpleNamespace(house=house, sessions=house), SystemClock())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(receiver.run())
        with house.events(limit=20_000) as events:
            yield Served(house, receiver, events)
        task.cancel()


async def test_each_command_is_one_verb_of_the_service(desk):
    desk.send("desk", "wake", {"id": "w1"})
    desk.send("desk", "text", {"text": "hello", "id": "t1"})
    desk.send("desk", "say", {"text": "dinner", "id": "a1", "priority": 2, "interrupt": True})
    desk.send("desk", "stop", b"PRESS")
    await desk.served()
    house = desk.house
    assert [(wake.satellite, wake.id, wake.source) for wake in house.wakes] == [("desk", "w1", "mqtt")]
    assert house.texts == [("desk", "hello", "t1")]
    assert house.says == [("desk", "dinner", "a1", 2, True)]
    assert house.stops == ["desk"]


async def test_a_retained_wake_is_refused_as_retained(desk):
    desk.send("desk", "wake", {"id": "w1"}, retained=True)
    refused = await desk.event("wake.refused")
    assert desk.house.wakes[0].retained
    assert refused.data["reason"] == "retained"


async def test_a_retained_wake_that_cannot_be_read_is_refused_as_retained_too(desk):
    desk.send("desk", "wake", b"{", retained=True)
    await desk.served()
    assert [refused["reason"] for refused in desk.house.refused] == ["retained"]


@pytest.mark.parametrize("leaf", ["text", "say", "stop"])
async def test_a_retained_command_is_an_error_and_does_nothing(desk, leaf):
    desk.send("desk", leaf, b"hello", retained=True)
    error = await desk.event("error")
    assert error.data["code"] == "malformed"
    assert "publish it without retain" in error.data["message"]
    assert [desk.house.texts, desk.house.says, desk.house.stops] == [[], [], []]


async def test_a_wake_for_no_satellite_in_particular_still_counts(desk):
    desk.send("attic", "wake")
    desk.send("Küche", "wake")
    desk.send("x" * 60_000, "wake")
    desk.send("de\0sk", "wake")
    await desk.served()
    assert [wake.satellite for wake in desk.house.wakes] == ["attic"]
    refused = desk.house.refused
    assert [refusal["reason"] for refusal in refused] == ["malformed"] * 3
    assert refused[0]["satellite"] == "'Küche'"
    assert all(len(refusal["satellite"]) < 80 for refusal in refused)
    assert "\0" not in refused[2]["satellite"]


async def test_whatever_the_payloads_wakes_are_accepted_or_refused(desk):
    payloads = [b"", b"{}", b"hey", b"{", b"\xff", b"{" * 20_000, b'{"id":NaN}', b'{"ts":1}', b"x" * 20_000] * 10
    for payload in payloads:
        desk.send("desk", "wake", payload)
    await desk.served()
    counts = desk.house.bus.counts
    assert counts["wake.accepted"] + counts["wake.refused"] == len(payloads) == desk.receiver.counts["wake"]


async def test_more_wakes_than_fit_are_refused_one_by_one_as_overload(desk):
    for number in range(INBOX + 250):
        desk.send("desk", "wake", {"id": f"w{number}"})
    assert [refusal["reason"] for refusal in desk.house.refused] == ["overload"] * 250
    await desk.served()
    counts = desk.house.bus.counts
    assert counts["wake.accepted"] + counts["wake.refused"] == INBOX + 250 == desk.receiver.counts["wake"]


async def test_in_a_flood_stop_still_stops_and_a_text_is_told(desk):
    for _ in range(INBOX):
        desk.send("desk", "wake")
    desk.send("desk", "stop")
    desk.send("desk", "text", b"hello")
    assert desk.house.stops == ["desk"]
    assert desk.house.bus.counts["error"] == 1
    await desk.served()
    error = await desk.event("error")
    assert (error.data["code"], error.data["op"]) == ("overload", "mqtt.text")


@pytest.mark.parametrize("leaf", ["text", "say", "stop"])
async def test_a_command_for_an_unknown_satellite_is_an_error(desk, leaf):
    desk.send("attic", leaf, {"text": "hello", "id": "r1"} if leaf != "stop" else b"")
    error = await desk.event("error")
    assert error.data["code"] == "not_found"
    assert error.data["op"] == f"mqtt.{leaf}"
    assert error.data["id"] == (None if leaf == "stop" else "r1")
    assert error.satellite == "attic"


@pytest.mark.parametrize("leaf", ["text", "say"])
async def test_a_malformed_command_is_an_error_that_says_what_is_allowed(desk, leaf):
    desk.send("desk", leaf, b'{"txt":"hello"}')
    error = await desk.event("error")
    assert error.data["code"] == "malformed"
    assert "did you mean text?" in error.data["message"] or "must be given" in error.data["message"]


@pytest.mark.parametrize(
    ("leaf", "payload", "known"),
    [
        ("say", {"text": "dinner", "priority": "high", "id": "s10"}, "s10"),
        ("text", {"txt": "hello", "id": "t1"}, "t1"),
        ("text", {"text": "hello", "id": 7}, None),
        ("say", b'{"text":"dinner","id":"s10"', None),
    ],
)
async def test_a_malformed_command_is_answered_by_its_id_where_that_can_be_read(desk, leaf, payload, known):
    desk.send("desk", leaf, payload)
    assert (await desk.event("error")).data["id"] == known
    desk.send("desk", leaf, payload, retained=True)
    assert (await desk.event("error")).data["id"] == known
    desk.send("Küche", leaf, payload)
    assert (await desk.event("error")).data["id"] == known


async def test_a_malformed_inject_is_answered_by_its_id(desk):
    desk.inject("s1", {"mode": "now", "source": "doorbell", "id": "i7"})
    assert (await desk.event("error")).data["id"] == "i7"


@pytest.mark.parametrize(
    ("satellite", "payload"), [("desk", {"id": "a2", "follow_up": "never"}), ("Küche", {"id": "a2"})]
)
async def test_a_malformed_wake_is_refused_by_its_id(desk, satellite, payload):
    desk.send(satellite, "wake", payload)
    await desk.served()
    assert [(refused["reason"], refused["id"]) for refused in desk.house.refused] == [("malformed", "a2")]


@pytest.mark.parametrize("leaf", ["wake", "text", "say", "stop"])
async def test_a_defect_behind_a_verb_does_not_silence_the_next(desk, leaf, caplog):
    desk.house.broken = ZeroDivisionError("a defect")
    desk.send("desk", leaf, b"hello")
    error = await desk.event("error")
    assert error.data["code"] == "internal_error"
    desk.house.broken = None
    desk.send("desk", "stop")
    await desk.served()
    assert desk.house.stops == ["desk"]


async def test_texts_wait_for_their_turn_beside_the_other_commands(desk):
    release = asyncio.Event()

    async def slow(satellite, text, *, id=None, on_busy="refuse"):
        await release.wait()

    desk.house.text = slow
    for _ in range(OPENING + 1):
        desk.send("desk", "text", b"hello")
    desk.send("desk", "stop")
    await desk.served()
    assert desk.house.stops == ["desk"]
    assert (await desk.event("error")).data["code"] == "overload"
    release.set()


async def test_what_nobody_subscribed_to_is_counted_and_nothing_else(desk):
    for topic in (
        "other/topic",
        "vonad/home/info",
        "vonad/home/satellite/desk/state",
        "vonad/other/satellite/desk/wake",
    ):
        desk.receiver.deliver(Incoming(topic, b"{}"))
    await desk.served()
    assert desk.receiver.counts == {"foreign": 4}
    assert not desk.house.bus.counts


@pytest.mark.parametrize(("payload", "code"), [(b"{", "malformed"), (b"it rang", "malformed")])
async def test_an_inject_that_cannot_be_read_is_an_error_of_no_satellite(desk, payload, code):
    desk.inject("s1", payload)
    error = await desk.event("error")
    assert (error.data["code"], error.data["op"], error.satellite) == (code, "mqtt.inject", None)


async def test_a_retained_inject_does_nothing(desk):
    desk.house.sessions["desk"] = "s1"
    desk.inject("s1", {"source": "doorbell"}, retained=True)
    assert "publish it without retain" in (await desk.event("error")).data["message"]
    assert desk.house.injected == []


async def test_a_defect_behind_inject_is_told_and_the_next_is_served(desk, caplog):
    desk.house.sessions["desk"] = "s1"
    desk.house.broken = ZeroDivisionError("a defect")
    desk.inject("s1", {"source": "doorbell", "id": "i1"})
    error = await desk.event("error")
    assert (error.data["code"], error.data["id"]) == ("internal_error", "i1")
    desk.house.broken = None
    desk.inject("s1", {"source": "doorbell"})
    await desk.served()
    assert len(desk.house.injected) == 1


async def test_a_satellite_has_no_inject_and_a_session_no_wake(desk):
    desk.send("desk", "inject", {"source": "x"})
    desk.receiver.deliver(Incoming("vonad/home/session/s1/wake", b""))
    await desk.served()
    assert desk.receiver.counts == {"foreign": 2}
