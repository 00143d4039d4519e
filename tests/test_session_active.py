"""Active or not: what a caller is told who starts what runs already, or asks something of what is over."""

import asyncio
from pathlib import Path

import pytest

from tests.callers import code, talk
from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.plan import ContextEvent
from vonad.session.machine import State
from vonad.testing import settle

EVENT = ContextEvent(source="door", payload={"open": True})


async def told(home: RuntimeHouse, session_id: str) -> dict[str, str]:
    """The code of each request to a session."""
    return {
        "interrupt": await code(home.sessions.interrupt(session_id)),
        "inject": await code(home.sessions.inject(session_id, EVENT)),
        "inject to interrupt": await code(home.sessions.inject(session_id, EVENT, "interrupt")),
        "compact": await code(home.sessions.compact(session_id)),
        "start_turn": await code(home.sessions.start_turn(session_id, "again")),
    }


OVER = {
    "interrupt": "session_not_active",
    "inject": "session_not_active",
    "inject to interrupt": "session_not_active",
    "compact": "session_not_active",
    "start_turn": "session_expired",
}
UNKNOWN = dict.fromkeys(OVER, "session_not_found")


@pytest.mark.parametrize("history", [True, False])
async def test_beluga_start_stop_session_not_active_for_one_that_is_over(tmp_path: Path, *, history: bool) -> None:
    async with runtime_house(tmp_path, history=history) as home:
        view = await home.sessions.create()
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        assert await told(home, view.session_id) == OVER
        assert (await home.sessions.read(view.session_id)).state == "closed"
        await home.sessions.archive(view.session_id)  # a DELETE that is sent again is none too many
        assert await told(home, "nobody") == UNKNOWN


async def test_beluga_start_stop_session_not_active_for_one_that_is_only_in_the_history(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "hello")
    async with runtime_house(tmp_path) as home:
        assert await told(home, view.session_id) == OVER
        await home.house.delete_history(everything=True)
        assert await told(home, view.session_id) == UNKNOWN


async def test_beluga_start_stop_session_not_active_for_one_that_is_just_closing(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.asked(text="what time is it")
        [session] = home.runtime.sessions.open
        session.close("user_ended")
        assert session.state is State.CLOSING
        assert await told(home, session.id) == OVER


async def test_beluga_start_stop_an_active_one_without_a_turn_is_not_running(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        assert await code(home.sessions.interrupt(view.session_id)) == "session_not_running"


async def test_beluga_start_stop_session_already_active_by_its_own_name_or_its_conversation_s(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "hello")
        for name in (view.session_id, view.conversation_id):
            assert await code(home.sessions.create(resume=name)) == "session_already_active"
        assert len(home.runtime.sessions) == 1


async def test_beluga_start_stop_session_already_active_for_the_second_of_two_at_once(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "hello")
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        both = [asyncio.create_task(home.sessions.create(resume=view.session_id)) for _ in range(2)]
        await asyncio.wait(both)
        await settle()
        failed = [task.exception() for task in both if task.exception() is not None]
        assert [getattr(error, "code", error) for error in failed] == ["session_already_active"]
