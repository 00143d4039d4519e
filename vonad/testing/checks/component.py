"""What holds for every component: it opens, it closes, it does so again, and leaves nothing behind."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from vonad.testing.checks.promise import nothing_left, promise, soon

C = TypeVar("C")


async def check_component(open: Callable[[], AbstractAsyncContextManager[C]]) -> None:
    """Opening and closing, twice, and once because of an error.

    open: makes a fresh one, as `factory(settings, host)` does.
    """
    async with nothing_left("a component that is closed"):
        for _ in range(2):
            context = open()
            promise(
                isinstance(context, AbstractAsyncContextManager),
                f"a factory makes an asynchronous context manager: got {type(context).__name__}",
            )
            component = await soon(context.__aenter__(), "a component opens")
            promise(component is not None, "opening a component yields it (`return self` in __aenter__): got None")
            swallowed = await soon(context.__aexit__(None, None, None), "a component closes")
            promise(not swallowed, "a component's __aexit__ returns nothing: what is true swallows errors")
    async with nothing_left("a component that is closed because of an error"):
        context = open()
        await soon(context.__aenter__(), "a component opens a third time")
        fault = RuntimeError("the house falls down")
        try:
            swallowed = await soon(context.__aexit__(RuntimeError, fault, None), "a component closes after an error")
        except AssertionError as error:
            if error.__cause__ is not fault:
                raise
            swallowed = False
        promise(not swallowed, "a component does not swallow the error it is closed with")
