"""The promises of SpeechToText."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

from vonad.engine import Heard, SpeechToText
from vonad.frame import CAPTURE_RATE, Frame
from vonad.sentences import Sentences
from vonad.streams import closing
from vonad.testing.checks.promise import cancelled, is_stream, nothing_left, promise, soon, streams, together
from vonad.testing.sound import noise, pieces, quiet, tone

WHO = "SpeechToText"


def sounds() -> dict[str, list[Frame]]:
    """What a recogniser must get through; none of it is a word."""
    return {
        "an empty stream": [],
        "a frame without samples": [quiet(0)],
        "silence": list(pieces(quiet(1.0))),
        "a single sample": [noise(1 / CAPTURE_RATE)],
        "frames of odd lengths": list(pieces(noise(0.7), 0.0207)),
        "one long frame": [tone(2.0)],
    }


class Microphone:
    """Frames that arrive one by one; `ended`, and `over`, once the last is taken, `waiting` while more would come."""

    def __init__(self, frames: Iterable[Frame], *, endless: bool = False) -> None:
        self._frames = frames
        self._endless = endless
        self.ended = False
        self.waiting = asyncio.Event()
        self.over = asyncio.Event()

    async def frames(self) -> AsyncIterator[Frame]:
        for frame in self._frames:
            await asyncio.sleep(0)
            yield frame
        if self._endless:
            self.waiting.set()
            await asyncio.Event().wait()
        self.ended = True
        self.over.set()


async def check_speech_to_text(
    engine: SpeechToText,
    *,
    language: str = "en",
    sentences: Sentences = Sentences(),  # noqa: B008  (frozen)
    recordings: Mapping[str, Frame] | None = None,
) -> None:
    """An open engine, with what may be said and recordings (16 kHz) of it: text → sound."""
    promise(isinstance(engine, SpeechToText), f"it is a SpeechToText: got {type(engine).__name__}")
    at_once = streams(engine, WHO)
    promise(isinstance(engine.interim, bool), f"{WHO}.interim is True or False: got {engine.interim!r}")

    def heard_by(microphone: Microphone) -> AsyncIterator[Heard]:
        return engine.listen(microphone.frames(), language=language, sentences=sentences)

    async def listened(frames: Iterable[Frame], what: str) -> str:
        microphone = Microphone(frames)
        words = _final(heard_by(microphone), microphone, what, interim=engine.interim)
        return await soon(words, f"{WHO}.listen ends for {what}")

    async with nothing_left(WHO):
        for _ in range(2):
            await soon(engine.prepare(sentences, language), f"{WHO}.prepare ends, also for what it knows already")
        for what, frames in sounds().items():
            text = await listened(frames, what)
            if what in {"an empty stream", "a frame without samples", "silence"}:
                promise(not text, f"{WHO}.listen hears no words in {what}: got {text!r}")
    async with nothing_left(f"{WHO}.listen that was cancelled in the middle of an utterance"):
        endless = Microphone(pieces(noise(0.3)), endless=True)
        work = _final(heard_by(endless), endless, "an utterance that is cancelled", interim=engine.interim)
        await cancelled(work, endless.waiting, f"{WHO}.listen")
    if not engine.interim:  # that is how who goes on after a pause calls it off
        async with nothing_left(f"{WHO}.listen that was cancelled while it made words of an utterance"):
            whole = Microphone(pieces(noise(1.0)))
            work = _final(heard_by(whole), whole, "an utterance that goes on", interim=False)
            await cancelled(work, whole.over, f"{WHO}.listen")
    async with nothing_left(WHO):
        await listened(pieces(quiet(0.2)), "an utterance after one that was cancelled")
        works = [listened(pieces(noise(0.3)), "utterances at once") for _ in range(min(at_once, 3))]
        await together(*works)
        for wanted, frame in (recordings or {}).items():
            text = await listened(pieces(frame), f"a recording of {wanted!r}")
            promise(text == wanted, f"{WHO}.listen hears {wanted!r} in a recording of it: got {text!r}")


async def _final(answer: AsyncIterator[Heard], source: Microphone, what: str, *, interim: bool) -> str:
    """The final text, after everything that must be true of it."""
    is_stream(answer, f"{WHO}.listen")
    finals: list[str] = []
    async with closing(answer) as texts:
        async for heard in texts:
            promise(isinstance(heard, Heard), f"{WHO}.listen yields Heard: got {type(heard).__name__}")
            promise(isinstance(heard.text, str), f"Heard.text is a text: got {heard.text!r}")
            promise(not finals, f"{WHO}.listen yields nothing after the final text: got {heard!r} for {what}")
            promise(
                heard.final or interim, f"{WHO}.listen yields partial texts only where `interim` says so: {heard!r}"
            )
            if heard.final:
                promise(source.ended, f"{WHO}.listen yields the final text when the frames have ended, not before")
                finals.append(heard.text)
    promise(len(finals) == 1, f"{WHO}.listen yields exactly one final text: got none for {what}")
    return finals[0]
