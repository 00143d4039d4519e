"""The promises of Backend and Dialogue."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from vonad.backend import (
    Backend,
    BackendCapabilities,
    Brief,
)
from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Style
from vonad.sentences import Sentences
from vonad.streams import closing
from vonad.testing.checks.capabilities import (
    check_context,
    check_filler,
    check_overheard,
    check_prepared,
    check_sound,
    check_structured,
)
from vonad.testing.checks.promise import SHORTLY_S, is_stream, nothing_left, promise, soon, sounding, together
from vonad.testing.checks.reply import check_text
from vonad.testing.checks.talk import DONE, Talk, talk


async def check_backend(
    backend: Backend,
    *,
    text: str = "what time is it",
    language: str = "en",
    sentences: Sentences = Sentences(),  # noqa: B008  (frozen)
    recording: Frame | None = None,
) -> None:
    """An open backend. text: something that it answers; recording: of somebody saying it, 16 kHz."""
    promise(isinstance(backend, Backend), f"it is a Backend: got {type(backend).__name__}")
    can = backend.capabilities
    promise(isinstance(can, BackendCapabilities), f"Backend.capabilities are BackendCapabilities: got {can!r}")

    def open_talk(*, aloud: bool = True, rewrite: Callable[[str], str] = str) -> AbstractAsyncContextManager[Talk]:
        brief = Brief(session_id="s1", satellite="desk", language=language, aloud=aloud, rewrite=rewrite)
        return talk(backend, brief, sentences)

    async with nothing_left("a dialogue that is closed"):
        async with open_talk():
            pass
        async with open_talk() as side:
            await check_text(side, text)
            await _check_interrupt(side, text)
            await check_sound(side, text, recording, can)
            await check_prepared(side, text, can)
            await check_filler(side, text, can)
            await check_overheard(side, text, recording, can)
            await check_context(side, can)
            await check_structured(side, text, can)
            await check_text(side, text)
        async with open_talk(aloud=False, rewrite=lambda said: f"{said} indeed") as side:
            await check_text(side, text, aloud=False, ending=" indeed")
    async with nothing_left("a dialogue that is closed in the middle of a reply"), open_talk() as side:
        side.answers = False
        await side.begin()
        await side.say(text)
        await asyncio.sleep(0)
    async with nothing_left("dialogues at once"), open_talk() as one, open_talk() as other:
        await together(check_text(one, text), check_text(other, text))
    await _check_voice(backend, text, language)
    await _check_summary(backend, language)


async def _check_interrupt(side: Talk, text: str) -> None:
    for waits in (0, 1):
        turn = await side.begin()
        await side.say(text)
        await side.until(lambda turn=turn, n=waits: len(side.of(turn)) >= n, "a reply begins")  # type: ignore[misc]  # defaults
        for _ in range(2):
            await soon(side.dialogue.interrupt(), "Dialogue.interrupt returns soon")
        come = len(side.of(turn))
        await soon(side.dialogue.answer("no such call", DONE), "Dialogue.answer ignores an unknown id")
        await asyncio.sleep(SHORTLY_S)
        late = side.of(turn)[come:]
        promise(not late, f"after Dialogue.interrupt nothing more of the turn comes out: there came {late}")
    await check_text(side, text)


async def _check_voice(backend: Backend, text: str, language: str) -> None:
    async def speak(style: Style) -> list[Frame]:
        answer: AsyncIterator[Frame] = backend.speak(text, language=language, style=style)
        is_stream(answer, "Backend.speak")
        async with closing(answer) as stream:
            return [sounding(frame, "Backend.speak") async for frame in stream]

    async with nothing_left("Backend.speak"):
        try:
            frames = await soon(speak(Style()), "Backend.speak ends")
        except VonadError as error:
            promise(
                error.code == "capability_unsupported",
                f"Backend.speak speaks, or raises capability_unsupported: got {error.code}",
            )
        else:
            promise(bool(frames), "Backend.speak yields the sound of a text: got none")
            if backend.capabilities.style_conditioning:
                slow, fast = [sum(f.seconds for f in await speak(Style(pace=pace))) for pace in (0.0, 1.0)]
                promise(
                    slow != fast, f"capabilities.style_conditioning says a Style is heard: every pace takes {slow:g} s"
                )


async def _check_summary(backend: Backend, language: str) -> None:
    # capabilities are looked at afterwards: some learn only now that they cannot
    past = [Exchange("hello", "Hello."), Exchange("how are you", "Fine.")]
    try:
        summary = await soon(backend.summarise(past, language=language), "Backend.summarise ends")
    except VonadError as error:
        promise(not backend.capabilities.summarises, f"capabilities.summarises says it sums up: got {error.code}")
        promise(
            error.code == "capability_unsupported",
            f"Backend.summarise raises capability_unsupported where capabilities say no: got {error.code}",
        )
    else:
        promise(backend.capabilities.summarises, "Backend.summarise refuses where capabilities.summarises is false")
        promise(isinstance(summary, str) and bool(summary), f"a summary is a text: got {summary!r}")
