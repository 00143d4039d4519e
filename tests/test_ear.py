"""The ear: who is fed with what is captured, and what is remembered of it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from vonad.ear import CONNECTING_S, Ear
from vonad.engine import Detection, WakeStream
from vonad.frame import Frame, Samples
from vonad.session.machine import State
from vonad.testing import ScriptedLine, quiet, settle, speech


@dataclass
class Listener:
    """The part of a session that an ear knows."""

    state: State = State.IDLE
    barge_in: bool = False
    heard: list[Frame] = field(default_factory=list)

    @property
    def listening(self) -> bool:
        return self.state is State.LISTENING

    @property
    def awake(self) -> bool:
        return self.state in {State.CONNECTING, State.LISTENING}

    @property
    def attentive(self) -> bool:
        return self.state is State.LISTENING or (self.barge_in and self.state is State.SPEAKING)

    async def hear(self, frame: Frame) -> None:
        self.heard.append(frame)


class Word(WakeStream):
    """Finds its word in every loud frame."""

    def __init__(self, phrase: str) -> None:
        self.phrase = phrase
        self.pushed = self.resets = 0

    def push(self, samples: Samples) -> Detection | None:
        self.pushed += 1
        return Detection(self.phrase, 0.9) if samples.any() else None

    def reset(self) -> None:
        self.resets += 1


class Room:
    """An ear, its detectors, and whom it feeds."""

    def __init__(self, *, wakes: bool = True) -> None:
        self.line = ScriptedLine()
        self.wake, self.stop = Word("okay_nabu"), Word("stop")
        self.found: list[str] = []
        self.session = Listener()
        self._run: asyncio.Task[None] | None = None
        self.ear = Ear(
            self.line,
            pre_roll_s=0.5,
            detected=lambda found: self.found.append(found.phrase),
            stopped=lambda found: self.found.append(found.phrase),
        )
        self.ear.fit(self.wake if wakes else None, self.stop)
        self.ear.session = self.session  # type: ignore[assignment]  # it quacks

    async def hear(self, *frames: Frame) -> None:
        for long in frames:
            for start in range(0, len(long.samples), 320):
                self.line.captured.put(Frame(long.samples[start : start + 320], 16_000))
        if self._run is None:
            self._run = asyncio.create_task(self.ear.run())
        await settle()

    async def leave(self) -> None:
        """Everything was heard without an error."""
        self.line.captured.close()
        if self._run is not None:
            await self._run

    @property
    def past_s(self) -> float:
        return sum(frame.seconds for frame in self.ear.past())


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    yield room
    await room.leave()


@pytest.fixture
async def room_without_wakes() -> AsyncIterator[Room]:
    room = Room(wakes=False)
    yield room
    await room.leave()


async def test_dormant_it_waits_for_the_wake_word_and_remembers_half_a_second(room: Room) -> None:
    await room.hear(quiet(2.0))
    assert room.past_s == pytest.approx(0.5, abs=0.03)
    await room.hear(quiet(0.4), speech(0.02), quiet(0.1))
    assert room.found == ["okay_nabu"]
    assert room.past_s == pytest.approx(0.1)  # the wake word itself is forgotten
    assert room.session.heard == []
    assert room.stop.pushed == 0


async def test_listening_it_feeds_the_session_alone(room: Room) -> None:
    room.session.state = State.LISTENING
    await room.hear(speech(1.0))
    assert len(room.session.heard) == 50
    assert (room.found, room.past_s) == ([], 0.0)


@pytest.mark.parametrize("state", [State.CONNECTING, State.INTERRUPTED])
async def test_what_is_said_on_the_way_to_listening_is_kept(room: Room, state: State) -> None:
    room.session.state = state
    await room.hear(quiet(CONNECTING_S - 1))
    assert room.past_s == pytest.approx(CONNECTING_S - 1)


@pytest.mark.parametrize("state", [State.PROCESSING, State.EXECUTING_SKILL, State.SPEAKING])
async def test_the_stop_word_is_waited_for_only_while_the_session_answers(
    room_without_wakes: Room, state: State
) -> None:
    room = room_without_wakes
    await room.hear(speech(0.02))
    assert room.found == []
    room.session.state = state
    await room.hear(quiet(0.1), speech(0.02))
    assert room.found == ["stop"]
    assert room.stop.resets == 1
    room.session.state = State.IDLE
    await room.hear(speech(0.1))
    room.session.state = state
    await room.hear(quiet(0.02))
    assert room.stop.resets == 2


async def test_the_wake_word_is_waited_for_while_the_session_answers(room: Room) -> None:
    room.session.state = State.SPEAKING
    await room.hear(speech(0.02))
    assert room.found == ["okay_nabu", "stop"]


async def test_a_reply_that_may_be_interrupted_is_listened_to_and_keeps_its_past_for_a_wake(room: Room) -> None:
    room.session.state, room.session.barge_in = State.SPEAKING, True
    await room.hear(quiet(1.0))
    assert len(room.session.heard) == 50
    assert room.past_s == pytest.approx(0.5, abs=0.03)
    await room.hear(quiet(0.2), speech(0.02), quiet(0.1))
    assert "okay_nabu" in room.found
    assert room.past_s == pytest.approx(0.1)


async def test_what_interrupted_a_reply_is_not_remembered_twice(room: Room) -> None:
    """The session takes the past away while it hears the frame that interrupts: that frame is in it already."""
    room.session.state, room.session.barge_in = State.SPEAKING, True

    async def interrupts(frame: Frame) -> None:
        room.ear.past()
        room.session.state = State.INTERRUPTED

    await room.hear(quiet(0.4))
    room.session.hear = interrupts  # type: ignore[method-assign]
    await room.hear(quiet(0.1))
    assert room.past_s == pytest.approx(0.08)


async def test_after_listening_the_past_begins_anew(room: Room) -> None:
    await room.hear(quiet(1.0))
    room.session.state = State.LISTENING
    await room.hear(quiet(0.1))
    room.session.state = State.PROCESSING
    await room.hear(quiet(0.1))
    assert room.past_s == pytest.approx(0.1)
    assert room.wake.resets == 1


async def test_whatever_comes_of_a_word_the_satellite_goes_on_hearing(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(found: Detection) -> None:
        room.found.append(found.phrase)
        raise OSError("a defect")

    room.ear._detected = room.ear._stopped = breaks
    room.session.state = State.SPEAKING
    with caplog.at_level(logging.ERROR):
        await room.hear(speech(0.02), quiet(0.1), speech(0.02))
    assert room.found == ["okay_nabu", "stop"] * 2
    assert caplog.text.count("was heard, and came to nothing") == 4
