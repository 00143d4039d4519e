"""One session's conversation through the bridge. Each turn is one task at a time: listening, then answering."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager

from vonad import (
    Brief,
    Dialogue,
    Exchange,
    Frame,
    Host,
    Mailbox,
    NotUnderstood,
    Outcome,
    Reply,
    ReplyDone,
    ReplyFailed,
    ReplyText,
    Request,
    Sentences,
    SkillCall,
    SkillDesk,
    SkillRequest,
    Style,
    Transcript,
    VonadError,
    closing,
    first_error,
)
from vonad_bridge.sentences import SentenceSplitter

UTTERANCE = 4_000
"""Frames of one utterance: 80 s of 20 ms, more than a turn may last."""

REPLIES = 512
"""Replies that wait for the session: some seconds of sound; the voice waits when they are not taken."""

SENTENCES = 32
"""Sentences that wait to be spoken: the agent waits when it is that far ahead."""

Speak = Callable[[str, str, Style], AsyncIterator[Frame]]


@asynccontextmanager
async def open_dialogue(
    host: Host, brief: Brief, *, stt: Sequence[str], agents: Sequence[str], speak: Speak
) -> AsyncIterator[Dialogue]:
    """A dialogue; its tasks end with it."""
    async with asyncio.TaskGroup() as group:
        dialogue = BridgeDialogue(host, brief, stt, agents, speak, group)
        try:
            yield dialogue
        finally:
            dialogue.close()


class BridgeDialogue(Dialogue):
    """Listening and answering are tasks of the group; `begin` and `interrupt` cancel what still runs."""

    def __init__(  # noqa: PLR0917
        self,
        host: Host,
        brief: Brief,
        stt: Sequence[str],
        agents: Sequence[str],
        speak: Speak,
        group: asyncio.TaskGroup,
    ) -> None:
        self._host = host
        self._brief = brief
        self._stt = stt
        self._agents = agents
        self._speak = speak
        self._group = group
        self._out: asyncio.Queue[Reply | None] = asyncio.Queue(REPLIES)
        self._turn = 0
        self._sentences = Sentences()
        self._history: tuple[Exchange, ...] = ()
        self._utterance: Utterance | None = None
        self._work: asyncio.Task[None] | None = None
        self._calls: dict[str, asyncio.Future[Outcome]] = {}

    async def begin(self, turn: int, *, sentences: Sentences, history: tuple[Exchange, ...]) -> None:
        await self.interrupt()
        self._turn, self._sentences, self._history = turn, sentences, history

    async def hear(self, frame: Frame) -> None:
        if self._utterance is None:
            self._utterance = Utterance()
            self._start(self._listen(self._turn, self._utterance), "listens")
        self._utterance.put(frame)

    async def commit(self) -> None:
        if self._utterance is not None:
            self._utterance.close()

    async def say(self, text: str) -> None:
        self._start(self._answer(self._turn, text), "answers")

    async def replies(self) -> AsyncIterator[Reply]:
        while (reply := await self._out.get()) is not None:
            yield reply

    async def answer(self, call_id: str, outcome: Outcome) -> None:
        waiting = self._calls.get(call_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)

    async def interrupt(self) -> None:
        self._utterance = None
        if self._work is not None:
            self._work.cancel()
            self._work = None

    def close(self) -> None:
        """Stop everything."""
        if self._work is not None:
            self._work.cancel()

    def _start(self, work: Coroutine[object, object, None], what: str) -> None:
        if self._work is not None:
            self._work.cancel()
        self._work = self._group.create_task(work, name=f"bridge of session {self._brief.session_id} {what}")

    # Listening

    async def _listen(self, turn: int, utterance: "Utterance") -> None:
        """By the first recogniser that understands it: the next ones hear the same sound again."""
        last: VonadError | None = None
        understood = False
        for name in self._stt:
            try:
                understood = await self._recognise(turn, name, utterance)
            except VonadError as error:
                last = error
            else:
                last = None
                if understood:
                    break
        if last is not None:
            await self._out.put(ReplyFailed(turn, last))
        elif not understood:
            await self._out.put(Transcript(turn, "", final=True))

    async def _recognise(self, turn: int, name: str, utterance: "Utterance") -> bool:
        async with self._host.engine("stt", name) as engine:
            heard = engine.listen(utterance.frames(), language=self._brief.language, sentences=self._sentences)
            async with closing(heard) as texts:
                async for text in texts:
                    if not text.final:
                        await self._out.put(Transcript(turn, text.text))
                    elif text.text:
                        await self._out.put(Transcript(turn, text.text, final=True))
                        return True
        return False

    # Answering

    async def _answer(self, turn: int, text: str) -> None:
        request = Request(text=text, language=self._brief.language, sentences=self._sentences, history=self._history)
        understood = False
        try:
            for name in self._agents:
                understood = await self._ask(turn, name, request)
                if understood:
                    break
        except VonadError as error:
            await self._out.put(ReplyFailed(turn, error))
        else:
            await self._out.put(ReplyDone(turn, understood=understood))

    async def _ask(self, turn: int, name: str, request: Request) -> bool:
        """Whether this agent had something to say: it is spoken sentence by sentence while the agent goes on."""
        spoken: asyncio.Queue[str | None] = asyncio.Queue(SENTENCES)
        desk = BridgeDesk(self, turn)
        understood, failure = True, None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._voice(turn, spoken), name=f"{name} speaks")
                async with self._host.engine("agent", name) as agent, closing(agent.answer(request, desk)) as pieces:
                    splitter = SentenceSplitter()
                    async for piece in pieces:
                        for sentence in splitter.push(piece):
                            await spoken.put(sentence)
                    for sentence in splitter.flush():
                        await spoken.put(sentence)
                await spoken.put(None)
        except* NotUnderstood:
            understood = False
        except* VonadError as errors:
            failure = first_error(errors)
        if failure is not None:
            raise failure
        return understood

    async def _voice(self, turn: int, sentences: asyncio.Queue[str | None]) -> None:
        while (sentence := await sentences.get()) is not None:
            text = self._brief.rewrite(sentence)
            await self._out.put(ReplyText(turn, text))
            if not self._brief.aloud:
                continue
            async with closing(self._speak(text, self._brief.language, self._brief.style)) as frames:
                async for frame in frames:
                    await self._out.put(Frame(frame.samples, frame.rate, turn=turn))

    async def run_skill(self, turn: int, name: str, arguments: Mapping[str, object]) -> Outcome:
        """Ask the session for a skill, and wait for what comes of it."""
        call = SkillCall(secrets.token_hex(8), name, arguments)
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._calls[call.id] = waiting
        try:
            await self._out.put(SkillRequest(turn, call))
            return await waiting
        finally:
            del self._calls[call.id]


class BridgeDesk(SkillDesk):
    """Where an agent has skills run, in one turn."""

    def __init__(self, dialogue: BridgeDialogue, turn: int) -> None:
        self._dialogue = dialogue
        self._turn = turn

    async def call(self, name: str, arguments: Mapping[str, object]) -> Outcome:
        return await self._dialogue.run_skill(self._turn, name, arguments)


class Utterance:
    """What the user says in one turn: heard while it arrives, and again from its beginning by the next recogniser."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._readers: list[Mailbox[Frame]] = []
        self._closed = False

    def put(self, frame: Frame) -> None:
        """A frame more; beyond UTTERANCE it is not kept."""
        if self._closed or len(self._frames) >= UTTERANCE:
            return
        self._frames.append(frame)
        for reader in self._readers:
            reader.put(frame)

    def close(self) -> None:
        """The user has finished."""
        self._closed = True
        for reader in self._readers:
            reader.close()

    def frames(self) -> AsyncIterator[Frame]:
        """All frames from the first to the last."""
        reader: Mailbox[Frame] = Mailbox(UTTERANCE)
        for frame in self._frames:
            reader.put(frame)
        if self._closed:
            reader.close()
        else:
            self._readers.append(reader)
        return reader
