"""Backends: what turns the user's sound into the assistant's. A Backend opens a Dialogue for each session."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from vonad.engine import Exchange, Outcome
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Style
from vonad.sentences import Sentences
from vonad.skill import SkillCall


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendCapabilities:
    """What a backend does itself.

    turn_detection: it hears the end of a turn, and answers without being told to.
    hears:          it answers sound; without it a final Transcript is handed back to it as text.
    """

    turn_detection: bool = False
    hears: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """All that a dialogue is told.

    aloud:   whether replies are to be spoken; a session of text wants none of the sound.
    rewrite: every sentence of a reply passes through it before it is spoken or shown.
    """

    session_id: str
    satellite: str | None
    language: str
    aloud: bool
    style: Style = field(default_factory=Style)
    rewrite: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak; from backends with turn detection."""

    turn: int


@dataclass(frozen=True, slots=True)
class EndOfSpeech:
    """The user's turn is over; from backends with turn detection. reason: an endpoint reason."""

    turn: int
    reason: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the user said, so far or finally. A final one without text: speech that no recogniser accepted."""

    turn: int
    text: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class SkillRequest:
    """The dialogue wants a skill run; it gets the outcome through `answer`."""

    turn: int
    call: SkillCall


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A piece of the reply. The frames that follow, up to the next ReplyText, speak it."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """The reply is complete.

    understood: false when nobody knew what to say: the session apologises.
    usage:      tokens and the like, summed over the turn.
    """

    turn: int
    understood: bool = True
    usage: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """This turn gets no (further) reply; the dialogue itself goes on."""

    turn: int
    error: VonadError


Reply = Frame | SpeechStarted | EndOfSpeech | Transcript | SkillRequest | ReplyText | ReplyDone | ReplyFailed
"""What comes out of a dialogue. Everything carries its turn, so that what is late can be told from what is wanted."""


class Dialogue(ABC):
    """One session's conversation with a backend.

    A turn: `begin`, then `hear` for each frame and `commit`, or `say`; the replies carry its number. All methods return
    soon: the work is done behind them and comes out of `replies`.
    """

    @abstractmethod
    async def begin(self, turn: int, *, sentences: Sentences, history: tuple[Exchange, ...]) -> None:
        """A turn opens; the one before is over.

        sentences: what may be said in it.
        history:   the turns before, oldest first, as they were heard.
        """

    @abstractmethod
    async def hear(self, frame: Frame) -> None:
        """Sound of the open turn, 16 kHz."""

    @abstractmethod
    async def commit(self) -> None:
        """The user has finished speaking."""

    @abstractmethod
    async def say(self, text: str) -> None:
        """Answer this text, the user's, in the open turn."""

    @abstractmethod
    def replies(self) -> AsyncIterator[Reply]:
        """Everything the backend has to say. Its end is the end of the dialogue; the end of a reply is a ReplyDone."""

    @abstractmethod
    async def answer(self, call_id: str, outcome: Outcome) -> None:
        """What came of a SkillRequest; an unknown id is ignored."""

    @abstractmethod
    async def interrupt(self) -> None:
        """Stop working on the open turn; nothing more of it comes out."""


class Backend(ABC):
    """A way to answer."""

    capabilities: BackendCapabilities = BackendCapabilities()

    @abstractmethod
    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        """A dialogue for one session. Raises backend_start_failed."""

    def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        """Speak the house's own words: announcements and apologies. Raises capability_unsupported by default."""
        raise VonadError("capability_unsupported", f"{type(self).__name__} cannot speak announcements")
