"""What an ancestor published of itself, with nothing behind it: how long it takes, and how the same is done here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from tests.runtime_house import runtime_house
from vonad.backend import BackendCapabilities, ReplyText, Transcript
from vonad.frame import Frame
from vonad.plan import ContextEvent
from vonad.testing import ScriptedLine, quiet, settle, speech

T = TypeVar("T")
Work = Callable[[], Awaitable[object]]
Measure = Callable[[Work], Awaitable[T]]
"""Has the work done again and again; what comes of that."""

SOUND = speech(0.02).samples
PAUSE = quiet(0.02).samples


async def step(folder: Path, measure: Measure[T]) -> list[T]:
    """A frame goes from the satellite to the backend, and one from the backend to the satellite: each its figure."""
    async with runtime_house(folder, session="maximum_s = 600", history=False) as home:
        line = await home.connect()
        await home.asked()
        dialogue = home.backend.dialogue

        async def receive() -> None:
            heard = len(dialogue.heard)
            line.captured.put(Frame(SOUND, 16_000, home.clock.monotonic()))
            await _until(lambda: len(dialogue.heard) > heard)

        async def send() -> None:
            played = len(line.sound)
            dialogue.emit(Frame(SOUND, 16_000, turn=1))
            await _until(lambda: len(line.sound) > played)

        received = await measure(receive)
        for _ in range(50):
            line.captured.put(Frame(PAUSE, 16_000, home.clock.monotonic()))
        await settle()
        dialogue.emit(Transcript(1, "tell me everything", final=True), ReplyText(1, "Once."))
        await settle()
        return [received, await measure(send)]


async def lifecycle(folder: Path, measure: Measure[T]) -> list[T]:
    """A session is created, opens its dialogue, is archived, and is gone."""
    async with runtime_house(folder, history=False) as home:

        async def live() -> None:
            home.forget()
            view = await home.sessions.create()
            assert view.state == "idle"
            await home.sessions.archive(view.session_id)
            await _until(lambda: not home.runtime.sessions.is_open(view.session_id))

        return [await measure(live)]


async def loop_back(folder: Path, measure: Measure[T]) -> list[T]:
    """What is captured is played."""
    line = ScriptedLine()
    frames = line.frames()

    async def loop() -> None:
        line.captured.put(Frame(SOUND, 16_000))
        await line.play(await anext(frames))

    return [await measure(loop)]


async def inject_10(folder: Path, measure: Measure[T]) -> list[T]:
    """Ten events from outside reach the backend in a running turn."""
    async with runtime_house(folder, history=False) as home:
        home.backend.capabilities = BackendCapabilities(context_injection=True)
        await home.sessions.create(initial_turn="run_immediately", text="think about it")
        [session] = home.runtime.sessions.open
        event = ContextEvent(source="door", payload={"open": True})

        async def inject() -> None:
            home.events.clear()
            known = len(home.backend.dialogue.context)
            for _ in range(10):
                await session.inject(event, "steer")
            assert len(home.backend.dialogue.context) == known + 10

        return [await measure(inject)]


PUBLISHED: Mapping[str, tuple[Callable[[Path, Measure[T]], Awaitable[list[T]]], float]] = MappingProxyType(
    {
        "step": (step, 500e-6),
        "lifecycle": (lifecycle, 1e-3),
        "loop_back": (loop_back, 100e-6),
        "inject_10": (inject_10, 200e-6),
    }
)
"""How it is done, and in how many seconds 99 of 100 times."""


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0)
