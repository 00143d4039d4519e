"""One session's conversation through the bridge: what it hears, what it answers, and what it does beside."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from vonad import (
    Brief,
    ContextEvent,
    Dialogue,
    Exchange,
    Frame,
    Outcome,
    Output,
    Reply,
    ReplyFailed,
    Sentence,
    Sentences,
    SkillRequest,
    SkillSentences,
    VonadError,
    closing,
)
from vonad_bridge.answering import Answer, Turn
from vonad_bridge.outlet import Outlet
from vonad_bridge.overhearing import Overhearing
from vonad_bridge.recognition import Recognition
from vonad_bridge.settings import Cascade
from vonad_bridge.utterance import Utterance
from vonad_bridge.voice import spoken

CONTEXT = 16
"""Events from outside that a conversation knows of: the newest."""


@asynccontextmanager
async def open_dialogue(cascade: Cascade, brief: Brief) -> AsyncIterator[Dialogue]:
    """A dialogue; its tasks end with it."""
    async with asyncio.TaskGroup() as group:
        dialogue = BridgeDialogue(cascade, brief, group)
        try:
            yield dialogue
        finally:
            await dialogue.interrupt()


class BridgeDialogue(Dialogue):
    """Listening, answering, overhearing and filling are tasks side by side; `begin` and `interrupt` end them all.

    There is one answer at most: a draft until `confirm`, or what was asked for by `say`.
    """

    def __init__(self, cascade: Cascade, brief: Brief, group: asyncio.TaskGroup) -> None:
        self._cascade = cascade
        self._brief = brief
        self._group = group
        self._out = Outlet()
        self._turn = Turn(0, Sentences(), ())
        self._context: deque[ContextEvent] = deque(maxlen=CONTEXT)
        self._utterance: Utterance | None = None
        self._listening: asyncio.Task[None] | None = None
        self._answer: Answer | None = None
        self._overhearing: Overhearing | None = None
        self._filling: asyncio.Task[None] | None = None
        self._fillers = 0

    async def begin(self, turn: int, *, sentences: Sentences, history: tuple[Exchange, ...]) -> None:
        await self.interrupt()
        self._turn = Turn(turn, sentences, history)

    async def hear(self, frame: Frame) -> None:
        if self._answer is not None and self._answer.released:
            return
        if self._utterance is None:
            self._utterance = Utterance()
            self._listening = self._spawn(self._recognition().listen(self._utterance), "listens")
        self._utterance.put(frame)

    async def pause(self, *, on: bool) -> None:
        if self._utterance is not None:
            self._utterance.pause(on=on)

    async def commit(self) -> None:
        if self._utterance is not None:
            self._utterance.close()

    async def say(self, text: str) -> None:
        self._stop_listening()
        self._answering(text, instead_of=lambda reply: not (isinstance(reply, Frame) and reply.filler))

    async def structure(self, text: str, output: Output) -> None:
        self._stop_listening()
        self._answering(text, instead_of=lambda _: True, output=output)

    def replies(self) -> AsyncIterator[Reply]:
        return self._out

    async def answer(self, call_id: str, outcome: Outcome) -> None:
        if self._answer is not None:
            self._answer.desk.settle(call_id, outcome)

    async def interrupt(self) -> None:
        self._stop_listening()
        if self._answer is not None:
            self._answer.stop()
        self._answer = None
        self._stop_overhearing()
        if self._filling is not None:
            self._filling.cancel()
        self._filling = None
        self._out.drop(lambda _: True)

    # While the user speaks

    async def prepare(self, text: str) -> None:
        if self._answer is not None and (self._answer.released or self._answer.text == text):
            return
        self._redraft(text)

    async def confirm(self) -> None:
        self._stop_listening()
        if self._answer is None:
            nothing = "nothing was prepared that could be confirmed; say the text instead"
            self._out.push(ReplyFailed(self._turn.number, VonadError("invalid_state", nothing)))
        elif not self._answer.released:
            self._answer.release()

    def _redraft(self, text: str) -> None:
        self._answering(text, instead_of=lambda reply: isinstance(reply, SkillRequest), draft=True)

    # While a reply is made, or plays

    async def overhear(self, frame: Frame) -> None:
        if self._overhearing is None or self._overhearing.over:
            self._stop_overhearing()
            asides, language = self._asides(self._turn.sentences), self._brief.language
            self._overhearing = Overhearing(self._cascade, self._out, self._turn.number, language, asides)
            self._overhearing.task = self._spawn(self._overhearing.run(), "overhears")
        self._overhearing.put(frame)

    async def fill(self) -> None:
        fillers = self._cascade.settings.bridging(self._brief.language)
        if not fillers or not self._brief.aloud or (self._filling is not None and not self._filling.done()):
            return
        text = fillers[self._fillers % len(fillers)]
        self._fillers += 1
        self._filling = self._spawn(self._fill(self._turn.number, text), "fills")

    async def inject(self, event: ContextEvent) -> None:
        self._context.append(event)
        draft = self._answer
        if draft is not None and not draft.released and not draft.acted:
            self._redraft(draft.text)  # it should know; but nothing is asked of a skill twice

    async def _fill(self, turn: int, text: str) -> None:
        """Until the reply itself sounds. That it fails is of no consequence: the user waits in silence."""
        brief, log = self._brief, self._cascade.host.log
        sound = spoken(self._cascade, text, language=brief.language, style=brief.style, tell=log.debug)
        try:
            async with closing(sound) as frames:
                async for frame in frames:
                    if self._answer is not None and self._answer.sounding:
                        return
                    await self._out.put(Frame(frame.samples, frame.rate, turn=turn, filler=True))
        except VonadError as error:
            log.debug("no filler: %s", error.message)

    # Tasks

    def _answering(
        self, text: str, *, instead_of: Callable[[Reply], bool], draft: bool = False, output: Output | None = None
    ) -> None:
        """In place of the answer that there was, and of such replies as nobody has taken yet."""
        if self._answer is not None:
            self._answer.stop()
        self._out.drop(instead_of)
        self._answer = Answer(
            self._cascade,
            self._brief,
            self._turn,
            text,
            context=self._context,
            out=self._out,
            group=self._group,
            draft=draft,
            output=output,
        )

    def _stop_listening(self) -> None:
        if self._listening is not None and self._utterance is not None and not self._utterance.understood:
            self._listening.cancel()
        self._listening = self._utterance = None

    def _stop_overhearing(self) -> None:
        if self._overhearing is not None and self._overhearing.task is not None:
            self._overhearing.task.cancel()
        self._overhearing = None

    def _recognition(self) -> Recognition:
        turn = self._turn
        return Recognition(self._cascade, self._out, turn.number, self._brief.language, turn.sentences)

    def _asides(self, sentences: Sentences) -> Sentences:
        """What may be said while a reply plays: a recogniser of sentences hears nothing else."""
        said = tuple(Sentence(text) for text in self._brief.interjections)
        return Sentences((*sentences.skills, SkillSentences("interjections", said))) if said else sentences

    def _spawn(self, work: Coroutine[object, object, None], what: str) -> asyncio.Task[None]:
        return self._group.create_task(work, name=f"bridge of session {self._brief.session_id} {what}")
