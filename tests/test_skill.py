"""Skills from functions, and what every skill has."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from tests.plugins.fake_host import FakeHost
from vonad import Call, NoArgs, NoSettings, Sentence, Skill, SkillResult, skill


class Brightness(BaseModel):
    model_config = ConfigDict(extra="forbid")
    level: int


@skill(
    "set the lamp to {level} percent",
    Sentence("lamp full", level="100"),
    lists={"level": range(101)},
    args=Brightness,
    risk="reversible",
    timeout_s=2.0,
)
async def lamp(args: Brightness, call: Call) -> str:
    """Set the lamp's brightness."""
    return f"{args.level} percent, {call.satellite}"


@skill("say nothing", name="quiet", description="Says nothing.")
async def _quiet(args: NoArgs, call: Call) -> SkillResult:
    return SkillResult(follow_up=False)


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call(
        id="k1",
        text="lamp full",
        satellite="desk",
        session_id="s1",
        language="en",
        previous_reply="",
        host=FakeHost(tmp_path),
    )


def test_a_function_under_skill_is_a_skill_with_its_name_and_docstring() -> None:
    assert issubclass(lamp, Skill)
    assert (lamp.name, lamp.description) == ("lamp", "Set the lamp's brightness.")
    assert lamp.sentences == ("set the lamp to {level} percent", Sentence("lamp full", level="100"))
    assert (lamp.lists, lamp.Args, lamp.risk, lamp.timeout_s) == ({"level": range(101)}, Brightness, "reversible", 2.0)
    assert (lamp.__name__, lamp.__module__) == ("lamp", __name__)


def test_name_and_description_may_be_given() -> None:
    assert (_quiet.name, _quiet.description) == ("quiet", "Says nothing.")


def test_what_is_not_said_has_the_careful_defaults() -> None:
    assert (_quiet.lists, _quiet.Args, _quiet.risk, _quiet.timeout_s) == ({}, NoArgs, "read", 5.0)


async def test_it_runs_like_any_component(call: Call) -> None:
    async with lamp(NoSettings(), call.host) as opened:
        assert await opened.run(Brightness(level=40), call) == "40 percent, desk"
    async with _quiet(NoSettings(), call.host) as opened:
        assert await opened.run(NoArgs(), call) == SkillResult(speech="", payload=None, follow_up=False)


def test_skills_that_take_nothing_refuse_everything() -> None:
    with pytest.raises(ValidationError):
        NoArgs.model_validate({"level": 1})


def test_a_skill_without_run_cannot_be_made(call: Call) -> None:
    class Half(Skill[NoSettings]):
        name = "half"
        description = "Has no run."

    with pytest.raises(TypeError, match="abstract"):
        Half(NoSettings(), call.host)  # type: ignore[abstract]
