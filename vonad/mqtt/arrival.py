"""The arrival: what happens between a broker's welcome and being at home there."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from random import Random

import aiomqtt

from vonad.clock import Clock
from vonad.mqtt.client import Client
from vonad.mqtt.connection import ConnectionFailed
from vonad.mqtt.message import Incoming, Outgoing
from vonad.mqtt.presence import Presence
from vonad.mqtt.topics import Topics

PROOF_S = 2.0
"""How long the self-test may take, and after it another daemon to answer."""

ONLINE, OFFLINE = b"online", b"offline"


class Arrival:
    """One, per connection. kept: the satellites' topics for which the broker retains something."""

    def __init__(self, client: Client, topics: Topics, presence: Presence, clock: Clock, random: Random) -> None:
        self.kept: set[str] = set()
        self._status = b""
        self._unseen: dict[str, None] = {}
        self._all_seen = asyncio.Event()
        self._client = client
        self._topics = topics
        self._presence = presence
        self._clock = clock
        self._random = random

    @property
    def missing(self) -> str | None:
        """The first topic on which we have published and not seen it come back."""
        return next(iter(self._unseen), None)

    def received(self, message: Incoming) -> None:
        """Something on a topic of ours: what the broker remembered, or what we have just said."""
        if not message.retained:
            self._unseen.pop(message.topic, None)
            if not self._unseen:
                self._all_seen.set()
        elif message.topic == self._topics.status:
            self._status = message.payload
        elif message.topic != self._topics.info:
            self.kept.add(message.topic)

    async def settle(self, *, first: bool) -> tuple[str | None, bool]:
        """Look at what is remembered of us, then listen for commands. Nothing is published yet but the self-test.

        first: whether this daemon has not lived here before. The first filter that we may not read, and whether what we
        publish comes back. Raises AlreadyRunning, ConnectionFailed.
        """
        topics = self._topics
        refused = await self._subscribe([topics.status, topics.info, topics.selftest, *topics.kept])
        proven = await self.prove()
        if first and self._status == ONLINE:
            # Somebody lives here, or died without the broker noticing. The living answer.
            with suppress(TimeoutError):
                async with self._clock.deadline(PROOF_S):
                    await self._presence.rival()
        refused += await self._subscribe(topics.commands)
        return next(iter(refused), None), proven

    async def prove(self) -> bool:
        """Whether what we publish comes back. A denied publish looks like any other: only this tells."""
        self._unseen = {self._topics.selftest: None}
        question = self._presence.question(f"{self._random.getrandbits(64):016x}")
        try:
            self._client.post(Outgoing(self._topics.selftest, question))
        except aiomqtt.MqttError as error:
            raise _lost(error) from error
        with suppress(TimeoutError):
            async with self._clock.deadline(PROOF_S):
                await self._presence.proven()
                self._unseen.clear()
        return not self._unseen

    def expect(self, truth: Iterable[Outgoing]) -> None:
        """These are being said: each must come back."""
        self._unseen = {message.topic: None for message in truth if message.payload}
        self._all_seen.clear()

    async def say(self, message: Outgoing) -> None:
        """One by one, where the broker has cut us off: so that we learn what for."""
        self.expect([message])
        try:
            self._client.post(message)
        except aiomqtt.MqttError as error:
            raise _lost(error) from error
        if self._unseen:
            await self._come_back()

    async def heard(self) -> str | None:
        """Wait for what was expected, then stop listening to ourselves; the first topic that did not come back."""
        await self._come_back()
        missing = self.missing
        self._unseen.clear()
        try:
            await self._client.unsubscribe([self._topics.info, *self._topics.kept])
        except aiomqtt.MqttError as error:
            raise _lost(error) from error
        return missing

    async def _come_back(self) -> None:
        with suppress(TimeoutError):
            async with self._clock.deadline(PROOF_S):
                await self._all_seen.wait()

    async def _subscribe(self, filters: list[str]) -> list[str]:
        try:
            codes = await self._client.subscribe([(filter_, 1) for filter_ in filters])
        except aiomqtt.MqttError as error:
            raise _lost(error) from error
        values = [code if isinstance(code, int) else code.value for code in codes]
        return [filter_ for filter_, value in zip(filters, values, strict=False) if value >= 0x80]


def _lost(error: aiomqtt.MqttError) -> ConnectionFailed:
    return ConnectionFailed("lost", f"it did not answer: {error}")
