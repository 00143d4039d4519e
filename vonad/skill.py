"""Skills: what vonad can do. A class with a name, sentences and `run`; or a function under `@skill`."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from vonad.host import Component, Host, NoSettings, S
from vonad.sentences import Sentence

Risk = Literal["read", "reversible", "sensitive"]
"""What a skill may do: look; change what can be changed back; anything else."""

DenyKind = Literal["policy", "safety", "schema", "timeout", "error"]
"""Why a call is refused: a rule of the house; it would do harm; its arguments do not fit, or nothing has its name; who
was to decide took too long; who was to decide, or to write it down, failed."""


class NoArgs(BaseModel):
    """For skills that take nothing."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class SkillCall:
    """A request to run a skill in a turn. id: of its turn's; arguments: as the agent gave them, not yet validated."""

    id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Allow:
    """Policy lets a skill call run."""


@dataclass(frozen=True, slots=True)
class Deny:
    """Policy refuses a skill call.

    reason: a sentence for the audit; the user hears that it is not allowed.
    kind:   what sort of reason it is.
    """

    reason: str
    kind: DenyKind = "policy"


@dataclass(frozen=True, slots=True)
class Confirm:
    """Policy lets a skill call run, with these arguments, once the user has said yes to this question within 20 s."""

    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillResult:
    """What a skill has to say.

    speech:    spoken to the user; empty, and no payload either: nothing, the turn ends in silence.
    payload:   for a model to read.
    follow_up: listen again afterwards; None leaves it to the satellite's setting.
    """

    speech: str = ""
    payload: Mapping[str, object] | None = None
    follow_up: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The circumstances a skill runs in.

    text:           what the user said.
    satellite:      where; None for a session of text.
    previous_reply: what the user last heard from us in this session.
    """

    id: str
    text: str
    satellite: str | None
    session_id: str
    language: str
    previous_reply: str
    host: Host


class Skill(Component[S], ABC):
    """Something vonad can do.

    sentences: hassil templates; they feed recognition, the closed grammar and a model's tools alike.
    lists:     the lists the templates name: words, words → values, or a range of whole numbers.
    Args:      what the templates' lists and a model must supply; extra keys are refused.
    timeout_s: seconds `run` may take.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    sentences: ClassVar[Sequence[str | Sentence]] = ()
    lists: ClassVar[Mapping[str, Sequence[str] | Mapping[str, str] | range]] = {}
    Args: ClassVar[type[BaseModel]] = NoArgs
    risk: ClassVar[Risk] = "read"
    timeout_s: ClassVar[float] = 5.0

    @abstractmethod
    async def run(self, args: Any, call: Call) -> str | SkillResult:
        """Do it; say what to tell the user. Whatever it raises fails this one call."""


AnySkill: TypeAlias = Skill[Any]
"""A skill, whatever its settings."""

F = TypeVar("F", bound=Callable[..., Awaitable[str | SkillResult]])


def skill(
    *sentences: str | Sentence,
    name: str | None = None,
    description: str | None = None,
    lists: Mapping[str, Sequence[str] | Mapping[str, str] | range] | None = None,
    args: type[BaseModel] = NoArgs,
    risk: Risk = "read",
    timeout_s: float = 5.0,
) -> Callable[[F], type[Skill[NoSettings]]]:
    """Make a skill of `async def name(args, call)`; its name and docstring are the skill's."""
    said, limit, grade, schema, vocabulary = sentences, timeout_s, risk, args, dict(lists or {})

    def make(function: F) -> type[Skill[NoSettings]]:
        class FunctionSkill(Skill[NoSettings]):
            sentences = said
            Args = schema
            risk = grade
            timeout_s = limit

            async def run(self, args: Any, call: Call) -> str | SkillResult:
                return await function(args, call)

        FunctionSkill.lists = vocabulary
        FunctionSkill.name = name or function.__name__
        FunctionSkill.description = description or (function.__doc__ or "").strip()
        FunctionSkill.__name__ = FunctionSkill.__qualname__ = function.__name__
        FunctionSkill.__module__ = function.__module__
        return FunctionSkill

    return make
