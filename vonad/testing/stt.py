"""A recogniser that hears what a test says it hears."""

from collections.abc import AsyncIterator, Sequence

from vonad.engine import Heard, SpeechToText
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.sentences import Sentences
from vonad.testing.rules import captured
from vonad.testing.sound import loud


class ScriptedSpeechToText(SpeechToText):
    """The next of its texts for each utterance that is loud, word by word while it lasts; then and in silence nothing.

    texts:     what is still to be heard. An error among them is raised instead.
    utterances: the frames of each.
    prepared:  what it was to make ready for.
    interim:   as an engine says it; without it each text comes when the utterance is over.
    """

    streams = 8

    def __init__(self, *texts: str | VonadError, interim: bool = True) -> None:
        self.interim = interim
        self.texts: list[str | VonadError] = list(texts)
        self.utterances: list[list[Frame]] = []
        self.prepared: list[tuple[Sentences, str]] = []

    async def prepare(self, sentences: Sentences, language: str) -> None:
        self.prepared.append((sentences, language))

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        utterance: list[Frame] = []
        self.utterances.append(utterance)
        text: str | VonadError = ""
        words: Sequence[str] = ()
        told, begun = 0, False
        async for frame in frames:
            captured(frame, "SpeechToText.listen")
            utterance.append(frame)
            if not begun and loud(frame):
                begun = True
                text = self.texts.pop(0) if self.texts else ""
                words = () if isinstance(text, VonadError) else text.split()
            if self.interim and told < len(words) - 1:
                told += 1
                yield Heard(" ".join(words[:told]))
        if isinstance(text, VonadError):
            raise text
        yield Heard(text, final=True)
