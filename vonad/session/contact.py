"""The contact: a dialogue as the session talks to it. Whatever it raises is its own end, and never the session's."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable

from vonad.backend import Dialogue
from vonad.cancellation import calls_off
from vonad.control import FallbackReason
from vonad.engine import Exchange, Outcome, Output
from vonad.errors import VonadError, first_error
from vonad.frame import Frame
from vonad.plan import ContextEvent
from vonad.sentences import Sentences

log = logging.getLogger(__name__)

RAISED = (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError)
"""What a plugin may raise that is not ours to pass on; `told` passes on what is."""


class Contact:
    """Talks to the dialogue of the backend of this name.

    broke: told why it is lost.

    hear, pause, overhear, commit: the dialogue's own, with nothing in between: they stand on the way of the sound.
    Whoever calls them catches RAISED, and says so to `lost` or to the user. The others raise only what is said of them.
    """

    def __init__(
        self, name: str, dialogue: Dialogue, broke: Callable[["Contact", FallbackReason, VonadError], None]
    ) -> None:
        self.name = name
        self.hear = dialogue.hear
        self.pause = dialogue.pause
        self.overhear = dialogue.overhear
        self.commit = dialogue.commit
        self._dialogue = dialogue
        self._broke = broke

    def lost(self, failure: BaseException, reason: FallbackReason = "backend_unavailable") -> None:
        """A method has raised this: nobody talks to it any more."""
        self._broke(self, reason, told(self.name, failure))

    def begin(
        self, turn: int, *, sentences: Sentences, history: tuple[Exchange, ...]
    ) -> Coroutine[object, object, None]:
        """A turn opens."""
        return self._asked(lambda: self._dialogue.begin(turn, sentences=sentences, history=history))

    async def say(self, text: str) -> None:
        """Answer this text. In one piece: every spoken turn waits for it."""
        try:
            await self._dialogue.say(text)
        except RAISED as failure:
            self.lost(failure)

    def structure(self, text: str, output: Output) -> Coroutine[object, object, None]:
        """Answer this text in JSON."""
        return self._asked(lambda: self._dialogue.structure(text, output))

    def answer(self, call_id: str, outcome: Outcome) -> Coroutine[object, object, None]:
        """What came of a skill."""
        return self._asked(lambda: self._dialogue.answer(call_id, outcome))

    def confirm(self) -> Coroutine[object, object, None]:
        """The prepared answer is the answer."""
        return self._asked(self._dialogue.confirm)

    def interrupt(self) -> Coroutine[object, object, None]:
        """Stop working on the open turn."""
        return self._asked(self._dialogue.interrupt, "interrupted")

    async def replay(self, frames: Iterable[Frame], *, all_said: bool) -> None:
        """Hear this, which was captured before; all_said: the user has finished with it."""
        try:
            for frame in frames:
                await self._dialogue.hear(frame)
            if all_said:
                await self._dialogue.commit()
        except RAISED as failure:
            self.lost(failure)

    async def inject(self, event: ContextEvent) -> None:
        """Know this from now on. Raises what a dialogue that does not take it raises, else backend_inject_failed."""
        try:
            await self._dialogue.inject(event)
        except VonadError:
            raise
        except RAISED as failure:
            error = told(self.name, failure)
            raise VonadError("backend_inject_failed", error.message, op=self.name, retryable=True) from failure

    # What can be done without: the backend is not lost, whatever they raise, as a VonadError.

    def prepare(self, text: str) -> Coroutine[object, object, None]:
        """Begin to answer words that may not be all."""
        return self._tried(lambda: self._dialogue.prepare(text))

    def fill(self) -> Coroutine[object, object, None]:
        """Make some sound that bridges the wait."""
        return self._tried(self._dialogue.fill)

    def ping(self) -> Coroutine[object, object, None]:
        """Return when the other end is alive."""
        return self._tried(self._dialogue.ping)

    async def _tried(self, ask: Callable[[], Awaitable[None]]) -> None:
        try:
            await ask()
        except VonadError:
            raise
        except RAISED as failure:
            raise told(self.name, failure) from failure

    async def _asked(self, ask: Callable[[], Awaitable[None]], reason: FallbackReason = "backend_unavailable") -> None:
        try:
            await ask()
        except RAISED as failure:
            self.lost(failure, reason)


def told(name: str, failure: BaseException) -> VonadError:
    """What a backend raised, in our words. Raises it again when it is we who are called off."""
    if calls_off(failure):
        raise failure
    if isinstance(failure, BaseExceptionGroup):
        ours, _ = failure.split(VonadError)
        if ours is not None:
            return first_error(ours)
        failure = failure.exceptions[0]
    if isinstance(failure, VonadError):
        return failure
    log.warning("backend %s failed", name, exc_info=failure)
    return VonadError(
        "backend_step_failed", f"backend {name} failed: {type(failure).__name__}: {failure}", op=name, retryable=True
    )
