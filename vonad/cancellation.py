"""Cancellation: told apart whether we are called off, or only something of a plugin's that it waited for."""

import asyncio


def called_off() -> bool:
    """Whether the task that asks is to end. If not, a CancelledError that reaches it is a failure like any other."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
