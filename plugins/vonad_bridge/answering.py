"""Answering: one text, from the agents through the splitter to the voice; said at once, or held back until wanted."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from vonad import (
    Brief,
    ContextEvent,
    Diagnostic,
    Exchange,
    Frame,
    NotUnderstood,
    Outcome,
    Output,
    Reply,
    ReplyDone,
    ReplyFailed,
    ReplyText,
    Request,
    Sentences,
    SkillCall,
    SkillDesk,
    SkillRequest,
    VonadError,
    closing,
    first_error,
)
from vonad_bridge.outlet import Outlet
from vonad_bridge.sentences import SentenceSplitter
from vonad_bridge.settings import Cascade
from vonad_bridge.structured import structured_reply
from vonad_bridge.tries import Tries
from vonad_bridge.voice import spoken

SENTENCES = 32
"""Sentences that wait to be spoken: the agent waits when it is that far ahead."""

HELD = 512
"""Replies that a draft keeps: some seconds of sound; it waits when it is that far ahead."""

HOPS = 2
"""Rounds of the loop in which the session takes the first sound of a reply, and then has it played: a voice that never
waits, or has much to do, makes no more meanwhile."""


@dataclass(slots=True)
class Turn:
    """The open turn. tokens: what all its answers have spent, those that were thrown away too."""

    number: int
    sentences: Sentences
    history: tuple[Exchange, ...]
    tokens: int = 0


class Answer:
    """The answer to one text, which a task of the group makes from now on.

    A draft's skills are asked for at once; all else of it is held back until its release.

    released: what is made comes out.
    acted:    a skill was asked for.
    sounding: some of its sound has come out.
    """

    def __init__(
        self,
        cascade: Cascade,
        brief: Brief,
        turn: Turn,
        text: str,
        *,
        context: Sequence[ContextEvent],
        out: Outlet,
        group: asyncio.TaskGroup,
        draft: bool = False,
        output: Output | None = None,
    ) -> None:
        self.text = text
        self.released = not draft
        self.acted = False
        self.sounding = False
        self.desk = Desk(self._wish)
        self._cascade = cascade
        self._brief = brief
        self._turn = turn
        self._context = context
        self._output = output
        self._out = out
        self._held: deque[Reply] = deque()
        self._freed: asyncio.Event | None = None
        self._begun = False
        self._stopped = False
        self._task = group.create_task(self._answer(), name=f"bridge of session {brief.session_id} answers")

    def release(self) -> None:
        """It is wanted: what was held back comes out now, the rest as it is made."""
        self.released = True
        self.sounding = Frame in map(type, self._held)
        self._out.push(*self._held)
        self._held.clear()
        if self._freed is not None:
            self._freed.set()

    def stop(self) -> None:
        """Nothing more of it comes out."""
        self._stopped = True
        self._task.cancel()

    async def _answer(self) -> None:
        tries = Tries("agent", self._cascade.settings.agent, self._cascade.host, self._tell)
        understood = False
        while not understood and (name := await tries.next()) is not None:
            try:
                understood = await self._ask(name)
            except VonadError as error:
                if self._begun or error.code == "budget_exceeded":
                    await self._put(ReplyFailed(self._turn.number, error))
                    return
                tries.failed(error)
        if not understood and tries.error is not None:  # who failed might have known
            await self._put(ReplyFailed(self._turn.number, tries.error))
        else:
            tokens = self._turn.tokens
            usage = {"tokens": tokens} if tokens else None
            await self._put(ReplyDone(self._turn.number, understood=understood, usage=usage))

    async def _ask(self, name: str) -> bool:
        """Whether this agent had something to say: it is spoken sentence by sentence.

        While the agent goes on its sentences are spoken by a task beside it; when it has said all at once, by this one.
        """
        request = Request(
            text=self.text,
            language=self._brief.language,
            sentences=self._turn.sentences,
            history=self._turn.history,
            context=tuple(self._context),
            spend=self._spend,
            output=self._output,
        )
        if self._output is not None:
            return await self._structured(name, request)
        splitter = SentenceSplitter()
        ahead: asyncio.Queue[str | None] | None = None
        understood, failure = True, None
        try:
            async with AsyncExitStack() as beside:
                async with (
                    self._cascade.host.engine("agent", name) as agent,
                    closing(agent.answer(request, self.desk)) as pieces,
                ):
                    async for piece in pieces:
                        for sentence in splitter.push(piece):
                            if ahead is None:
                                ahead = await self._voice(beside)
                            await ahead.put(sentence)
                for sentence in splitter.flush():
                    await (self._speak(sentence) if ahead is None else ahead.put(sentence))
                if ahead is not None:
                    await ahead.put(None)
        except* NotUnderstood:
            understood = False
        except* VonadError as errors:
            failure = first_error(errors)
        if failure is not None:
            raise failure
        return understood

    async def _structured(self, name: str, request: Request) -> bool:
        """As `_ask`, but the reply comes out whole, and nobody speaks it."""
        try:
            async with self._cascade.host.engine("agent", name) as agent:
                reply = await structured_reply(agent, request, self.desk)
        except NotUnderstood:
            return False
        self._begun = True
        await self._put(ReplyText(self._turn.number, self._brief.rewrite(reply)))
        return True

    async def _voice(self, beside: AsyncExitStack) -> asyncio.Queue[str | None]:
        """Where sentences are spoken from until there is None, while whoever leaves them there goes on."""
        sentences: asyncio.Queue[str | None] = asyncio.Queue(SENTENCES)

        async def speak() -> None:
            while (sentence := await sentences.get()) is not None:
                await self._speak(sentence)

        group = await beside.enter_async_context(asyncio.TaskGroup())
        group.create_task(speak(), name=f"bridge of session {self._brief.session_id} speaks")
        return sentences

    async def _speak(self, sentence: str) -> None:
        brief, turn = self._brief, self._turn.number
        self._begun = True
        text = brief.rewrite(sentence)
        await self._put(ReplyText(turn, text))
        if not brief.aloud:
            return
        sound = spoken(self._cascade, text, language=brief.language, style=brief.style, tell=self._tell)
        async with closing(sound) as frames:
            async for frame in frames:
                first = not self.sounding
                await self._put(Frame(frame.samples, frame.rate, turn=turn))
                if first and self.sounding:
                    for _ in range(HOPS):
                        await asyncio.sleep(0)

    def _spend(self, tokens: int) -> None:
        self._turn.tokens += tokens
        self._brief.spend(tokens)

    def _wish(self, call: SkillCall) -> None:
        self._begun = self.acted = True
        if not self._stopped:
            self._out.push(SkillRequest(self._turn.number, call, early=not self.released))

    def _tell(self, message: str) -> None:
        diagnostic = Diagnostic(self._turn.number, message, retrying=True)
        if not self.released:
            self._held.append(diagnostic)
        elif not self._stopped:
            self._out.push(diagnostic)

    async def _put(self, reply: Reply) -> None:
        if not self.released and len(self._held) >= HELD:
            self._freed = self._freed or asyncio.Event()
            await self._freed.wait()
        if not self.released:
            self._held.append(reply)
            return
        if self._out.full:
            await self._out.room()
        if not self._stopped:  # a task that was told to end may get to run once more before it does
            self.sounding = self.sounding or isinstance(reply, Frame)
            self._out.push(reply)


class Desk(SkillDesk):
    """Where an agent has skills run. wish: told of each call; its outcome comes through `settle`."""

    def __init__(self, wish: Callable[[SkillCall], None]) -> None:
        self._wish = wish
        self._calls: dict[str, asyncio.Future[Outcome]] = {}

    async def call(self, name: str, arguments: Mapping[str, object]) -> Outcome:
        call = SkillCall(secrets.token_hex(8), name, arguments)
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._calls[call.id] = waiting
        try:
            self._wish(call)
            return await waiting
        finally:
            del self._calls[call.id]

    def settle(self, call_id: str, outcome: Outcome) -> None:
        """What came of a call; one that nobody waits for is ignored."""
        waiting = self._calls.get(call_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)
