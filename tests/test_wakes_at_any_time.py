"""Wakes at any time: whatever a session is doing, a wake is answered, or refused before it is told as accepted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conversation import FAILURE, Conversation
from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.backend import Brief, Dialogue
from vonad.errors import VonadError
from vonad.plan import Plan, Wake
from vonad.session.session import Session
from vonad.testing import ScriptedBackend, ScriptedLine, settle

NABU = "okay_nabu"
IDLE = Plan(satellite="desk", backends=("scripted",), purpose="idle")
TWO = Plan(satellite="desk", backends=("scripted", "second"))
WITH_SECOND = '[satellites.desk]\nbackends = ["scripted", "second"]\n[backends.second]\n'


class Slow(ScriptedBackend):
    """Opens when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    @asynccontextmanager
    async def open(self, brief: Brief) -> AsyncIterator[Dialogue]:
        await self.may.wait()
        async with super().open(brief) as dialogue:
            yield dialogue


def wake(at: float = 0.0, **more: object) -> Wake:
    return Wake(**{"satellite": "desk", "source": "mqtt", "at": at, **more})  # type: ignore[arg-type]


def asked(story: Conversation) -> list[str]:
    return [said for said in story.dialogue.told if said.startswith("say")]


@asynccontextmanager
async def falling_back(tmp_path: Path) -> AsyncIterator[tuple[RuntimeHouse, ScriptedLine, Slow, Session]]:
    """A house in which a backend was lost in the middle of an answer, and the next takes its time."""
    slow = Slow()
    async with runtime_house(tmp_path, WITH_SECOND, parts={("backends", "second"): slow}) as home:
        line = await home.connect()
        assert await home.asked(text="what time is it") == "accepted"
        [session] = home.runtime.sessions.open
        home.backend.dialogue.emit(FAILURE)
        await settle()
        assert session.state == "falling_back"
        yield home, line, slow, session
        slow.may.set()
        await settle()


# A wake that is refused changes nothing


async def talking(home: RuntimeHouse) -> Session:
    await home.connect()
    assert await home.asked(text="what time is it") == "accepted"
    [session] = home.runtime.sessions.open
    return session


async def test_a_wake_for_a_backend_that_does_not_run_is_no_overload_and_leaves_the_conversation(
    tmp_path: Path,
) -> None:
    async with runtime_house(tmp_path) as home:
        session = await talking(home)
        assert await home.asked(backend="nosuch") == "backend_unavailable"
        assert (session.state, home.told("session.closed")) == ("processing", [])
        [refused] = home.told("wake.refused")
        assert "[backends.nosuch] is not configured" in str(refused.data["detail"])


async def test_who_supersedes_a_session_sits_down_in_its_seat(tmp_path: Path) -> None:
    other = ScriptedBackend()
    config = "[policy]\nsessions_per_satellite = 1\n[backends.other]\n"
    async with runtime_house(tmp_path, config, session="maximum = 1", parts={("backends", "other"): other}) as home:
        session = await talking(home)
        assert await home.asked(backend="other") == "accepted"
        await home.until("session.closed")
        assert session.state == "closed"
        assert [event.data["reason"] for event in home.told("session.closed")] == ["superseded"]
        [second] = home.runtime.sessions.open
        assert (second.view().backend, second.state) == ("other", "listening")
        with pytest.raises(VonadError, match=r"session\.maximum is 1"):
            await home.sessions.create()
        second.close("user_ended")
        await home.clock.advance(4)
        assert await home.asked() == "accepted"


async def test_a_wake_in_a_full_house_refuses_only_itself(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        session = await talking(home)
        await home.connect("attic")
        assert await home.asked("attic") == "overload"
        assert session.state == "processing"
