"""Backends: what turns the user's sound into the assistant's. A Backend opens a Dialogue for each session."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from vonad.engine import Exchange, Outcome, Output
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import ContextEvent, Style
from vonad.sentences import Sentences
from vonad.skill import SkillCall


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendCapabilities:
    """What a backend can do. What it cannot is not asked of it: a request for it is refused as capability_unsupported.

    turn_detection:     it hears the end of a turn, and answers without being told to.
    hears:              it answers sound; without it a final Transcript is handed back to it as text.
    overhears:          it tells what is said while it replies (Overheard).
    prepares:           it can begin an answer before the user has finished.
    fills:              it can make a filler while the user waits.
    context_injection:  it takes ContextEvents.
    style_conditioning: a Style changes how it sounds.
    summarises:         it can sum up a conversation.
    structured_output:  it answers in JSON that fits a schema.
    """

    turn_detection: bool = False
    hears: bool = False
    overhears: bool = False
    prepares: bool = False
    fills: bool = False
    context_injection: bool = False
    style_conditioning: bool = False
    summarises: bool = False
    structured_output: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """All that a dialogue is told.

    aloud:   whether replies are to be spoken; a session of text wants none of the sound.
    rewrite: every sentence of a reply passes through it before it is spoken or shown.
    spend:   to be told of the tokens each model call took; raises budget_exceeded when the turn's are used up.
    interjections: what may be said while a reply plays, besides what may be said in a turn.
    """

    session_id: str
    satellite: str | None
    language: str
    aloud: bool
    style: Style = field(default_factory=Style)
    rewrite: Callable[[str], str] = str
    spend: Callable[[int], None] = field(default=lambda tokens: None)
    interjections: tuple[str, ...] = ()


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
class Overheard:
    """What somebody says while a reply plays, so far."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something a backend wants known about itself; nobody hears it. retrying: that it asks a part of it again."""

    turn: int
    message: str
    retrying: bool = False


@dataclass(frozen=True, slots=True)
class SkillRequest:
    """The dialogue wants a skill run; it gets the outcome through `answer`.

    early: it is part of an answer that was prepared for words the user has not finished: only a skill that reads may
           run before they are.
    """

    turn: int
    call: SkillCall
    early: bool = False


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


Reply = (
    Frame
    | SpeechStarted
    | EndOfSpeech
    | Transcript
    | Overheard
    | Diagnostic
    | SkillRequest
    | ReplyText
    | ReplyDone
    | ReplyFailed
)
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
        """Sound of the open turn, 16 kHz. It returns at once: the next frame, and the wake word, wait for it."""

    async def pause(self, *, on: bool) -> None:  # noqa: B027  (optional)
        """The user has paused and may have finished, or goes on after all. It returns at once, as `hear` does."""

    @abstractmethod
    async def commit(self) -> None:
        """The user has finished speaking. It returns at once, as `hear` does."""

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

    # What follows is asked only of backends whose capabilities say so.

    async def overhear(self, frame: Frame) -> None:  # noqa: B027  (optional)
        """Sound captured while a reply plays; what is said in it comes out as Overheard. `begin` forgets it."""

    async def prepare(self, text: str) -> None:  # noqa: B027  (optional)
        """Begin to answer words that the user may not have finished; another text takes the place of one before.

        Only SkillRequests (early) come out before `confirm`; `say`, `begin` and `interrupt` throw it away.
        """

    async def confirm(self) -> None:  # noqa: B027  (optional)
        """The prepared answer is the answer: what there is of it comes out, and the rest as it is made."""

    async def fill(self) -> None:  # noqa: B027  (optional)
        """The user waits: make some sound that bridges it; its frames come out flagged as filler."""

    async def inject(self, event: ContextEvent) -> None:
        """Know this from now on, in the open turn too. Raises backend_inject_failed."""
        raise VonadError("capability_unsupported", f"{type(self).__name__} takes no context")

    async def structure(self, text: str, output: Output) -> None:
        """As `say`, but the reply is JSON: it comes out as ReplyText without sound, after all of it passed `rewrite`.

        Asked again in the same turn, with a fault, when the reply did not fit; at most twice.
        """
        raise VonadError("capability_unsupported", f"{type(self).__name__} cannot answer in JSON")

    async def ping(self) -> None:  # noqa: B027  (optional)
        """Return when the other end is alive; asked of every backend while nothing else is."""


class Backend(ABC):
    """A way to answer."""

    capabilities: BackendCapabilities = BackendCapabilities()

    @abstractmethod
    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        """A dialogue for one session. Raises backend_start_failed."""

    def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        """Speak the house's own words: announcements and apologies. Raises capability_unsupported by default."""
        raise VonadError("capability_unsupported", f"{type(self).__name__} cannot speak announcements")

    async def summarise(self, history: Sequence[Exchange], *, language: str) -> str:
        """What was said, in a few sentences. Raises capability_unsupported by default."""
        raise VonadError("capability_unsupported", f"{type(self).__name__} cannot sum up a conversation")
