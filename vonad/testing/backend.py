"""A backend without a brain: it opens dialogues that say what a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from vonad.backend import (
    Backend,
    BackendCapabilities,
    Brief,
    Dialogue,
    EndOfSpeech,
    Overheard,
    SpeechStarted,
    Transcript,
)
from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Style
from vonad.testing.dialogue import ScriptedDialogue
from vonad.testing.sound import loud, quiet


class ScriptedBackend(Backend):
    """Opens ScriptedDialogues; `dialogue` is the newest. It speaks every text as 0.1 s of silence a word.

    replies: what each text is answered with, the final words of sound too, in JSON as it stands; None: a test says what
             is said.
    words:   what is recognised in any sound that is committed, once there are replies.
    failure: opening raises it. closing: closing raises it. hang: "open" or "close" never returns.
    summary: what a conversation is summed up as, where the capabilities say so; an error is raised.
    """

    def __init__(
        self,
        capabilities: BackendCapabilities | None = None,
        *,
        replies: Callable[[str], str] | None = None,
        words: str = "",
    ) -> None:
        self.capabilities = capabilities or BackendCapabilities()
        self.replies = replies
        self.words = words
        self.failure: VonadError | None = None
        self.closing: VonadError | None = None
        self.hang: set[str] = set()
        self.summary: str | VonadError = "They talked."
        self.summarised: list[tuple[Exchange, ...]] = []
        self.spoken: list[str] = []
        self._dialogues: list[ScriptedDialogue] = []

    @property
    def dialogue(self) -> ScriptedDialogue:
        """The newest one."""
        return self._dialogues[-1]

    @property
    def dialogues(self) -> Sequence[ScriptedDialogue]:
        """All that were opened, oldest first."""
        return tuple(self._dialogues)

    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        return self._open(brief)

    @asynccontextmanager
    async def _open(self, brief: Brief) -> AsyncIterator[Dialogue]:
        if "open" in self.hang:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        dialogue = ScriptedDialogue(brief, self.capabilities)
        if self.replies is not None:
            self._answering(dialogue, self.replies)
        self._dialogues.append(dialogue)
        try:
            yield dialogue
        finally:
            if "close" in self.hang:
                await asyncio.Event().wait()
            if self.closing is not None:
                raise self.closing

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        self.spoken.append(text)
        word_s = 0.15 - style.pace / 10 if self.capabilities.style_conditioning else 0.1
        for _ in text.split():
            yield quiet(word_s)

    async def summarise(self, history: Sequence[Exchange], *, language: str) -> str:
        if not self.capabilities.summarises:
            return await super().summarise(history, language=language)
        self.summarised.append(tuple(history))
        if isinstance(self.summary, VonadError):
            raise self.summary
        return self.summary

    def _answering(self, dialogue: ScriptedDialogue, replies: Callable[[str], str]) -> None:
        """What it can do, it does of itself."""

        def answer(text: str) -> None:
            dialogue.answer_text(replies(text))

        def commit() -> None:
            dialogue.emit(Transcript(dialogue.turn, self.words, final=True))
            if self.capabilities.hears:
                answer(self.words)

        def fill() -> None:
            dialogue.emit(Frame(quiet(0.1).samples, 16_000, turn=dialogue.turn, filler=True))

        def hear(frame: Frame) -> None:
            """Loud is speech, and a frame that is not ends it."""
            began = any(loud(before) for before in dialogue.heard[:-1])
            if loud(frame) and not began:
                dialogue.emit(SpeechStarted(dialogue.turn))
            elif began and not loud(frame) and loud(dialogue.heard[-2]):
                dialogue.emit(EndOfSpeech(dialogue.turn, "silence"))
                commit()

        if self.capabilities.turn_detection:
            dialogue.on_hear = hear
        dialogue.on_say = dialogue.on_confirm = answer
        dialogue.on_structure = lambda text: dialogue.answer_structured(replies(text))
        dialogue.on_commit, dialogue.on_fill = commit, fill
        dialogue.on_interrupt = dialogue.take_back
        dialogue.on_overhear = lambda _: dialogue.emit(Overheard(dialogue.turn, self.words))
