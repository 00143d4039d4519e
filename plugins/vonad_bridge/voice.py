"""The voice: text to sound, by the first engine that can."""

from collections.abc import AsyncIterator

from vonad import Frame, Style, VonadError, closing
from vonad_bridge.settings import Cascade
from vonad_bridge.tries import Tell, Tries


async def spoken(cascade: Cascade, text: str, *, language: str, style: Style, tell: Tell) -> AsyncIterator[Frame]:
    """One sentence. Once an engine has sounded, none takes over in the middle of a word.

    Raises backend_unavailable when none is named, else what the last one failed with.
    """
    names = cascade.settings.tts
    tries = Tries("tts", names, cascade.host, tell)
    while (name := await tries.next()) is not None:
        sounded = False
        try:
            async with (
                cascade.host.engine("tts", name) as engine,
                closing(engine.speak(text, language=language, style=style)) as frames,
            ):
                async for frame in frames:
                    sounded = True
                    yield frame
        except VonadError as error:
            if sounded:
                raise
            tries.failed(error)
        else:
            return
    nobody = f"no tts engine is named in [backends.bridge] tts = {names}"
    raise tries.error or VonadError("backend_unavailable", nobody)
