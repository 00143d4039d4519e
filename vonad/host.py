"""What a plugin's component is opened with: the Host, and the Component every factory makes."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar, overload
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from vonad.clock import Clock
from vonad.engine import Agent, SpeechToText, TextToSpeech, TurnDetector, VoiceActivityDetector, WakeWordDetector
from vonad.errors import VonadError
from vonad.plan import AS_SET, Overrides
from vonad.sentences import Sentences

Role = Literal["stt", "tts", "agent", "vad", "turn", "wake"]
"""What an engine does."""


class Store(ABC):
    """A component's own durable values. Keys are the component's: no other sees them."""

    @abstractmethod
    async def get(self, key: str) -> str | None:
        """The value, or None."""

    @abstractmethod
    async def set(self, key: str, value: str | None) -> None:
        """Keep it for good (returns when it is on disk); None forgets it. Raises store_error."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn that is over. outcome: completed, failed, …; output: what the reply says, if it had to fit a schema."""

    turn_id: str
    reply: str
    outcome: str
    output: object = None


class Voice(ABC):
    """What a component may ask of the house."""

    @abstractmethod
    async def say(self, satellite: str, text: str) -> str:
        """Queue an announcement; its id. Raises not_found, overload."""

    async def open(
        self,
        *,
        satellite: str | None = None,
        overrides: Overrides = AS_SET,
        resume: str | None = None,
        hooks: object | None = None,
        skills: Sequence[object] = (),
    ) -> str:
        """A session that waits for turns; its id. Without a satellite it is text only.

        overrides: what is wanted otherwise than it is set.
        resume:    a session that is over, or a conversation, which goes on in this one.
        hooks:     an object whose methods under @hookimpl are asked before all plugins', in this session only.
        skills:    functions under @skill, or Skill objects that are open, for this session only.

        Raises not_found, session_limit, session_busy, backend_unavailable, capability_unsupported, malformed,
        skill_not_found, session_not_found, session_already_active; plugin_error, plugin_conflict for hooks and skills.
        """
        raise VonadError("capability_unsupported", f"{type(self).__name__} opens no sessions")

    async def ask(
        self,
        session_id: str,
        text: str,
        *,
        output_schema: Mapping[str, object] | None = None,
        within_s: float = 60.0,
    ) -> Answered:
        """Take a turn from text, and wait for its end.

        output_schema: a JSON Schema: the reply is JSON that fits it, and nothing of it is spoken.

        Raises session_not_found, session_expired, session_busy, rate_limited, timeout; with a schema malformed,
        capability_unsupported, structured_output_invalid, and whatever else the turn failed with.
        """
        raise VonadError("capability_unsupported", f"{type(self).__name__} takes no turns")

    async def close(self, session_id: str) -> None:
        """End a session; it stays readable. Raises session_not_found."""
        raise VonadError("capability_unsupported", f"{type(self).__name__} has no sessions")


class Host(ABC):
    """All that a component is given of the daemon."""

    name: str
    """The component's name in the configuration."""
    language: str
    timezone: ZoneInfo
    clock: Clock
    log: logging.Logger
    config_dir: Path
    """Where the owner keeps vonad.toml, own wake words, drop-in plugins."""
    cache_dir: Path
    """This component's own directory for what can be made again."""
    store: Store
    service: Voice

    @property
    @abstractmethod
    def satellites(self) -> Sequence[str]:
        """The satellites connected now."""

    @property
    @abstractmethod
    def sentences(self) -> Sentences:
        """What may be said to the skills that run now."""

    @abstractmethod
    def engines(self, role: Role) -> Sequence[str]:
        """Names of the engines of a role that are open, in the order of the configuration."""

    @overload
    def engine(self, role: Literal["stt"], name: str) -> AbstractAsyncContextManager[SpeechToText]: ...
    @overload
    def engine(self, role: Literal["tts"], name: str) -> AbstractAsyncContextManager[TextToSpeech]: ...
    @overload
    def engine(self, role: Literal["agent"], name: str) -> AbstractAsyncContextManager[Agent]: ...
    @overload
    def engine(self, role: Literal["vad"], name: str) -> AbstractAsyncContextManager[VoiceActivityDetector]: ...
    @overload
    def engine(self, role: Literal["turn"], name: str) -> AbstractAsyncContextManager[TurnDetector]: ...
    @overload
    def engine(self, role: Literal["wake"], name: str) -> AbstractAsyncContextManager[WakeWordDetector]: ...
    @abstractmethod
    def engine(self, role: Role, name: str) -> AbstractAsyncContextManager[object]:
        """Borrow an engine for one stream.

        Waits up to 1 s for a free one, then raises overload; raises circuit_open while its breaker is open, and
        backend_unavailable when no such engine runs. What the body raises counts as the engine's failure, but for
        cancellation and NotUnderstood; a defect becomes backend_step_failed.
        """


class NoSettings(BaseModel):
    """For components that have nothing to set."""

    model_config = ConfigDict(extra="forbid")


S = TypeVar("S", bound=BaseModel)


class Component(ABC, Generic[S]):
    """A part that a plugin registered, opened with `async with factory(settings, host)`.

    Keep the constructor cheap; import and load what is heavy in `__aenter__`, release it in `__aexit__`.
    """

    def __init__(self, settings: S, host: Host) -> None:
        self.settings = settings
        self.host = host

    @classmethod
    def missing(cls, settings: S) -> Iterable[tuple[tuple[str | int, ...], str]]:
        """What these settings name and is not there, as (key and position, sentence): asked before anything opens."""
        return ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release what `__aenter__` took."""
