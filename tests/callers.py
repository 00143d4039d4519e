"""Callers of the service: what they do in more than one story."""

import asyncio

import pytest

from tests.runtime_house import RuntimeHouse
from vonad.backend import ReplyDone, ReplyText
from vonad.errors import VonadError
from vonad.plan import SessionView
from vonad.testing import settle


async def code(awaited: object) -> str:
    """The code of the error that it raises."""
    with pytest.raises(VonadError) as refused:
        await awaited  # type: ignore[misc]
    return refused.value.code


def reply(home: RuntimeHouse, text: str = "Yes.", **more: object) -> None:
    """The turn that runs is answered."""
    dialogue = home.backend.dialogue
    dialogue.emit(ReplyText(dialogue.turn, text), ReplyDone(dialogue.turn, **more))  # type: ignore[arg-type]


async def talk(home: RuntimeHouse, session_id: str, text: str, answer: str = "Yes.", **more: object) -> None:
    turn = await home.sessions.start_turn(session_id, text)
    await settle()
    reply(home, answer, **more)
    await settle()
    await asyncio.wait_for(asyncio.shield(turn.ended), 5)


async def opening(home: RuntimeHouse, **wanted: object) -> "asyncio.Task[SessionView]":
    """A session that is being created, and whose backend takes its time."""
    home.backend.hang.add("open")
    creating = asyncio.create_task(home.sessions.create(**wanted))  # type: ignore[arg-type]
    await settle()
    return creating
