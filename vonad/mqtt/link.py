"""The link: one daemon's place on its broker. Keeps connected, tells what is true at each arrival, says how it is."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random

from aiomqtt import ProtocolVersion

from vonad.clock import Clock
from vonad.mqtt.arrival import OFFLINE, ONLINE, Arrival
from vonad.mqtt.connection import CONNECT_S, Broker, ConnectionFailed, connect, lost
from vonad.mqtt.health import Health, denied, failed, fought_over
from vonad.mqtt.message import Incoming, Outgoing, state
from vonad.mqtt.outbox import Outbox
from vonad.mqtt.presence import Presence
from vonad.mqtt.topics import Topics

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 30.0
PROOF_AGAIN_S = 30.0
FIRST_ANSWER_S = 2.0
"""A broker that knows only MQTT 3.1.1 may wait for ever for what it takes to be the rest of our MQTT 5 greeting."""

TAKEOVERS, TAKEOVERS_WITHIN_S = 3, 60.0
NO_USE = 10
"""Failures in a row after which the pause is the longest."""


class Link:
    """Delivers commands, and sends what is put into its outbox.

    deliver:   told of each command where it is read; must neither block nor raise.
    truth:     the states of now; asked at each arrival.
    stale:     whether the broker should no longer retain one of vonad's topics.
    on_health: told of each change.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        *,
        clock: Clock,
        random: Random,
        keepalive_s: int = 10,
        deliver: Callable[[Incoming], None],
        truth: Callable[[], Iterable[Outgoing]],
        stale: Callable[[str], bool],
        on_health: Callable[[Health], None],
    ) -> None:
        self.outbox = Outbox(clock)
        self.health = Health("connecting", f"connecting to {broker}")
        self._broker = broker
        self._topics = topics
        self._clock = clock
        self._random = random
        self._keepalive_s = keepalive_s
        self._deliver = deliver
        self._truth = truth
        self._stale = stale
        self._on_health = on_health
        self._protocol = broker.speaks or ProtocolVersion.V5
        self._identifier = self._new_identifier()
        self._presence = Presence(topics.base, self._identifier, self._answer)
        self._arrival: Arrival | None = None
        self._home = False
        self._gone = asyncio.Event()
        self._arrivals = 0
        self._cut_off_at: str | None = None
        self._switched = False
        self._takeovers: deque[float] = deque(maxlen=TAKEOVERS)
        self._online = state(topics.status, ONLINE)
        self.outbox.remember(self._online)

    async def leave(self, seconds: float) -> None:
        """Say that we go, and wait until the broker has everything, but not longer than that. Then cancel `run`."""
        self._home = False
        await self.outbox.flush(seconds / 2)
        self._gone.clear()
        self.outbox.put(state(self._topics.status, OFFLINE))
        await self.outbox.flush(seconds / 4)
        if self._arrival is not None:
            # A broker may acknowledge, and then forget over our goodbye what it has not passed on yet.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), seconds / 4)

    async def run(self) -> None:
        """Stay connected until cancelled. Raises AlreadyRunning, in a group."""
        failures = 0
        while True:
            arrivals, failure = self._arrivals, ConnectionFailed("lost", "")
            try:
                await self._live()
            except* ConnectionFailed as group:
                failure = _cause(group)
            finally:
                missing = self._arrival.missing if self._arrival is not None else None
                self._home = False
                self._presence.leave()
                self._arrival = None
                self.outbox.close()
            if self._arrivals > arrivals:
                failures = 0
            if self._tries_other_protocol(failure):
                continue
            if failure.kind == "taken_over" and self._is_fought_over():
                self._tell(fought_over(self._broker, self._identifier))
                await asyncio.get_running_loop().create_future()  # until cancelled
            if failure.kind == "lost":
                # Many brokers do not say that another took our id: nobody can have this one.
                self._identifier = self._new_identifier()
            if failure.kind == "lost" and missing is not None and self._cut_off_at is not None:
                # Some brokers cut off who publishes what is not allowed. Twice in a row is no coincidence.
                self._tell(denied(self._broker, self._topics, missing, verb="publish to"))
                failures = NO_USE
            else:
                self._tell(failed(self._broker, failure))
            self._cut_off_at = missing
            ceiling = LONGEST_PAUSE_S if self.health.state == "unconfigured" else min(LONGEST_PAUSE_S, 2.0**failures)
            failures = min(failures + 1, NO_USE)
            await self._clock.sleep(max(1.0, ceiling * self._random.uniform(0.7, 1.0)))

    async def _live(self) -> None:
        """One connection, from the broker's welcome to its loss."""
        async with (
            connect(
                self._broker,
                self._protocol,
                identifier=self._identifier,
                will=state(self._topics.status, OFFLINE),
                keepalive_s=self._keepalive_s,
                patience_s=CONNECT_S if self._arrivals else FIRST_ANSWER_S,
                deliver=self._received,
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            arrival = self._arrival = Arrival(
                client, self._topics, self._presence, clock=self._clock, random=self._random
            )
            self.outbox.open()
            group.create_task(lost(client), name="mqtt-lost")
            group.create_task(self._presence.rival(), name="mqtt-rival")
            unread, proven = await arrival.settle(first=not self._arrivals)
            if self._cut_off_at is not None:
                for message in self._birth(arrival):
                    await arrival.say(message)
            self.outbox.arrive(client)
            group.create_task(self.outbox.send(), name="mqtt-send")
            self._arrivals += 1
            self._home = True
            self._presence.settle()
            while problem := await self._problem(arrival, unread, proven=proven):
                self._tell(problem)
                await self._clock.sleep(PROOF_AGAIN_S)
                unread, proven = await arrival.settle(first=False)
            version = "5" if self._protocol is ProtocolVersion.V5 else "3.1.1"
            log.info("MQTT %s: connected to %s as %s", version, self._broker, self._identifier)
            self._tell(Health("online"))

    async def _problem(self, arrival: Arrival, unread: str | None, *, proven: bool) -> Health | None:
        """Say all that is true, and listen whether it comes back; what is not allowed."""
        truth = self._birth(arrival)
        arrival.expect(truth)
        for message in truth:
            self.outbox.insist(message)
        unheard = await arrival.heard()
        self._cut_off_at = None
        if unread is not None:
            return denied(self._broker, self._topics, unread, verb="read")
        if not proven:
            unheard = self._topics.selftest
        return denied(self._broker, self._topics, unheard, verb="publish to") if unheard is not None else None

    def _birth(self, arrival: Arrival) -> list[Outgoing]:
        """All that is true, and the end of what is not: satellites that are no more, words no longer to be kept."""
        for message in self._truth():
            self.outbox.remember(message)
        return [*self.outbox.truth, *(state(topic, b"") for topic in sorted(arrival.kept) if self._stale(topic))]

    def _received(self, message: Incoming) -> None:
        """Where each message is read from the socket."""
        if message.topic == self._topics.selftest:
            self._presence.received(message.payload)
        elif not self._topics.remembered(message.topic):
            self._deliver(message)
        else:
            if self._arrival is not None:
                self._arrival.received(message)
            if message.topic == self._topics.status and message.payload == OFFLINE:
                self._gone.set()
                if self._home:
                    self.outbox.insist(self._online)  # the will of a connection of ours that died unnoticed: we live

    def _answer(self, payload: bytes) -> None:
        self.outbox.tell(lambda: [Outgoing(self._topics.selftest, payload)])

    def _tries_other_protocol(self, failure: ConnectionFailed) -> bool:
        """Whether to try at once with the other version: one that has worked is given up only for a clear no."""
        unheard = failure.kind == "protocol" or (failure.kind == "silent" and not self._arrivals)
        self._switched = unheard and not self._switched
        if self._switched:
            self._protocol = ProtocolVersion.V311 if self._protocol is ProtocolVersion.V5 else ProtocolVersion.V5
        return self._switched

    def _new_identifier(self) -> str:
        node = self._topics.base.rpartition("/")[2]
        return f"vonad-{node}-{self._random.getrandbits(64):016x}"

    def _is_fought_over(self) -> bool:
        now = self._clock.monotonic()
        self._takeovers.append(now)
        return len(self._takeovers) == TAKEOVERS and now - self._takeovers[0] <= TAKEOVERS_WITHIN_S

    def _tell(self, health: Health) -> None:
        """One log line for each change, however often the same is tried again."""
        before, self.health = self.health, health
        if health.state == before.state and health.state == "offline":
            log.debug("MQTT: %s", health.detail)
        elif health != before and not health.ok:
            log.log(logging.ERROR if health.state == "stopped" else logging.WARNING, "MQTT: %s", health.detail)
        if health != before:
            self._on_health(health)


def _cause(group: BaseExceptionGroup[ConnectionFailed]) -> ConnectionFailed:
    """The failure that ended the others."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ConnectionFailed)
    return error
