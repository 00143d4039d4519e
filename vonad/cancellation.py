"""Cancellation: told apart whether we are called off, or only something of a plugin's that it waited for."""

import asyncio


def called_off() -> bool:
    """Whether the task that asks is to end."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def calls_off(failure: BaseException) -> bool:
    """Whether this ends the task that caught it, and is to be passed on. Else a CancelledError is a failure like any
    other."""
    return isinstance(failure, asyncio.CancelledError) and called_off()
