"""A backend without a brain: a test says what it says, and sees what it was told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from vonad.backend import Backend, BackendCapabilities, Brief, Dialogue, Reply
from vonad.engine import Exchange, Outcome
from vonad.errors import VonadError
from vonad.frame import Frame, silence
from vonad.plan import Style
from vonad.sentences import Sentences


class ScriptedDialogue(Dialogue):
    """Keeps what it is told in `told` ("begin 1", "commit", "say hello", "interrupt"); `emit` makes it speak."""

    def __init__(self, brief: Brief) -> None:
        self.brief = brief
        self.told: list[str] = []
        self.turn = 0
        self.history: tuple[Exchange, ...] = ()
        self.heard: list[Frame] = []
        self.outcomes: dict[str, Outcome] = {}
        self.on_say: Callable[[str], None] = lambda _: None
        self.on_commit: Callable[[], None] = lambda: None
        self._out: asyncio.Queue[Reply | VonadError | None] = asyncio.Queue()

    def emit(self, *replies: Reply | VonadError) -> None:
        """Say these; an error ends the dialogue with it."""
        for reply in replies:
            self._out.put_nowait(reply)

    def finish(self) -> None:
        """End the dialogue."""
        self._out.put_nowait(None)

    async def begin(self, turn: int, *, sentences: Sentences, history: tuple[Exchange, ...]) -> None:
        self.turn, self.history = turn, history
        self.heard = []
        self.told.append(f"begin {turn}")

    async def hear(self, frame: Frame) -> None:
        self.heard.append(frame)

    async def commit(self) -> None:
        self.told.append("commit")
        self.on_commit()

    async def say(self, text: str) -> None:
        self.told.append(f"say {text}")
        self.on_say(text)

    async def replies(self) -> AsyncIterator[Reply]:
        while (reply := await self._out.get()) is not None:
            if isinstance(reply, VonadError):
                raise reply
            yield reply

    async def answer(self, call_id: str, outcome: Outcome) -> None:
        self.outcomes[call_id] = outcome
        self.told.append(f"answer {call_id}")

    async def interrupt(self) -> None:
        self.told.append("interrupt")


class ScriptedBackend(Backend):
    """Opens ScriptedDialogues; `dialogue` is the newest. It speaks every text as 0.1 s of silence a word."""

    def __init__(self, capabilities: BackendCapabilities | None = None) -> None:
        self.capabilities = capabilities or BackendCapabilities()
        self.failure: VonadError | None = None
        self.spoken: list[str] = []
        self._dialogues: list[ScriptedDialogue] = []

    @property
    def dialogue(self) -> ScriptedDialogue:
        """The newest one."""
        return self._dialogues[-1]

    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        return self._open(brief)

    @asynccontextmanager
    async def _open(self, brief: Brief) -> AsyncIterator[Dialogue]:
        if self.failure is not None:
            raise self.failure
        self._dialogues.append(ScriptedDialogue(brief))
        yield self.dialogue

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        self.spoken.append(text)
        for _ in text.split():
            yield Frame(silence(0.1), 16_000)
