"""A drop-in for the end-to-end tests: a lamp to switch and a timer to set, as a house has them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from vonad import Call, NoSettings, Registrar, Sentence, Skill, hookimpl


class Switch(BaseModel):
    """Which thing, and how."""

    model_config = ConfigDict(extra="forbid")

    thing: Literal["lamp", "fan", "heater"]
    state: Literal["on", "off"]


class Lamp(Skill[NoSettings]):
    """Switches things."""

    name = "lamp"
    description = "Switches things on and off"
    sentences = (Sentence("turn on the {thing}", state="on"), Sentence("turn off the {thing}", state="off"))
    lists = {"thing": ["lamp", "fan", "heater"]}  # noqa: RUF012  (a skill's lists never change)
    Args = Switch
    risk: Literal["reversible"] = "reversible"

    async def run(self, args: Switch, call: Call) -> str:
        """It is a test: nothing is switched, everything is said."""
        return f"The {args.thing} is {args.state}."


class Span(BaseModel):
    """How long."""

    model_config = ConfigDict(extra="forbid")

    minutes: int


class SetTimer(Skill[NoSettings]):
    """Acknowledges a timer."""

    name = "set_timer"
    description = "Sets a timer"
    sentences = ("set a timer for {minutes} minutes",)
    lists = {"minutes": range(1, 121)}  # noqa: RUF012
    Args = Span

    async def run(self, args: Span, call: Call) -> str:
        """Says what was understood."""
        return f"Timer set for {args.minutes} minutes."


@hookimpl
def register_skills(registrar: Registrar) -> None:
    """Offer both."""
    registrar.add(Lamp)
    registrar.add(SetTimer)
