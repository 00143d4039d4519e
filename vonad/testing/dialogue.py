"""A dialogue without a brain: a test says what it says, and sees what it was told."""

import asyncio
from collections.abc import AsyncIterator, Callable

from vonad.backend import BackendCapabilities, Brief, Dialogue, Reply, ReplyDone, ReplyText
from vonad.engine import Exchange, Outcome, Output
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import ContextEvent
from vonad.sentences import Sentences
from vonad.testing.rules import captured, rule
from vonad.testing.sound import quiet


class ScriptedDialogue(Dialogue):
    """Keeps what it is told in `told` ("begin 1", "commit", "say hello", "interrupt"); `emit` makes it speak.

    heard:     the frames of the open turn; pauses: whether the user paused in it, or went on, one by one.
    overheard: frames that were captured while a reply played.
    outputs:   what replies had to be, one for each time that one was asked for in JSON.
    failures:  method → the error it raises from now on: dialogue.failures["say"] = VonadError(...)
    hang:      methods that do not return.
    on_...:    what it does when it is told this; a text is answered with `answer_text` when the backend has replies.
    """

    def __init__(self, brief: Brief, capabilities: BackendCapabilities | None = None) -> None:
        self.brief = brief
        self.capabilities = capabilities or BackendCapabilities()
        self.told: list[str] = []
        self.turn = 0
        self.history: tuple[Exchange, ...] = ()
        self.sentences = Sentences()
        self.heard: list[Frame] = []
        self.overheard: list[Frame] = []
        self.pauses: list[bool] = []
        self.context: list[ContextEvent] = []
        self.outputs: list[Output] = []
        self.outcomes: dict[str, Outcome] = {}
        self.failures: dict[str, VonadError] = {}
        self.hang: set[str] = set()
        self.prepared: str | None = None
        self.on_say: Callable[[str], None] = lambda _: None
        self.on_structure: Callable[[str], None] = lambda _: None
        self.on_hear: Callable[[Frame], None] = lambda _: None
        self.on_commit: Callable[[], None] = lambda: None
        self.on_prepare: Callable[[str], None] = lambda _: None
        self.on_confirm: Callable[[str], None] = lambda _: None
        self.on_fill: Callable[[], None] = lambda: None
        self.on_overhear: Callable[[Frame], None] = lambda _: None
        self.on_interrupt: Callable[[], None] = lambda: None
        self._out: asyncio.Queue[Reply | VonadError | None] = asyncio.Queue()

    def emit(self, *replies: Reply | VonadError) -> None:
        """Say these; an error ends the dialogue with it."""
        for reply in replies:
            self._out.put_nowait(reply)

    def answer_text(self, text: str, *, seconds: float = 0.1) -> None:
        """Say this in the open turn, all of it, in one sentence with its sound."""
        said = self.brief.rewrite(text)
        sound = [Frame(quiet(seconds).samples, 16_000, turn=self.turn)] if self.brief.aloud else []
        self.emit(ReplyText(self.turn, said), *sound, ReplyDone(self.turn))

    def answer_structured(self, text: str) -> None:
        """Say this in the open turn, all of it, without sound."""
        self.emit(ReplyText(self.turn, self.brief.rewrite(text)), ReplyDone(self.turn))

    def take_back(self) -> None:
        """Nothing that was said and not yet heard comes out."""
        while not self._out.empty():
            self._out.get_nowait()

    def finish(self) -> None:
        """End the dialogue."""
        self._out.put_nowait(None)

    async def begin(self, turn: int, *, sentences: Sentences, history: tuple[Exchange, ...]) -> None:
        rule(turn > self.turn, f"Dialogue.begin: turns are numbered upwards: {turn} came after {self.turn}")
        await self._met("begin")
        self.turn, self.history, self.sentences = turn, history, sentences
        self.heard, self.overheard, self.prepared, self.pauses = [], [], None, []
        self.told.append(f"begin {turn}")

    async def hear(self, frame: Frame) -> None:
        self._open("hear")
        captured(frame, "Dialogue.hear")
        await self._met("hear")
        self.heard.append(frame)
        self.on_hear(frame)

    async def pause(self, *, on: bool) -> None:
        self._open("pause")
        await self._met("pause")
        self.pauses.append(on)

    async def commit(self) -> None:
        self._open("commit")
        await self._met("commit")
        self.told.append("commit")
        self.on_commit()

    async def say(self, text: str) -> None:
        self._open("say")
        await self._met("say")
        self.prepared = None
        self.told.append(f"say {text}")
        self.on_say(text)

    async def structure(self, text: str, output: Output) -> None:
        self._open("structure")
        if not self.capabilities.structured_output:
            await super().structure(text, output)
        await self._met("structure")
        self.prepared = None
        self.outputs.append(output)
        self.told.append(f"structure {text}")
        self.on_structure(text)

    async def replies(self) -> AsyncIterator[Reply]:
        while (reply := await self._out.get()) is not None:
            if isinstance(reply, VonadError):
                raise reply
            yield reply

    async def answer(self, call_id: str, outcome: Outcome) -> None:
        await self._met("answer")
        self.outcomes[call_id] = outcome
        self.told.append(f"answer {call_id}")

    async def interrupt(self) -> None:
        await self._met("interrupt")
        self.prepared = None
        self.told.append("interrupt")
        self.on_interrupt()

    async def overhear(self, frame: Frame) -> None:
        self._can("overhear", can=self.capabilities.overhears, flag="overhears")
        captured(frame, "Dialogue.overhear")
        await self._met("overhear")
        self.overheard.append(frame)
        self.on_overhear(frame)

    async def prepare(self, text: str) -> None:
        self._open("prepare")
        self._can("prepare", can=self.capabilities.prepares, flag="prepares")
        await self._met("prepare")
        self.prepared = text
        self.told.append(f"prepare {text}")
        self.on_prepare(text)

    async def confirm(self) -> None:
        self._can("confirm", can=self.capabilities.prepares, flag="prepares")
        prepared, self.prepared = self.prepared, None
        rule(prepared is not None, "Dialogue.confirm: nothing has been prepared, or it was thrown away")
        await self._met("confirm")
        self.told.append("confirm")
        self.on_confirm(prepared or "")

    async def fill(self) -> None:
        self._open("fill")
        self._can("fill", can=self.capabilities.fills, flag="fills")
        await self._met("fill")
        self.told.append("fill")
        self.on_fill()

    async def inject(self, event: ContextEvent) -> None:
        if not self.capabilities.context_injection:
            await super().inject(event)
        await self._met("inject")
        self.context.append(event)
        self.told.append(f"inject {event.source}")

    async def ping(self) -> None:
        await self._met("ping")
        self.told.append("ping")

    def _open(self, method: str) -> None:
        rule(self.turn > 0, f"Dialogue.{method} belongs to an open turn: `begin` comes first")

    def _can(self, method: str, *, can: bool, flag: str) -> None:
        rule(can, f"Dialogue.{method} is asked only of backends whose capabilities say `{flag}`")

    async def _met(self, method: str) -> None:
        if method in self.failures:
            raise self.failures[method]
        if method in self.hang:
            await asyncio.Event().wait()
