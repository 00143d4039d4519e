"""A voice that can be counted: a tone for every word."""

from collections.abc import AsyncIterator

from vonad.engine import TextToSpeech
from vonad.errors import VonadError
from vonad.frame import CAPTURE_RATE, Frame
from vonad.plan import Style
from vonad.testing.sound import tone

WORD_S = 0.1


class ScriptedTextToSpeech(TextToSpeech):
    """Speaks 0.1 s of tone a word, as many frames as there are words.

    spoken:  every text it was asked for, with its style.
    failure: set it, and speaking raises it; `after` so many words.
    """

    streams = 8

    def __init__(self, *, rate: int = CAPTURE_RATE) -> None:
        self.rate = rate
        self.spoken: list[tuple[str, Style]] = []
        self.failure: VonadError | None = None
        self.after = 0

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        self.spoken.append((text, style))
        for number, _ in enumerate(text.split()):
            if self.failure is not None and number >= self.after:
                raise self.failure
            yield tone(WORD_S, rate=self.rate)

    async def phonemes(self, text: str, *, language: str) -> str:
        return " ".join(text.lower())
