"""One side of a dialogue, for the check of a backend: it listens to all replies and has skills done."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from vonad.backend import (
    Backend,
    Brief,
    Diagnostic,
    Dialogue,
    EndOfSpeech,
    Overheard,
    Reply,
    ReplyDone,
    ReplyFailed,
    ReplyText,
    SkillRequest,
    SpeechStarted,
    Transcript,
)
from vonad.engine import Outcome
from vonad.frame import Frame
from vonad.sentences import Sentences
from vonad.testing.checks.promise import PATIENCE_S, is_stream, promise, soon, sounding

KINDS = (
    Frame,
    SpeechStarted,
    EndOfSpeech,
    Transcript,
    Overheard,
    Diagnostic,
    SkillRequest,
    ReplyText,
    ReplyDone,
    ReplyFailed,
)

DONE = Outcome("It is done.")


class Talk:
    """A dialogue and everything that has come out of it.

    answers: whether skills are done when they are asked for.
    """

    def __init__(self, dialogue: Dialogue, sentences: Sentences) -> None:
        self.dialogue = dialogue
        self.replies: list[Reply] = []
        self.answers = True
        self.turn = 0
        self._sentences = sentences
        self._news = asyncio.Event()

    async def begin(self) -> int:
        """A new turn; its number."""
        self.turn += 1
        opening = self.dialogue.begin(self.turn, sentences=self._sentences, history=())
        await soon(opening, "Dialogue.begin returns soon")
        return self.turn

    async def say(self, text: str) -> None:
        """A text in the open turn."""
        await soon(self.dialogue.say(text), "Dialogue.say returns soon")

    def of(self, turn: int) -> list[Reply]:
        """What has come out of a turn."""
        return [reply for reply in self.replies if reply.turn == turn]

    async def over(self, turn: int, what: str) -> list[Reply]:
        """All of a turn's replies, once there is a ReplyDone or a ReplyFailed."""
        await self.until(lambda: bool(_ends(self.of(turn))), f"a turn ends with ReplyDone or ReplyFailed: {what}")
        return self.of(turn)

    async def until(self, come: Callable[[], bool], words: str) -> None:
        """Wait for something to come out."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not come():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{words}: it has not after {PATIENCE_S:g} s; there came {self.replies}") from None

    async def listen(self) -> None:
        """Take every reply, for ever."""
        stream = self.dialogue.replies()
        is_stream(stream, "Dialogue.replies")
        async for reply in stream:
            promise(isinstance(reply, KINDS), f"Dialogue.replies yields Replies: got {type(reply).__name__}")
            if isinstance(reply, Frame):
                sounding(reply, "Dialogue.replies")
            self.replies.append(reply)
            if isinstance(reply, SkillRequest) and self.answers:
                await self.dialogue.answer(reply.call.id, DONE)
            self._news.set()


def _ends(replies: list[Reply]) -> list[Reply]:
    return [reply for reply in replies if isinstance(reply, ReplyDone | ReplyFailed)]


@asynccontextmanager
async def talk(backend: Backend, brief: Brief, sentences: Sentences) -> AsyncIterator[Talk]:
    """A dialogue while somebody listens; opened and closed within time."""
    context = backend.open(brief)
    dialogue = await soon(context.__aenter__(), "Backend.open opens")
    promise(isinstance(dialogue, Dialogue), f"Backend.open yields a Dialogue: got {type(dialogue).__name__}")
    side = Talk(dialogue, sentences)
    listening = asyncio.create_task(side.listen(), name="check: replies")
    try:
        yield side
        if listening.done():
            listening.result()
            raise AssertionError("Dialogue.replies ends when the dialogue does: it has ended before")
    finally:
        listening.cancel()
        await asyncio.wait({listening}, timeout=PATIENCE_S)
        await soon(context.__aexit__(None, None, None), "a dialogue closes")
