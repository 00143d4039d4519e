"""The arrival: what happens between a broker's welcome and being at home there."""

from contextlib import suppress
from dataclasses import dataclass
from random import Random

import aiomqtt

from vonad.clock import Clock
from vonad.mqtt.connection import ConnectionFailed
from vonad.mqtt.message import Incoming
from vonad.mqtt.presence import Presence
from vonad.mqtt.topics import Topics

PROOF_S = 2.0
"""How long the self-test may take, and after it another daemon to answer."""

ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the broker lets us do. refused: filters it does not let us read; proven: what we publish comes back."""

    refused: tuple[str, ...]
    proven: bool


class Arrival:
    """One, per connection. kept: the satellites' topics for which the broker retains something."""

    def __init__(
        self, client: aiomqtt.Client, topics: Topics, presence: Presence, clock: Clock, random: Random
    ) -> None:
        self.kept: set[str] = set()
        self._status = b""
        self._client = client
        self._topics = topics
        self._presence = presence
        self._clock = clock
        self._random = random

    def received(self, message: Incoming) -> None:
        """Something the broker has remembered of this base."""
        if message.topic == self._topics.status:
            self._status = message.payload
        else:
            self.kept.add(message.topic)

    async def settle(self, *, first: bool) -> Welcome:
        """Look at what is remembered of us, then subscribe. Nothing is published yet but the self-test.

        first: whether this daemon has not lived here before. Raises AlreadyRunning, ConnectionFailed.
        """
        topics = self._topics
        try:
            refused = await self._subscribe([topics.status, topics.selftest, *topics.kept])
            proven = await self.prove()
            if first and self._status == ONLINE:
                # Somebody lives here, or died without the broker noticing. The living answer.
                with suppress(TimeoutError):
                    async with self._clock.deadline(PROOF_S):
                        await self._presence.rival()
            refused += await self._subscribe(topics.commands)
            await self._client.unsubscribe(topics.kept)
        except aiomqtt.MqttError as error:
            raise ConnectionFailed("lost", f"it did not answer: {error}") from error
        return Welcome(tuple(refused), proven)

    async def prove(self) -> bool:
        """Whether what we publish comes back. A denied publish looks like any other: only this tells."""
        question = self._presence.question(f"{self._random.getrandbits(64):016x}")
        try:
            await self._client.publish(self._topics.selftest, question, qos=1)
        except aiomqtt.MqttError as error:
            raise ConnectionFailed("lost", f"it did not answer: {error}") from error
        with suppress(TimeoutError):
            async with self._clock.deadline(PROOF_S):
                await self._presence.proven()
                return True
        return False

    async def _subscribe(self, filters: list[str]) -> list[str]:
        codes = await self._client.subscribe([(filter_, 1) for filter_ in filters])
        values = [code if isinstance(code, int) else code.value for code in codes]
        return [filter_ for filter_, value in zip(filters, values, strict=False) if value >= 0x80]
