"""The words that every assistant must know: stop, never mind, repeat that."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vonad import Call, NoSettings, Registrar, Sentence, Skill, SkillResult, hookimpl

VONAD_API = ">=1,<2"


class Word(BaseModel):
    """Which of them."""

    model_config = ConfigDict(extra="forbid")

    meaning: Literal["stop", "repeat"] = Field(description="stop: end the conversation; repeat: the last reply again")


class Words(Skill[NoSettings]):
    """Ends a turn in silence, or says the last reply again."""

    name = "words"
    description = "Ends the conversation, or repeats the last reply"
    sentences = (
        Sentence("(stop|be quiet|cancel)", meaning="stop"),
        Sentence("(never mind|forget it)", meaning="stop"),
        Sentence("(repeat that|say that again|what did you say)", meaning="repeat"),
    )
    Args = Word

    async def run(self, args: Word, call: Call) -> SkillResult:
        """Silence asks for no follow-up; a repetition leaves it to the satellite's setting."""
        if args.meaning == "stop":
            return SkillResult(follow_up=False)
        return SkillResult(speech=call.previous_reply or "I have not said anything yet.")


@hookimpl
def register_skills(registrar: Registrar) -> None:
    """Offer the words."""
    registrar.add(Words)
