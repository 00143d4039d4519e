"""The Bus tells what happened to everybody who asked. Publishing never blocks, never raises; no sound travels on it."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime

from vonad.clock import Clock
from vonad.events import EVENTS, Event
from vonad.mailbox import Mailbox

MAILBOX = 1_000
"""Events that wait for one reader by default: several busy turns' worth, well under a megabyte."""

BURST = 1_000
"""Events that wait to be handed out at most, in a house that never comes to rest."""

LAST = "session.closed"
"""What a session says last."""


class Subscription:
    """One reader's events, in order. A gap is told by an `events_dropped` event in its place: with a number that this
    reader gets no event of, and that is not used up by telling.

    after: the number of the last event before it.
    """

    def __init__(self, bus: "Bus", mailbox: Mailbox[Event], after: int) -> None:
        self._bus = bus
        self._mailbox = mailbox
        self._told = 0
        self._held: Event | None = None
        self._last = Event("", seq=after)

    @property
    def dropped(self) -> int:
        """How many events this reader has missed."""
        return self._mailbox.dropped

    @property
    def overrun(self) -> bool:
        """Whether the reader was so slow that its subscription was ended."""
        return self._mailbox.overrun

    def close(self) -> None:
        """End the iteration once what has happened is read."""
        self._bus.hand_out()
        self._mailbox.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event, self._held = self._held, None
        if event is None:
            try:
                event = await self._mailbox.get()
            except StopAsyncIteration:
                if self._mailbox.dropped == self._told:
                    raise
                return self._gap(self._last, self._last.seq + 1)
            if self._mailbox.dropped > self._told and event.seq > self._last.seq + 1:  # else it is further on
                self._held = event
                return self._gap(event, event.seq - 1)
        self._last = event
        return event

    def _gap(self, near: Event, seq: int) -> Event:
        missed = self._mailbox.dropped - self._told
        self._told += missed
        return Event("events_dropped", {"count": missed}, seq=seq, ts=near.ts, node=near.node)


class Bus:
    """Stamps events and hands them to the subscribers' mailboxes. All calls on the event loop.

    They are handed out when the house has done what it is doing (`Clock.soon`): nobody who looks on stands between a
    word and a sound.
    """

    def __init__(self, node: str, clock: Clock) -> None:
        self.node = node
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._seq = 0
        self._told: list[tuple[Event, datetime]] = []
        self._mailboxes: list[tuple[Mailbox[Event], str | None]] = []

    def stamp(self, event: Event, at: datetime | None = None) -> Event:
        """The event with its place in this node's order. at: when it happened, UTC; now, by default."""
        self._seq += 1
        ts = f"{(at or self._clock.now()).isoformat(timespec='milliseconds')[:-6]}Z"
        return event._replace(seq=self._seq, ts=ts, node=self.node)

    def publish(self, event: Event) -> None:
        """Tell everybody, soon."""
        self.counts[event.type] += 1
        told = self._told
        told.append((event, self._clock.now()))
        if len(told) == 1:
            self._clock.soon(self.hand_out)
        elif len(told) >= BURST:
            self.hand_out()

    def hand_out(self) -> None:
        """Tell everybody now."""
        told, self._told = self._told, []
        for event, at in told:
            stamped = self.stamp(event, at)
            for mailbox, session_id in self._mailboxes:
                if session_id is None:
                    mailbox.put(stamped)
                elif session_id == event.session_id:
                    mailbox.put(stamped)
                    if event.type == LAST:
                        mailbox.close()

    @contextmanager
    def subscribe(self, *, limit: int = MAILBOX, session_id: str | None = None) -> Iterator[Subscription]:
        """Events from now on, for as long as the `with` lasts; those of one session only until it has closed."""
        self.hand_out()  # what happened before is none of this reader's
        mailbox: Mailbox[Event] = Mailbox(limit, keep=lambda event: EVENTS[event.type].kept)
        reader = (mailbox, session_id)
        self._mailboxes.append(reader)
        try:
            yield Subscription(self, mailbox, self._seq)
        finally:
            self.hand_out()
            self._mailboxes.remove(reader)
            mailbox.close()
