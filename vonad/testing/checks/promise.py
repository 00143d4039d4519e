"""What every check is made of: a promise, a patience, and a look at what is left behind."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

import numpy as np

from vonad.errors import VonadError
from vonad.frame import Frame

T = TypeVar("T")

PATIENCE_S = 10.0
"""In which everything that must end has to: a busy machine is slow, a hanging one never done."""

SHORTLY_S = 0.3
"""For which something is watched that must not happen."""


def promise(kept: bool, words: str) -> None:  # noqa: FBT001  (reads like an assertion)
    """Raises AssertionError with the promise when it is not kept."""
    if not kept:
        raise AssertionError(words)


async def soon(work: Awaitable[T], words: str) -> T:
    """What comes of the work; it ends within PATIENCE_S, as the words promise, and raises nothing but VonadError."""
    try:
        async with asyncio.timeout(PATIENCE_S) as scope:
            return await work
    except (VonadError, AssertionError):
        raise
    except Exception as error:
        if scope.expired():
            raise AssertionError(f"{words}: it has not after {PATIENCE_S:g} s") from None
        raise AssertionError(
            f"{words}, and raises nothing but VonadError: got {type(error).__name__}: {error}"
        ) from error


async def cancelled(work: Coroutine[object, object, object], reached: asyncio.Event, words: str) -> None:
    """Cancel work once it has reached something (or is over); it ends, as the words promise."""
    task = asyncio.create_task(work, name="check: to be cancelled")  # no group: what refuses to end must not be awaited
    waits = asyncio.create_task(reached.wait(), name="check: reached")
    try:
        await asyncio.wait({task, waits}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        finished = task.done()
        waits.cancel()
        task.cancel()
    await asyncio.wait({task, waits}, timeout=PATIENCE_S)
    promise(task.done(), f"{words} ends when it is cancelled: it has not after {PATIENCE_S:g} s")
    error = None if task.cancelled() else task.exception()
    promise(
        error is None or isinstance(error, VonadError),
        f"{words} lets a cancellation through: it became {type(error).__name__}: {error}",
    )
    heeded = task.cancelled() or error is not None
    promise(finished or heeded or not reached.is_set(), f"{words} swallows its cancellation")


async def together(*works: Awaitable[object]) -> None:
    """All at once; the first error is raised."""
    await asyncio.gather(*works)


@asynccontextmanager
async def nothing_left(who: str) -> AsyncIterator[None]:
    """Of what the body begins, no task is left a moment after it."""
    before = asyncio.all_tasks()
    yield
    left: set[asyncio.Task[object]] = set()
    for _ in range(100):
        left = {task for task in asyncio.all_tasks() - before if not task.done()}
        if not left:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{who} leaves no task behind: there is still {', '.join(t.get_name() for t in left)}")


def streams(component: object, who: str) -> int:
    """How many streams an engine says it serves at once."""
    stated = getattr(component, "streams", None)
    promise(
        isinstance(stated, int) and not isinstance(stated, bool) and stated >= 1,
        f"{who}.streams is a whole number of at least 1: got {stated!r}",
    )
    return stated if isinstance(stated, int) else 1


def is_stream(answer: object, who: str) -> None:
    """A method that is called and not awaited, and iterated with `async for`."""
    if inspect.iscoroutine(answer):
        answer.close()
    promise(
        isinstance(answer, AsyncIterator),
        f"{who} returns an asynchronous iterator (`async def` with `yield` in it): got {type(answer).__name__}",
    )


def sounding(frame: object, who: str) -> Frame:
    """A frame as it should be."""
    promise(isinstance(frame, Frame), f"{who} yields Frames: got {type(frame).__name__}")
    assert isinstance(frame, Frame)
    promise(
        frame.samples.dtype == np.int16 and frame.samples.ndim == 1,
        f"{who} yields int16 mono samples, shape (n,): got {frame.samples.dtype} {frame.samples.shape}",
    )
    return frame
