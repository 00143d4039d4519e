"""A test that leaves a task, a thread or a child process behind fails: the next one would pay for it."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

GRACE_S = 2.0
"""How long what has been told to end may take."""


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up first, so torn down last, when the test's own fixtures and its event loop are gone."""
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("_leaves_no_task_behind")
    threads, children = _threads(), _children()
    yield
    _settle(lambda: not _threads() - threads and not _children() - children)
    left = [f"thread {thread.name}" for thread in _threads() - threads]
    for child in _children() - children:
        left.append(f"child process {child}: {_command(child)}")
        os.kill(child, signal.SIGKILL)
    if left:
        pytest.fail(f"left behind: {'; '.join(left)}", pytrace=False)


@pytest_asyncio.fixture
async def _leaves_no_task_behind() -> AsyncIterator[None]:
    yield
    for _ in range(100):  # what was cancelled or closed a moment ago needs a few turns of the loop
        if not _tasks():
            return
        await asyncio.sleep(0)
    pytest.fail(f"left behind: {'; '.join(repr(task) for task in _tasks())}", pytrace=False)


def _tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


def _threads() -> set[threading.Thread]:
    # A loop's executor keeps its threads until the loop closes, which joins them.
    alive = (thread for thread in threading.enumerate() if not thread.daemon)
    return {thread for thread in alive if not thread.name.startswith("asyncio_")}


def _children() -> set[int]:
    children: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            children.update(int(child) for child in path.read_text().split())
        except FileNotFoundError:  # the thread ended meanwhile
            continue
    # multiprocessing keeps one helper for the life of the process
    return {child for child in children if "multiprocessing" not in _command(child)}


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ").strip() or "(ended, not waited for)"
    except FileNotFoundError:
        return "(gone)"


def _settle(settled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GRACE_S
    while not settled() and time.monotonic() < deadline:
        time.sleep(0.01)
