"""A desk with one skill that does what a test wants, over a real history."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from tests.conversation import Hooks
from tests.plugins.fake_host import FakeHost
from vonad.history import Journal, open_journal
from vonad.host import NoSettings
from vonad.plan import SessionView
from vonad.policy import Policy
from vonad.skill import Call, Skill, SkillCall, SkillResult
from vonad.skills.attempt import Settled
from vonad.skills.catalogue import Catalogue
from vonad.skills.desk import Allowance, Desk
from vonad.testing import ManualClock

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
    def __init__(  # noqa: PLR0917
        self, desk: Desk, clock: ManualClock, hooks: Hooks, skill: Probe, journal: Journal, catalogue: Catalogue
    ) -> None:
        self.catalogue = catalogue
        self.desk = desk
        self.journal = journal
        self.clock = clock
        self.hooks = hooks
        self.skill = skill
        self.told: list[tuple[str, Mapping[str, object]]] = []

    async def call(self, name: str = "probe", **arguments: object) -> Settled:
        return await self.run(SkillCall("c-1", name, arguments))

    async def run(
        self,
        call: SkillCall,
        *,
        turn_id: str = "t1",
        session: SessionView = VIEW,
        budget: Allowance | None = None,
        confirmed: bool = False,
    ) -> Settled:
        return await self.desk.run(
            call,
            turn_id=turn_id,
            text="probe it",
            previous_reply="",
            session=session,
            language="en",
            tell=lambda type_, data: self.told.append((type_, data)),
            budget=budget,
            confirmed=confirmed,
        )


@asynccontextmanager
async def bench(
    folder: Path, act: Callable[[Args, Call], Awaitable[object]], risk: str = "read", *, kept: bool = True
) -> AsyncIterator[Bench]:
    """A desk with the skill `probe`. kept: whether there is a history."""
    clock, hooks, catalogue = ManualClock(), Hooks(), Catalogue()
    hooks.risk = catalogue.risk
    kind = type("Probe", (Probe,), {"risk": risk})
    skill = kind(NoSettings(), FakeHost(folder, name="probe"))
    skill.act = act
    catalogue.add(skill, "a-plugin")
    async with open_journal(folder / "vonad.db" if kept else None, clock=clock, retention_days=0) as journal:
        policy = Policy(hooks, lambda hook, error: None, clock=clock)
        yield Bench(
            Desk(catalogue, policy=policy, journal=journal, clock=clock), clock, hooks, skill, journal, catalogue
        )


def audit(folder: Path) -> list[tuple[str, str]]:
    database = sqlite3.connect(folder / "vonad.db")
    rows = database.execute("SELECT name, outcome FROM audit").fetchall()
    database.close()
    return rows
