"""Recognition: sound to words, of the user's turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vonad import (
    Diagnostic,
    ReplyFailed,
    Sentences,
    SpeechToText,
    Transcript,
    VonadError,
    called_off,
    closing,
)
from vonad_bridge.outlet import Outlet
from vonad_bridge.settings import Cascade
from vonad_bridge.tries import Tries
from vonad_bridge.utterance import Utterance

STUMBLES = 2
"""Failures in a row at pauses, after which a recogniser is asked at the end only: its breaker is not to open before."""


class Recognition:
    """Words of one turn, in one language."""

    def __init__(self, cascade: Cascade, out: Outlet, turn: int, language: str, sentences: Sentences) -> None:
        self._cascade = cascade
        self._out = out
        self._turn = turn
        self._language = language
        self._sentences = sentences
        self._stumbles = 0

    async def listen(self, utterance: Utterance) -> None:
        """By the first recogniser that understands it: the next ones hear the same sound again."""
        tries = Tries("stt", self._cascade.settings.stt, self._cascade.host, self._tell)
        last: VonadError | None = None
        waited_for = False
        while (name := await tries.next()) is not None:
            try:
                if await self._understood(name, utterance):
                    return
                last = None
            except VonadError as error:
                stop_if_called_off()
                if utterance.closed and not waited_for:
                    waited_for = True
                    tries.begin()  # nobody has waited until the end of the sound
                tries.failed(error)
                last = error
        if last is not None:
            await self._out.put(ReplyFailed(self._turn, last))
        else:
            await self._out.put(Transcript(self._turn, "", final=True))

    async def _understood(self, name: str, utterance: Utterance) -> bool:
        """By this recogniser: one that tells words while they are spoken hears every frame as it comes."""
        if name in self._cascade.batch:
            return await self._at_pauses(name, utterance)
        async with self._taken(name) as engine:
            if engine.interim:
                heard = engine.listen(utterance.frames(), language=self._language, sentences=self._sentences)
                async with closing(heard) as texts:
                    async for text in texts:
                        if not text.final:
                            await self._out.put(Transcript(self._turn, text.text))
                        elif words := text.text.strip():
                            await self._out.put(Transcript(self._turn, words, final=True))
                            utterance.understood = True
                            await self._cascade.host.clock.lull()  # the engine can be given back later, the user waits
                            return True
                return False
        self._cascade.batch.add(name)
        return await self._at_pauses(name, utterance)

    async def _at_pauses(self, name: str, utterance: Utterance) -> bool:
        """By a recogniser that knows words only when the sound is over: it is asked whenever the user pauses, while the
        house still waits whether they go on. If they do not, the words are there when the turn ends.
        """
        while True:
            while not (utterance.closed or (utterance.quiet and self._stumbles < STUMBLES)):
                await utterance.change()
            pauses = utterance.pauses
            text = await self._words(name, utterance)
            if text and utterance.pauses == pauses and not utterance.closed:
                await self._out.put(Transcript(self._turn, text))
            while utterance.pauses == pauses and not utterance.closed:
                await utterance.change()
            if text is None or utterance.pauses != pauses:
                continue
            if text:
                await self._out.put(Transcript(self._turn, text, final=True))
                utterance.understood = True
            return bool(text)

    async def _words(self, name: str, utterance: Utterance) -> str | None:
        """Of the sound so far; None when the user goes on meanwhile, or when it failed or was busy at a pause: whoever
        has not finished has time for another try."""
        loop, finished = asyncio.get_running_loop(), utterance.closed
        text = None
        try:
            async with asyncio.timeout(None) as until:
                utterance.went_on = lambda: until.reschedule(loop.time())
                text = await self._whole(name, utterance)
                self._stumbles = 0
        except (TimeoutError, VonadError) as error:
            busy = isinstance(error, VonadError) and error.code == "overload"
            if finished or (utterance.closed and not (busy or until.expired())):
                raise
            if not until.expired():
                self._stumbles += not busy
                self._cascade.host.log.debug("stt engine %s has no words at a pause: %s", name, error)
        finally:
            utterance.went_on = None
        stop_if_called_off()
        return None if until.expired() else text

    async def _whole(self, name: str, utterance: Utterance) -> str:
        async with self._taken(name) as engine:
            if engine.interim:  # a reload has put another in its place
                self._cascade.batch.discard(name)
            heard = engine.listen(utterance.sound(), language=self._language, sentences=self._sentences)
            async with closing(heard) as texts:
                async for text in texts:
                    if text.final:
                        stop_if_called_off()
                        return text.text.strip()
        return ""

    @asynccontextmanager
    async def _taken(self, name: str) -> AsyncIterator[SpeechToText]:
        """A recogniser for somebody's turn: if all its streams are busy, one that only overhears has to go."""
        eaves, wanted = self._cascade.eaves.get(name), self._cascade.wanted
        lease = self._cascade.host.engine("stt", name)
        timer = None
        if eaves:
            timer = self._cascade.host.clock.call_later(0.0, lambda: eaves[0].make_way() if eaves else None)
        wanted[name] += 1
        waits = True
        try:
            async with lease as engine:
                waits = False
                wanted[name] -= 1
                if timer is not None:
                    timer.cancel()
                yield engine
        finally:
            if waits:
                wanted[name] -= 1
                if timer is not None:
                    timer.cancel()

    def _tell(self, message: str) -> None:
        self._out.push(Diagnostic(self._turn, message, retrying=True))


def stop_if_called_off() -> None:
    """An engine may swallow that, or make an error of it; what is done for a turn that is over would wait for ever."""
    if called_off():
        raise asyncio.CancelledError
