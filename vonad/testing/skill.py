"""A skill that says what it was told."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from vonad.host import NoSettings
from vonad.sentences import Sentence
from vonad.skill import Call, Skill


class Echo(BaseModel):
    """What to say."""

    model_config = ConfigDict(extra="forbid")

    word: str = Field(default="nothing", description="what to say")


class EchoSkill(Skill[NoSettings]):
    """Says the word it was given back.

    calls: what it was run with, newest last.
    """

    name = "echo"
    description = "Says a word back"
    sentences = ("echo {word}", Sentence("echo", word="echo"))
    lists: ClassVar = {"word": ["one", "two", "three"]}
    Args = Echo

    async def run(self, args: Echo, call: Call) -> str:
        """The word."""
        self.calls.append((args, call))
        return f"You said {args.word}."

    async def __aenter__(self) -> "EchoSkill":
        self.calls: list[tuple[Echo, Call]] = []
        return self
