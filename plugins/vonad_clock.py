"""The clock: what time it is, the date, the day. Copy this file to write a skill of your own.

Give the copy and its skill a name of their own, put it into <config dir>/plugins/, and reload: nothing else is needed.

1. `sentences` say what people may ask: (a|b) is one of, [x] may be left out. The same sentences teach the speech
   recogniser its words, are matched against what was heard, and tell a language model what the skill is for.
2. `Args` are what `run` gets. Here each sentence fixes `what`; `{list}` in a sentence would take it from `lists`.
3. `run` does the work and returns what to say. It has `timeout_s` seconds; whatever it raises fails this one call,
   and the user hears an apology.
4. `register_skills` hands the class over. Settings, if it had any, would be a pydantic model passed as `settings=`.
"""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from vonad import Call, NoSettings, Registrar, Sentence, Skill, hookimpl

VONAD_API = ">=1,<2"


class Question(BaseModel):
    """What is asked of the clock. The descriptions are what a language model reads."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["time", "date", "day"] = Field(description="time of day, date, or day of the week")


class Clock(Skill[NoSettings]):
    """Tells the time, in the house's own time zone."""

    name = "clock"
    description = "Tells the current time, the date, or the day of the week"
    sentences = (
        Sentence("(what time is it|what's the time|what is the time) [now]", what="time"),
        Sentence("tell me the time", what="time"),
        Sentence("(what's|what is) the date [today]", what="date"),
        Sentence("(what's|what is) (today's|todays) date", what="date"),
        Sentence("what day is (it|today) [today]", what="day"),
        Sentence("(what's|what is) the day [today]", what="day"),
    )
    Args = Question
    risk: ClassVar[Literal["read"]] = "read"  # looks, changes nothing

    async def run(self, args: Question, call: Call) -> str:
        """The answer, as a sentence to be spoken: words, no symbols."""
        # The host's clock and time zone, not the machine's: tests set them, and so may the owner.
        now = self.host.clock.now().astimezone(self.host.timezone)
        if args.what == "time":
            return f"It is {spoken_time(now)}"  # which ends in a full stop itself
        if args.what == "date":
            return f"Today is {now:%A}, {now:%B} {ordinal(now.day)}, {now.year}."
        return f"Today is {now:%A}."


def spoken_time(now: datetime) -> str:
    """As people say it: 3 o'clock, 3 oh 5, 3 15, with a.m. or p.m."""
    hour = now.hour % 12 or 12
    half = "a.m." if now.hour < 12 else "p.m."
    if now.minute == 0:
        return f"{hour} o'clock {half}"
    minute = f"oh {now.minute}" if now.minute < 10 else str(now.minute)
    return f"{hour} {minute} {half}"


def ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    if day in {11, 12, 13}:
        return f"{day}th"
    return f"{day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th') }"


@hookimpl
def register_skills(registrar: Registrar) -> None:
    """The hook that makes this module a plugin."""
    registrar.add(Clock)
