"""The desk: whatever a skill does, one attempt, one ending, and an Outcome."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from tests.conversation import Hooks
from tests.plugins.fake_host import FakeHost
from vonad.history import open_journal
from vonad.host import NoSettings
from vonad.plan import SessionView
from vonad.policy import Policy
from vonad.skill import Call, Deny, Skill, SkillCall, SkillResult
from vonad.skills.catalogue import Catalogue
from vonad.skills.desk import Desk, Settled
from vonad.testing import ManualClock, settle

VIEW = SessionView(
    session_id="s1",
    conversation_id="c1",
    satellite="desk",
    state="processing",
    turn=1,
    backend="bridge",
    created="2026-01-01",
)


class Args(BaseModel):
    model_config = ConfigDict(extra="forbid")

    minutes: int


class Probe(Skill[NoSettings]):
    """Does what a test wants."""

    name = "probe"
    description = "A probe"
    Args = Args
    timeout_s = 2.0
    risk: ClassVar[Literal["read", "reversible", "sensitive"]] = "read"
    act: Callable[[Args, Call], Awaitable[object]]

    async def run(self, args: Args, call: Call) -> SkillResult:
        return await self.act(args, call)  # type: ignore[return-value]  # what plugins return is what is tested


class Bench:
    def __init__(self, desk: Desk, clock: ManualClock, hooks: Hooks, skill: Probe) -> None:
        self.desk = desk
        self.clock = clock
        self.hooks = hooks
        self.skill = skill
        self.told: list[tuple[str, Mapping[str, object]]] = []

    async def call(self, name: str = "probe", **arguments: object) -> Settled:
        return await self.desk.run(
            SkillCall("c-1", name, arguments),
            turn_id="t1",
            text="probe it",
            previous_reply="",
            session=VIEW,
            language="en",
            tell=lambda type_, data: self.told.append((type_, data)),
        )


@asynccontextmanager
async def bench(
    folder: Path, act: Callable[[Args, Call], Awaitable[object]], risk: str = "read"
) -> AsyncIterator[Bench]:
    clock, hooks, catalogue = ManualClock(), Hooks(), Catalogue()
    kind = type("Probe", (Probe,), {"risk": risk})
    skill = kind(NoSettings(), FakeHost(folder, name="probe"))
    skill.act = act
    catalogue.add(skill, "a-plugin")
    async with open_journal(folder / "vonad.db", clock=clock, retention_days=0) as journal:
        policy = Policy(hooks, lambda hook, error: None)
        yield Bench(Desk(catalogue, policy=policy, journal=journal, clock=clock), clock, hooks, skill)


def audit(folder: Path) -> list[tuple[str, str]]:
    database = sqlite3.connect(folder / "vonad.db")
    rows = database.execute("SELECT name, outcome FROM audit").fetchall()
    database.close()
    return rows


async def answer(args: Args, call: Call) -> object:
    return f"{args.minutes} minutes, said {call.text} at {call.satellite}"


async def test_a_skill_is_run_with_what_was_said(tmp_path: Path) -> None:
    async with bench(tmp_path, answer) as desk:
        settled = await desk.call(minutes="5")
        assert settled.outcome.speech == "5 minutes, said probe it at desk"
        assert [type_ for type_, _ in desk.told] == ["skill.attempt", "skill.result"]
    assert audit(tmp_path) == [("probe", "done")]


async def test_a_result_may_bring_a_wish_for_a_follow_up(tmp_path: Path) -> None:
    async def ask(args: Args, call: Call) -> object:
        return SkillResult(speech="Which one?", follow_up=True, payload={"n": 2})

    async with bench(tmp_path, ask) as desk:
        settled = await desk.call(minutes=5)
    assert (settled.outcome.speech, settled.outcome.payload, settled.follow_up) == ("Which one?", {"n": 2}, True)


@pytest.mark.parametrize(
    ("arguments", "named"), [({}, "minutes"), ({"minutes": "soon"}, "minutes"), ({"minutes": 1, "x": 2}, "x")]
)
async def test_arguments_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, arguments: dict[str, object], named: str
) -> None:
    async with bench(tmp_path, answer) as desk:
        settled = await desk.call(**arguments)
        assert (settled.outcome.ok, settled.outcome.code) == (False, "skill_schema_violation")
        assert named in str(desk.told[-1][1]["reason"])
    assert audit(tmp_path) == [("probe", "rejected")]


async def test_an_unknown_skill_is_refused_naming_the_known_ones(tmp_path: Path) -> None:
    async with bench(tmp_path, answer) as desk:
        settled = await desk.call("prob")
        assert settled.outcome.code == "skill_not_found"
        assert "probe" in str(desk.told[-1][1]["reason"])


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(3), KeyboardInterrupt(), RecursionError()])
async def test_whatever_a_skill_raises_fails_its_own_call(tmp_path: Path, error: BaseException) -> None:
    async def explode(args: Args, call: Call) -> object:
        raise error

    async with bench(tmp_path, explode) as desk:
        settled = await desk.call(minutes=1)
        assert settled.outcome.code == "skill_failed"
        assert desk.told[-1] == (
            "skill.result",
            {"call_id": "c-1", "name": "probe", "success": False, "duration_ms": 0.0},
        )
    assert audit(tmp_path) == [("probe", "failed")]


@pytest.mark.parametrize("junk", [None, 7, b"bytes", "x" * 50_000_000], ids=["none", "number", "bytes", "50 MB"])
async def test_junk_is_no_reply(tmp_path: Path, junk: object) -> None:
    async def give(args: Args, call: Call) -> object:
        return junk

    async with bench(tmp_path, give) as desk:
        assert (await desk.call(minutes=1)).outcome.code == "skill_failed"


async def test_a_skill_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def hang(args: Args, call: Call) -> object:
        return await asyncio.Event().wait()

    async with bench(tmp_path, hang) as desk:
        running = asyncio.create_task(desk.call(minutes=1))
        await desk.clock.advance(2.1)
        settled = await running
        assert settled.outcome.code == "skill_timeout"
        assert desk.told[-1] == ("skill.timeout", {"call_id": "c-1", "name": "probe", "budget_ms": 2000})
    assert audit(tmp_path) == [("probe", "timeout")]


async def test_a_time_out_of_the_skills_own_is_its_failure(tmp_path: Path) -> None:
    async def give_up(args: Args, call: Call) -> object:
        raise TimeoutError("the lamp did not answer")

    async with bench(tmp_path, give_up) as desk:
        assert (await desk.call(minutes=1)).outcome.code == "skill_failed"


async def test_policy_can_refuse_a_call(tmp_path: Path) -> None:
    ran: list[int] = []

    async def note(args: Args, call: Call) -> object:
        ran.append(args.minutes)
        return ""

    async with bench(tmp_path, note) as desk:
        desk.hooks.review = lambda call: Deny("not at night")
        settled = await desk.call(minutes=1)
        assert settled.outcome.code == "skill_rejected"
        assert desk.told[-1][1]["reason"] == "not at night"
    assert ran == []


async def test_a_policy_that_raises_refuses(tmp_path: Path) -> None:
    async with bench(tmp_path, answer) as desk:
        desk.hooks.review = lambda call: 1 / 0
        assert (await desk.call(minutes=1)).outcome.code == "skill_rejected"


async def test_a_cancelled_call_still_has_its_ending(tmp_path: Path) -> None:
    async def hang(args: Args, call: Call) -> object:
        return await asyncio.Event().wait()

    async with bench(tmp_path, hang) as desk:
        running = asyncio.create_task(desk.call(minutes=1))
        await settle()
        running.cancel()
        await asyncio.wait({running})
        assert desk.told[-1][0] == "skill.result"
    assert audit(tmp_path) == [("probe", "cancelled")]


async def test_an_action_does_not_begin_before_its_audit_is_on_disk(tmp_path: Path) -> None:
    seen: list[list[tuple[str, str]]] = []

    async def act(args: Args, call: Call) -> object:
        seen.append(audit(tmp_path))
        return "done"

    async with bench(tmp_path, act, risk="reversible") as desk:
        await desk.call(minutes=1)
    assert seen == [[("probe", "started")]]
    assert audit(tmp_path) == [("probe", "done")]
