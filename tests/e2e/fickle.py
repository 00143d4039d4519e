"""A drop-in for the end-to-end tests: a backend that opens, hears half a second, and breaks."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from vonad import (
    Backend,
    Brief,
    Component,
    Dialogue,
    Exchange,
    Frame,
    Mailbox,
    NoSettings,
    Outcome,
    Registrar,
    Reply,
    Sentences,
    VonadError,
    hookimpl,
)


class FickleDialogue(Dialogue):
    """Hears for half a second."""

    def __init__(self) -> None:
        self._out: Mailbox[Reply] = Mailbox(1)
        self._heard_s = 0.0

    async def begin(self, turn: int, *, sentences: Sentences, history: tuple[Exchange, ...]) -> None:
        self._heard_s = 0.0

    async def hear(self, frame: Frame) -> None:
        self._heard_s += frame.seconds
        if self._heard_s > 0.5:
            self._out.close()

    async def commit(self) -> None:
        return

    async def say(self, text: str) -> None:
        self._out.close()

    async def replies(self) -> AsyncIterator[Reply]:
        async for reply in self._out:
            yield reply
        raise VonadError("backend_step_failed", "the cloud has gone")

    async def answer(self, call_id: str, outcome: Outcome) -> None:
        return

    async def interrupt(self) -> None:
        return


class Fickle(Component[NoSettings], Backend):
    """Never answers anything."""

    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Dialogue]:
        yield FickleDialogue()


@hookimpl
def register_backends(registrar: Registrar) -> None:
    """Offer it."""
    registrar.add("fickle", Fickle)
