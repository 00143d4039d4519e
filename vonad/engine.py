"""Engines: what a cascade is built from. Each role is one small contract; `streams` says how many it serves at once.

No call may hold the GIL for more than 20 ms: feed native code in pieces of at most 32 ms, or use a child process.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vonad.errors import VonadError
from vonad.frame import Frame, Samples
from vonad.plan import ContextEvent, Style
from vonad.sentences import Sentences


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recogniser made of sound. final with an empty text: it was speech, and no sentence of ours."""

    text: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One past turn, as it was: what the user said and what the user heard.

    summary: `assistant` sums up all the turns before the next; nobody said it.
    """

    user: str
    assistant: str
    summary: bool = False


class NotUnderstood(Exception):  # noqa: N818  (an answer, not an error)
    """Raised by an Agent that has nothing to say to a text: the next agent is asked."""


class SkillDesk(ABC):
    """Where an agent has skills run for it in the turn it answers."""

    @abstractmethod
    async def call(self, name: str, arguments: Mapping[str, object]) -> "Outcome":
        """Run a skill and wait for it; refusals, failures and time-outs are outcomes, never exceptions."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a skill call.

    speech:  what to say about it; empty: nothing.
    ok:      whether the skill did it.
    code:    the error's code when it did not.
    payload: for a model to read.
    """

    speech: str
    ok: bool = True
    code: str = ""
    payload: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a reply must be: JSON that fits a schema, and nothing around it.

    schema: a JSON Schema; its references are all within it.
    before: the reply before this one, which did not fit; empty: none was asked for yet.
    fault:  what was wrong with it: where, what was there, and what is wanted.
    """

    schema: Mapping[str, object]
    before: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A text that an agent answers.

    history: the turns before, oldest first, as they were heard.
    context: what came in from outside since; untrusted.
    spend:   to be told of the tokens each model call took; raises budget_exceeded when they are used up.
    output:  what the reply must be; None: words to be spoken.
    """

    text: str
    language: str
    sentences: Sentences
    history: tuple[Exchange, ...] = ()
    context: tuple[ContextEvent, ...] = ()
    spend: Callable[[int], None] = field(default=lambda tokens: None)
    output: Output | None = None


class SpeechToText(ABC):
    """Sound to words.

    interim: it tells words while they are spoken. One that needs the whole sound first says no: it is not asked until
             the user pauses, and again when they paused once more.
    """

    streams: int = 1
    interim: bool = True

    def serves(self, language: str) -> bool:
        """Whether it hears this language. One that cannot tell says yes."""
        return True

    async def prepare(self, sentences: Sentences, language: str) -> None:  # noqa: B027  (optional)
        """Make ready for these sentences before somebody speaks them."""

    @abstractmethod
    def listen(self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences) -> AsyncIterator[Heard]:
        """Consume frames (16 kHz) while they arrive; yield partial texts, then exactly one final when they end.

        A partial text told again still stands: at a pause it says that these are the words of all that was heard, and
        a whole sentence need not wait for a longer silence.
        """


class TextToSpeech(ABC):
    """Words to sound."""

    streams: int = 1

    def serves(self, language: str) -> bool:
        """Whether it speaks this language. One that cannot tell says yes."""
        return True

    @abstractmethod
    def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        """Yield the sound of one sentence, as soon as there is some."""

    async def phonemes(self, text: str, *, language: str) -> str:
        """How it would be pronounced, in IPA. Raises capability_unsupported where an engine cannot tell."""
        raise VonadError("capability_unsupported", f"{type(self).__name__} cannot tell how {text!r} is pronounced")


class Agent(ABC):
    """Text to reply.

    structured: it goes by `Request.output`; any other is told of it in `context`, as an event of source vonad.
    """

    streams: int = 8
    structured: bool = False

    @abstractmethod
    def answer(self, request: Request, desk: SkillDesk) -> AsyncIterator[str]:
        """Yield the reply piece by piece, calling skills at the desk. Nothing yielded: a silent reply.

        Raises NotUnderstood before the first piece when the text means nothing to this agent.
        """

    async def summarise(self, history: Sequence[Exchange], *, language: str) -> str:
        """What was said, in a few sentences. Raises capability_unsupported where an engine cannot tell."""
        raise VonadError("capability_unsupported", f"{type(self).__name__} cannot sum up a conversation")


class VoiceActivity(ABC):
    """One stream through a VoiceActivityDetector."""

    @abstractmethod
    def push(self, samples: Samples) -> Sequence[float]:
        """The probability of speech for each window completed with these 16 kHz samples."""


class VoiceActivityDetector(ABC):
    """Tells speech from everything else."""

    streams: int = 64
    window: int = 512
    """Samples at 16 kHz behind each probability."""

    @abstractmethod
    def stream(self) -> VoiceActivity:
        """A fresh stream."""


class TurnDetector(ABC):
    """Tells whether somebody has finished what they were saying."""

    streams: int = 64

    @abstractmethod
    def judge(
        self, words: str, *, sentences: Sentences, language: str
    ) -> Literal["complete", "open", "partial", "unknown"]:
        """As said in this language.

        complete: a whole sentence, and the same is done whatever may follow; open: one that could go on to something
        else; partial: the beginning of one.
        """


@dataclass(frozen=True, slots=True)
class Detection:
    """A wake word was heard, or half heard.

    score:  0..1, the detector's.
    cutoff: from which score on it means the word; None: scores are what `[wake]` of the settings takes them for. A
            detector with limits of its own must say it: the house's would deafen it, or believe it too soon.
    speaker_score: 0..1, how sure it is of who spoke; None: it does not verify speakers.
    """

    phrase: str
    score: float
    cutoff: float | None = None
    speaker_score: float | None = None


class WakeStream(ABC):
    """One microphone through a WakeWordDetector."""

    @abstractmethod
    def push(self, samples: Samples) -> Detection | None:
        """Consume 16 kHz samples; a Detection once per wake word."""

    @abstractmethod
    def reset(self) -> None:
        """Forget what was heard."""


class WakeWordDetector(ABC):
    """Waits for wake words."""

    streams: int = 64

    @abstractmethod
    def words(self) -> Sequence[str]:
        """The wake words it knows."""

    @abstractmethod
    def stream(self, words: Sequence[str]) -> WakeStream:
        """A fresh stream that waits for these. Raises invalid_config for an unknown one, naming those it knows."""
