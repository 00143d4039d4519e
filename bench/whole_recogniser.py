"""A drop-in for the benchmarks: PocketSphinx as the many recognisers that need the whole sound before they know a word.

Kind `whole` says so, and is asked at pauses; `at_end` does not say it, and is heard when the turn is over.
"""

from collections.abc import AsyncIterator

from vonad_pocketsphinx.engine import PocketSphinx
from vonad_pocketsphinx.settings import PocketSphinxSettings

from vonad import Frame, Heard, Registrar, Sentences, closing, hookimpl


class AtEnd(PocketSphinx):
    """Takes all of the sound first."""

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        sound = [frame async for frame in frames]

        async def whole() -> AsyncIterator[Frame]:
            for frame in sound:
                yield frame

        async with closing(super().listen(whole(), language=language, sentences=sentences)) as texts:
            async for text in texts:
                if text.final:
                    yield text


class Whole(AtEnd):
    """And says so."""

    interim = False


@hookimpl
def register_engines(registrar: Registrar) -> None:
    """Offer both."""
    registrar.add("whole", Whole, role="stt", settings=PocketSphinxSettings)
    registrar.add("at_end", AtEnd, role="stt", settings=PocketSphinxSettings)
