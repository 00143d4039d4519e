"""Wakes that wait for a backend: the next one does what they want, or they are told that nobody does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conversation import FAILURE, conversation
from tests.runtime_house import runtime_house
from vonad.backend import Brief, Dialogue
from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.plan import Plan, Wake
from vonad.sentences import Sentences
from vonad.testing import ScriptedBackend, ScriptedDialogue, settle, speech

THREE = Plan(satellite="desk", backends=("scripted", "second", "third"))


class Taking(ScriptedDialogue):
    """Takes a turn up when it may."""

    may: asyncio.Event

    async def begin(self, turn: int, *, sentences: Sentences, history: tuple[Exchange, ...]) -> None:
        await self.may.wait()
        await super().begin(turn, sentences=sentences, history=history)


class SlowToBegin(ScriptedBackend):
    """Opens at once, but takes its time with the turn that is open."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    @asynccontextmanager
    async def open(self, brief: Brief) -> AsyncIterator[Dialogue]:
        dialogue = Taking(brief, self.capabilities)
        dialogue.may = self.may
        self._dialogues.append(dialogue)
        yield dialogue


class FailsLater(ScriptedBackend):
    """Takes its time, and does not open after all."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    @asynccontextmanager
    async def open(self, brief: Brief) -> AsyncIterator[Dialogue]:
        await self.may.wait()
        raise VonadError("backend_start_failed", "it does not open")
        yield ScriptedDialogue(brief)


def wake(**more: object) -> Wake:
    return Wake(**{"satellite": "desk", "source": "mqtt", "at": 0.0, **more})  # type: ignore[arg-type]


async def test_a_text_that_comes_while_the_next_backend_is_told_what_was_said_is_what_it_answers() -> None:
    slow, third = SlowToBegin(), ScriptedBackend()
    async with conversation(plan=THREE, others={"second": slow, "third": third}) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(FAILURE)
        await settle()
        assert (story.session.state, story.session.view().backend) == ("falling_back", "second")
        story.session.preempt("unlock the door", wake(text="unlock the door"))
        slow.may.set()
        await settle()
        assert story.states == ["listening", "falling_back", "processing"]
        assert story.outcomes == ["superseded"]
        assert slow.dialogue.told == ["begin 1", "interrupt", "begin 2", "say unlock the door"]


async def test_what_a_wake_wanted_long_ago_is_not_done_by_the_backend_after_the_next() -> None:
    slow, third = SlowToBegin(), ScriptedBackend()
    async with conversation(plan=THREE, others={"second": slow, "third": third}) as story:
        await story.hear(*[speech(0.1)] * 5)
        story.dialogue.emit(FAILURE)
        await settle()
        story.session.preempt("unlock the door", wake(text="unlock the door"))
        slow.may.set()
        await settle()
        story.session.stop()
        await story.clock.advance(2)
        assert story.session.state == "idle"
        slow.dialogue.emit(FAILURE)
        await settle()
        assert story.session.view().backend == "third"
        assert [said for said in third.dialogue.told if said.startswith("say")] == []
        assert story.session.state == "idle"


async def test_who_is_accepted_while_the_last_backend_fails_to_open_is_told_that_nobody_answers(tmp_path: Path) -> None:
    slow = FailsLater()
    config = '[satellites.desk]\nbackends = ["scripted", "second"]\n[backends.second]\n'
    async with runtime_house(tmp_path, config, parts={("backends", "second"): slow}) as home:
        line = await home.connect()
        await home.asked()
        home.house.stop("desk")
        await home.clock.advance(3)
        [session] = home.runtime.sessions.open
        session.unload("scripted")
        await settle()
        assert session.state == "falling_back"
        assert await home.asked(text="turn on the lamp") == "accepted"
        before = len(line.sound)
        slow.may.set()
        await home.clock.advance(4)
        assert session.state == "closed"
        assert len(line.sound) > before


async def test_nobody_is_told_so_who_has_taken_the_wake_back(tmp_path: Path) -> None:
    slow = FailsLater()
    config = '[satellites.desk]\nbackends = ["scripted", "second"]\n[backends.second]\n'
    async with runtime_house(tmp_path, config, parts={("backends", "second"): slow}) as home:
        line = await home.connect()
        await home.asked()
        home.house.stop("desk")
        await home.clock.advance(3)
        [session] = home.runtime.sessions.open
        session.unload("scripted")
        await settle()
        assert await home.asked(text="turn on the lamp") == "accepted"
        assert home.house.stop("desk")
        before = len(line.sound)
        slow.may.set()
        await home.clock.advance(4)
        assert (session.state, len(line.sound)) == ("closed", before)


@pytest.mark.parametrize("wanted", [True, False])
async def test_the_second_wake_says_whether_to_listen_again_also_while_the_session_opens_for_the_first(
    tmp_path: Path, wanted: bool
) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert home.house.wake(home.wake(follow_up=not wanted)).accepted
        assert home.house.wake(home.wake(follow_up=wanted)).accepted
        assert home.house.wake(home.wake()).accepted
        await settle()
        [session] = home.runtime.sessions.open
        assert session.turn is not None
        assert session.turn.follow_up is wanted
