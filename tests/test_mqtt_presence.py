"""Presence: who lives below a base, and that exactly one gives way."""

import asyncio
import json

import pytest

from vonad.mqtt.presence import AlreadyRunning, Presence


class Topic:
    """The selftest topic, with everybody on it."""

    def __init__(self) -> None:
        self.members: list[Presence] = []

    def join(self, name: str) -> Presence:
        member = Presence("vonad/home", name, self.publish)
        self.members.append(member)
        return member

    def publish(self, payload: bytes) -> None:
        for member in self.members:
            member.received(payload)


async def has_rival(member: Presence) -> bool:
    try:
        async with asyncio.timeout(0.02):
            await member.rival()
    except AlreadyRunning:
        return True
    except TimeoutError:
        return False


async def test_a_question_that_comes_back_is_the_proof():
    topic = Topic()
    alone = topic.join("a")
    topic.publish(alone.question("n1"))
    async with asyncio.timeout(1):
        await alone.proven()
    assert not await has_rival(alone)


async def test_an_old_nonce_or_anothers_proves_nothing():
    alone = Topic().join("a")
    old = alone.question("n1")
    alone.question("n2")
    alone.received(old)
    alone.received(json.dumps({"instance": "b", "nonce": "n2"}).encode())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await alone.proven()


@pytest.mark.parametrize(("resident", "newcomer"), [("a", "b"), ("b", "a")])
async def test_who_lives_there_answers_and_the_newcomer_gives_way(resident, newcomer):
    topic = Topic()
    first, second = topic.join(resident), topic.join(newcomer)
    topic.publish(first.question("n1"))
    first.settle()
    topic.publish(second.question("n2"))
    assert await has_rival(second)
    assert not await has_rival(first)
    with pytest.raises(AlreadyRunning, match=rf"another vonad \({resident}\) already lives below vonad/home"):
        await second.rival()


async def test_of_two_that_come_at_the_same_moment_one_gives_way():
    topic = Topic()
    members = [topic.join("a"), topic.join("b")]
    questions = [member.question(f"n{member.instance}") for member in members]
    for question in questions:
        topic.publish(question)
    assert [await has_rival(member) for member in members] == [False, True]


@pytest.mark.parametrize(("resident", "newcomer"), [("a", "b"), ("b", "a")])
async def test_who_lived_there_before_a_broken_line_comes_before_a_newcomer(resident, newcomer):
    topic = Topic()
    first, second = topic.join(resident), topic.join(newcomer)
    first.settle()
    first.leave()
    questions = [first.question("n1"), second.question("n2")]
    for question in questions:
        topic.publish(question)
    assert [await has_rival(member) for member in (first, second)] == [False, True]


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b"[" * 16_000,
        b'{"instance":1,"nonce":"x"}',
        b'{"nonce":"n1"}',
        b'{"instance":"b","answer":["n1"]}',
        b'{"instance":"b","answer":""}',
        b'{"instance":"b","nonce":5}',
        b'{"instance":"b c","nonce":"x"}',
        b'{"instance":"\\ud800","nonce":"x"}',
    ],
)
async def test_noise_on_the_topic_is_ignored(noise):
    said: list[bytes] = []
    member = Presence("vonad/home", "a", said.append)
    member.settle()
    member.received(noise)
    member.question("n1")
    member.received(noise)
    assert said == []
    assert not await has_rival(member)
