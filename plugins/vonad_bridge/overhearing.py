"""Overhearing: what somebody says while a reply is made or plays, heard as it comes, and forgotten at a pause."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from vonad import Frame, Mailbox, Overheard, Sentences, SpeechToText, VonadError, closing
from vonad_bridge.outlet import Outlet
from vonad_bridge.recognition import stop_if_called_off
from vonad_bridge.settings import Cascade
from vonad_bridge.utterance import whole

WAITING = 500
"""Frames that wait to be overheard: 10 s; a recogniser slower than that misses the oldest."""

AGAIN_S = 0.5
"""After this long a recogniser is asked for again that had no stream left for somebody who is only overheard."""

PAUSE_S = 1.0
"""Without a frame for this long nobody is being overheard: the recogniser is given back."""

MORE_S = 0.5
"""A recogniser that needs the whole sound is asked again when so much more was said: enough for a word."""

STUMBLES = 2
"""Failures in a row that may pass, of one that is asked so often."""


class Overhearing:
    """Of one turn, until there is a pause in what is said.

    over: there was one, or the recogniser was taken away; what follows is overheard anew.
    deaf: no recogniser can be had; what comes is thrown away.
    """

    def __init__(self, cascade: Cascade, out: Outlet, turn: int, language: str, sentences: Sentences) -> None:
        self.over = False
        self.deaf = False
        self.task: asyncio.Task[None] | None = None
        self._cascade = cascade
        self._out = out
        self._turn = turn
        self._language = language
        self._sentences = sentences
        self._frames: Mailbox[Frame] = Mailbox(WAITING)
        self._sound: deque[Frame] = deque(maxlen=WAITING)

    def make_way(self) -> None:
        """Somebody's turn needs the recogniser: what follows is overheard anew, once there is one again."""
        self.over = True
        if self.task is not None:
            self.task.cancel()

    def put(self, frame: Frame) -> None:
        """A frame more."""
        if not self.deaf:
            self._frames.put(frame)

    async def run(self) -> None:
        """By the first recogniser that can be had. That one fails is of no consequence here."""
        busy = True
        while busy:
            busy = False
            for name in self._cascade.settings.stt:
                try:
                    await self._heard_by(name)
                except VonadError as error:
                    busy = busy or error.code == "overload"
                    self._cascade.host.log.debug("stt engine %s does not overhear: %s", name, error.message)
                else:
                    return
            if busy:
                await self._cascade.host.clock.sleep(AGAIN_S)
        self.deaf = True

    async def _heard_by(self, name: str) -> None:
        if name not in self._cascade.batch:
            async with self._cascade.host.engine("stt", name) as engine:
                if engine.interim:
                    if self._cascade.wanted[name]:
                        raise VonadError("overload", f"a turn waits for stt engine {name}", retryable=True)
                    with self._lent(name):
                        await self._listen(engine, self._until_a_pause())
                    return
            self._cascade.batch.add(name)
        await self._again_and_again(name)

    async def _again_and_again(self, name: str) -> None:
        """By a recogniser that needs the whole sound: it hears all of it again whenever there is more."""
        more_s, stumbles = 0.0, 0
        async with closing(self._until_a_pause()) as frames:
            async for frame in frames:
                more_s += frame.seconds
                if more_s >= MORE_S and not len(self._frames):  # one that is slow hears all there is at once
                    more_s = 0.0
                    stumbles = 0 if await self._hear(name, last=stumbles >= STUMBLES) else stumbles + 1
        if more_s:
            await self._hear(name, last=True)

    async def _hear(self, name: str, *, last: bool) -> bool:
        """Whether it could be asked. One that is busy or stumbles hears this too when there is more.

        last: another is to be asked then. Raises what it failed with.
        """
        try:
            async with self._cascade.host.engine("stt", name) as engine:
                if self._cascade.wanted[name]:
                    return False
                with self._lent(name):
                    await self._listen(engine, whole(self._sound))
        except VonadError as error:
            others = len(self._cascade.settings.stt) > 1
            if last or not error.retryable or (others and error.code == "overload"):
                raise
            return False
        return True

    async def _listen(self, engine: SpeechToText, frames: AsyncIterator[Frame]) -> None:
        heard = engine.listen(frames, language=self._language, sentences=self._sentences)
        async with closing(heard) as texts:
            async for text in texts:
                stop_if_called_off()
                if text.text:
                    self._out.overheard(Overheard(self._turn, text.text))

    @contextmanager
    def _lent(self, name: str) -> Iterator[None]:
        """Whose turn it is can have it back."""
        eaves = self._cascade.eaves.setdefault(name, [])
        eaves.append(self)
        try:
            yield
        finally:
            eaves.remove(self)

    async def _until_a_pause(self) -> AsyncIterator[Frame]:
        """What another recogniser has heard already comes again."""
        for frame in tuple(self._sound):
            yield frame
        while True:
            try:
                async with self._cascade.host.clock.deadline(PAUSE_S):
                    frame = await self._frames.get()
            except TimeoutError:
                self.over = True
                return
            self._sound.append(frame)
            yield frame
