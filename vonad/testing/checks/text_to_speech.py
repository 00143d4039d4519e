"""The promises of TextToSpeech."""

import asyncio

import numpy as np

from vonad.engine import TextToSpeech
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Style
from vonad.streams import closing
from vonad.testing.checks.promise import cancelled, is_stream, nothing_left, promise, soon, sounding, streams, together

WHO = "TextToSpeech"

SENTENCE = "It is ten o'clock in the morning."

ODD = {
    "an empty text": "",
    "blanks": "  \n ",
    "punctuation": "... ?!",
    "a letter": "a",
    "symbols": "☃ 21 °C & 50 % <b>*</b>",
    "markup": "<speak><break time='9s'/></speak>",
    "a long text": "This is a very long reply. " * 40,
}
"""What an engine must get through; how it sounds is its own affair."""

STYLES = (
    Style(pace=0.0, warmth=0.0, expressiveness=0.0, formality=0.0),
    Style(pace=1.0, warmth=1.0, expressiveness=1.0, formality=1.0),
)


async def check_text_to_speech(engine: TextToSpeech, *, language: str = "en", text: str = SENTENCE) -> None:
    """An open engine, with a sentence of its language."""
    promise(isinstance(engine, TextToSpeech), f"it is a TextToSpeech: got {type(engine).__name__}")
    at_once = streams(engine, WHO)

    async def spoken(words: str, what: str, style: Style = Style()) -> list[Frame]:  # noqa: B008  (frozen)
        return await soon(_spoken(engine, words, language, style), f"{WHO}.speak ends for {what}")

    async with nothing_left(WHO):
        for style in (Style(), *STYLES):
            _audible(await spoken(text, "a sentence", style))
        for what, odd in ODD.items():
            await spoken(odd, what)
        try:
            ipa = await soon(engine.phonemes(text, language=language), f"{WHO}.phonemes ends")
        except VonadError as error:
            promise(
                error.code == "capability_unsupported",
                f"{WHO}.phonemes says how a text is pronounced, or raises capability_unsupported: got {error.code}",
            )
        else:
            promise(isinstance(ipa, str) and bool(ipa.strip()), f"{WHO}.phonemes is IPA: got {ipa!r}")
    async with nothing_left(f"{WHO}.speak that was cancelled in the middle of a sentence"):
        begun = asyncio.Event()
        await cancelled(_begin(engine, text, language, begun), begun, f"{WHO}.speak")
    async with nothing_left(WHO):
        await together(*(spoken(text, "sentences at once") for _ in range(min(at_once, 3))))
        _audible(await spoken(text, "a sentence after one that was cancelled"))


async def _spoken(engine: TextToSpeech, text: str, language: str, style: Style) -> list[Frame]:
    answer = engine.speak(text, language=language, style=style)
    is_stream(answer, f"{WHO}.speak")
    async with closing(answer) as stream:
        return [sounding(frame, f"{WHO}.speak") async for frame in stream]


async def _begin(engine: TextToSpeech, text: str, language: str, begun: asyncio.Event) -> None:
    async with closing(engine.speak(text, language=language, style=Style())) as stream:
        async for _ in stream:
            begun.set()
            await asyncio.Event().wait()


def _audible(frames: list[Frame]) -> None:
    rates = {frame.rate for frame in frames}
    promise(bool(frames), f"{WHO}.speak yields the sound of a sentence: got no frame")
    promise(len(rates) == 1, f"{WHO}.speak yields one rate for all of a sentence: got {sorted(rates)}")
    seconds = sum(frame.seconds for frame in frames)
    promise(0.1 < seconds < 60, f"{WHO}.speak takes as long as a sentence does: got {seconds:.2f} s of sound")
    loudest = max(int(np.abs(frame.samples.astype(np.int32)).max(initial=0)) for frame in frames)
    promise(loudest > 100, f"{WHO}.speak can be heard: its loudest sample is {loudest}")
    promise(not any(frame.turn or frame.filler for frame in frames), f"{WHO}.speak knows of no turns and fillers")
