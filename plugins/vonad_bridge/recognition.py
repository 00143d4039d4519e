"""Recognition: sound to words, of the user's turn and of what is said while a reply plays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vonad import (
    Clock,
    Diagnostic,
    Frame,
    Mailbox,
    Overheard,
    ReplyFailed,
    Sentences,
    SpeechToText,
    Transcript,
    VonadError,
    closing,
)
from vonad_bridge.outlet import Outlet
from vonad_bridge.settings import Cascade
from vonad_bridge.tries import Tries

UTTERANCE = 4_000
"""Frames of one utterance: 80 s of 20 ms, more than a turn may last."""

OVERHEARD = 500
"""Frames that wait to be overheard: 10 s; a recogniser slower than that misses the oldest."""

AGAIN_S = 0.5
"""After this long a recogniser is asked for again that had no stream left for somebody who is only overheard."""

PAUSE_S = 1.0
"""Without a frame for this long nobody is being overheard: the recogniser is given back."""


class Recognition:
    """Words of one turn, in one language."""

    def __init__(self, cascade: Cascade, out: Outlet, turn: int, language: str, sentences: Sentences) -> None:
        self._cascade = cascade
        self._out = out
        self._turn = turn
        self._language = language
        self._sentences = sentences

    async def listen(self, utterance: "Utterance") -> None:
        """By the first recogniser that understands it: the next ones hear the same sound again."""
        tries = Tries("stt", self._cascade.settings.stt, self._cascade.host, self._tell)
        last: VonadError | None = None
        while (name := await tries.next()) is not None:
            try:
                if await self._understood(name, utterance):
                    return
                last = None
            except VonadError as error:
                tries.failed(error)
                last = error
        if last is not None:
            await self._out.put(ReplyFailed(self._turn, last))
        else:
            await self._out.put(Transcript(self._turn, "", final=True))

    async def _understood(self, name: str, utterance: "Utterance") -> bool:
        async with self._taken(name) as engine:
            heard = engine.listen(utterance.frames(), language=self._language, sentences=self._sentences)
            async with closing(heard) as texts:
                async for text in texts:
                    if not text.final:
                        await self._out.put(Transcript(self._turn, text.text))
                    elif text.text:
                        await self._out.put(Transcript(self._turn, text.text, final=True))
                        utterance.understood = True
                        await self._cascade.host.clock.lull()  # the engine can be given back later, the user waits
                        return True
        return False

    @asynccontextmanager
    async def _taken(self, name: str) -> AsyncIterator[SpeechToText]:
        """A recogniser for somebody's turn: if all its streams are busy, one that only overhears has to go."""
        eaves = self._cascade.eaves.get(name)
        lease = self._cascade.host.engine("stt", name)
        if not eaves:
            async with lease as engine:
                yield engine
            return
        timer = self._cascade.host.clock.call_later(0.0, lambda: eaves[0].make_way() if eaves else None)
        try:
            async with lease as engine:
                timer.cancel()
                yield engine
        finally:
            timer.cancel()

    async def overhear(self, overheard: "Overhearing") -> None:
        """By the first recogniser that can be had. That one fails is of no consequence here."""
        busy = True
        while busy:
            busy = False
            for name in self._cascade.settings.stt:
                try:
                    await self._overheard(name, overheard)
                except VonadError as error:
                    busy = busy or error.code == "overload"
                    self._cascade.host.log.debug("stt engine %s does not overhear: %s", name, error.message)
                else:
                    return
            if busy:
                await self._cascade.host.clock.sleep(AGAIN_S)
        overheard.deaf = True

    async def _overheard(self, name: str, overheard: "Overhearing") -> None:
        async with self._cascade.host.engine("stt", name) as engine:
            eaves = self._cascade.eaves.setdefault(name, [])
            eaves.append(overheard)
            try:
                heard = engine.listen(overheard.frames(), language=self._language, sentences=self._sentences)
                async with closing(heard) as texts:
                    async for text in texts:
                        if text.text:
                            self._out.overheard(Overheard(self._turn, text.text))
            finally:
                eaves.remove(overheard)

    def _tell(self, message: str) -> None:
        self._out.push(Diagnostic(self._turn, message, retrying=True))


class Utterance:
    """What the user says in one turn: heard while it arrives, and again from its beginning by the next recogniser.

    understood: the final words are out.
    """

    def __init__(self) -> None:
        self.understood = False
        self._frames: list[Frame] = []
        self._reader: Mailbox[Frame] | None = None
        self._closed = False

    def put(self, frame: Frame) -> None:
        """A frame more; beyond UTTERANCE it is not kept."""
        if self._closed or len(self._frames) >= UTTERANCE:
            return
        self._frames.append(frame)
        if self._reader is not None:
            self._reader.put(frame)

    def close(self) -> None:
        """The user has finished."""
        self._closed = True
        if self._reader is not None:
            self._reader.close()

    def frames(self) -> AsyncIterator[Frame]:
        """All frames from the first to the last, for one recogniser; the one before gets no more of them."""
        reader: Mailbox[Frame] = Mailbox(UTTERANCE)
        for frame in self._frames:
            reader.put(frame)
        if self._closed:
            reader.close()
        self._reader = reader
        return reader


class Overhearing:
    """What somebody says while a reply plays: heard once, as it comes, and never kept.

    over: there was a pause; what follows is overheard anew.
    deaf: no recogniser can be had; what comes is thrown away.
    """

    def __init__(self, clock: Clock) -> None:
        self.over = False
        self.deaf = False
        self.task: asyncio.Task[None] | None = None
        self._clock = clock
        self._frames: Mailbox[Frame] = Mailbox(OVERHEARD)

    def make_way(self) -> None:
        """Somebody's turn needs the recogniser: what follows is overheard anew, once there is one again."""
        self.over = True
        if self.task is not None:
            self.task.cancel()

    def put(self, frame: Frame) -> None:
        """A frame more."""
        if not self.deaf:
            self._frames.put(frame)

    async def frames(self) -> AsyncIterator[Frame]:
        """Until there is a pause."""
        while True:
            try:
                async with self._clock.deadline(PAUSE_S):
                    frame = await self._frames.get()
            except TimeoutError:
                self.over = True
                return
            yield frame
