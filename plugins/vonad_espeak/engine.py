"""The engine: a thread in which eSpeak works, and the way of its sound from there to the event loop."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from types import TracebackType

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vonad import Component, Frame, Mailbox, Samples, Style, TextToSpeech, VonadError, silence
from vonad_espeak.library import LIBRARY, RATE, Delivery
from vonad_espeak.text import pieces
from vonad_espeak.voices import Voices

FRAMES = 8192
"""Frames that wait at most, 8 minutes: more than eSpeak makes of one piece of text (the worst, 300 Chinese characters
spelt in English, are 100 s). A listener who is behind is waited for between pieces, not within: others want to speak.
"""

SENTENCE_ENDS = (".", "!", "?", "…", ":", "。", "！", "？")  # noqa: RUF001

SILENT = 16
"""Samples up to this are silence; eSpeak's own is exact zeros."""

_SPELT_IN = re.compile(r"\([a-z]{2,3}(?:-[a-z0-9-]+)?\)")
"""How eSpeak marks in its phonemes that it changed the language for a word: "(fr)"."""


class EspeakSettings(BaseModel):
    """The table of an espeak engine."""

    model_config = ConfigDict(extra="forbid")

    voice: str | None = Field(
        None,
        description=(
            'Voice for replies in its language: "en-us", "English (Scotland)", or with a timbre "en+f3"; '
            "by default the language's own."
        ),
        examples=["en-us"],
    )
    rate: int = Field(165, ge=80, le=450, description="Words a minute.")
    pitch: int = Field(50, ge=0, le=99, description="Height of the voice, 0 to 99.")
    pitch_range: int = Field(50, ge=0, le=99, description="Liveliness of its melody, 0 (a monotone) to 99.")
    volume: int = Field(100, ge=0, le=200, description="Loudness, 100 is usual; louder distorts.")
    pause_s: float = Field(0.15, ge=0, le=2, description="Seconds of silence after each sentence.")


class Espeak(Component[EspeakSettings], TextToSpeech):
    """Speaks through eSpeak NG, 22 050 Hz. Streams take turns piece by piece; a piece takes milliseconds."""

    streams = 16
    _voices: Voices

    async def __aenter__(self) -> "Espeak":
        """Load the library in its thread. Raises backend_start_failed, invalid_config for a voice there is not."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="espeak")
        opening = self._thread.submit(LIBRARY.open)
        try:
            self._voices = await asyncio.wrap_future(opening)
            self._check_voice()
        except BaseException:
            opening.add_done_callback(_close_again)
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        closing = self._thread.submit(LIBRARY.close)
        self._thread.shutdown(wait=False)
        await asyncio.wrap_future(closing)

    def serves(self, language: str) -> bool:
        return self._voices.speaks(language)

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        """Frames of at most 60 ms, the first from the first audible sample on.

        Raises capability_unsupported for a language without a voice, backend_step_failed.
        """
        delivery = self._delivery(language, style)
        begun = False
        for piece in pieces(text):
            async with aclosing(self._sound(piece, delivery)) as sound:
                async for samples in sound:
                    audible = samples if begun else _from_first_sound(samples)
                    if len(audible):
                        begun = True
                        yield Frame(audible, RATE)
            if begun and self.settings.pause_s and piece.endswith(SENTENCE_ENDS):
                yield Frame(silence(self.settings.pause_s, RATE), RATE)

    async def phonemes(self, text: str, *, language: str) -> str:
        voice = str(self._voices.choose(language, self.settings.voice))
        loop = asyncio.get_running_loop()
        parts = [await loop.run_in_executor(self._thread, LIBRARY.phonemes, piece, voice) for piece in pieces(text)]
        return " ".join(_SPELT_IN.sub("", " ".join(parts)).split())

    async def _sound(self, piece: str, delivery: Delivery) -> AsyncGenerator[Samples, None]:
        """The sound of one piece while it is made. Closing it stops the making within one callback."""
        loop = asyncio.get_running_loop()
        made: Mailbox[Samples] = Mailbox(FRAMES)

        def emit(sound: bytes) -> bool:
            loop.call_soon_threadsafe(made.put, np.frombuffer(sound, dtype=np.int16))
            return not made.closed

        def make() -> None:
            try:
                LIBRARY.speak(piece, delivery, emit)
            finally:
                loop.call_soon_threadsafe(made.close)

        making = loop.run_in_executor(self._thread, make)
        try:
            async for samples in made:
                yield samples
            await making
        finally:
            made.close()
            making.cancel()

    def _delivery(self, language: str, style: Style) -> Delivery:
        """The settings, as a style shades them: half of everything leaves them as they are."""
        usual = self.settings
        return Delivery(
            voice=str(self._voices.choose(language, style.voice, usual.voice)),
            rate=_within(usual.rate * 4 ** ((style.pace - 0.5) * 0.7), 80, 450),
            pitch=_within(usual.pitch + (0.5 - style.warmth) * 30, 0, 99),
            spread=_within(usual.pitch_range * 2 * style.expressiveness, 0, 99),
            volume=usual.volume,
        )

    def _check_voice(self) -> None:
        wanted = self.settings.voice
        if wanted and self._voices.named(wanted) is None:
            raise VonadError(
                "invalid_config",
                f"espeak: there is no voice {wanted!r}; near are {', '.join(self._voices.like(wanted))}"
                " (a language, or a voice's name, or one of these with a timbre: +f1 to +f5, +m1 to +m8)",
                op="espeak.open",
            )


def _from_first_sound(samples: Samples) -> Samples:
    sounding = np.flatnonzero(np.abs(samples.astype(np.int32)) > SILENT)
    return samples[sounding[0] :] if len(sounding) else samples[:0]


def _within(value: float, lowest: int, highest: int) -> int:
    return min(highest, max(lowest, round(value)))


def _close_again(opened: "Future[Voices]") -> None:
    """For an opening that nobody waits for any more, or whose voice there is not."""
    if not opened.cancelled() and opened.exception() is None:
        LIBRARY.close()
