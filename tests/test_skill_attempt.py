"""An attempt: what the audit and the events tell of it, whoever made it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.plugins.fake_host import FakeHost
from tests.skill_bench import Probe, audit
from vonad.engine import Outcome
from vonad.errors import VonadError
from vonad.history import open_journal
from vonad.host import NoSettings
from vonad.skill import SkillCall
from vonad.skills.attempt import SUMMARY, Attempt, Settled
from vonad.skills.catalogue import Catalogue
from vonad.testing import ManualClock

FAILED = Outcome("", ok=False)
CALL = SkillCall("c-1", "probe", {"minutes": 5})

Told = list[tuple[str, Mapping[str, object]]]


@asynccontextmanager
async def attempt(folder: Path, told: Told, catalogue: Catalogue, call: SkillCall = CALL) -> AsyncIterator[Attempt]:
    """One that has begun; its rows are on disk afterwards."""
    async with open_journal(folder / "vonad.db", clock=ManualClock()) as journal:
        made = Attempt(
            call, 7, catalogue=catalogue, journal=journal, tell=lambda type_, data: told.append((type_, data))
        )
        made.begin("t1")
        yield made


@pytest.mark.parametrize(
    ("code", "given", "kind"),
    [
        ("skill_not_found", {}, "schema"),
        ("budget_exceeded", {}, "policy"),
        ("store_error", {}, "error"),
        ("invalid_state", {}, "error"),
        ("skill_rejected", {"kind": "risk"}, "risk"),
    ],
)
async def test_a_refusal_tells_its_kind_policy_s_own_or_that_of_its_code(
    tmp_path: Path, code: str, given: dict[str, object], kind: str
) -> None:
    told: Told = []
    async with attempt(tmp_path, told, Catalogue()) as made:
        made.over(Settled(FAILED, end="rejected"), VonadError(code, "no", details=given), 1.0)
    assert told[-1] == ("skill.rejected", {"call_id": "c-1-7", "name": "probe", "reason": "no", "kind": kind})
    assert audit(tmp_path) == [("probe", "rejected")]


async def test_one_that_took_too_long_tells_what_it_had_of_its_skill_s_time(tmp_path: Path) -> None:
    told, catalogue = [], Catalogue()
    catalogue.add(Probe(NoSettings(), FakeHost(tmp_path, name="probe")), "a-plugin")
    async with attempt(tmp_path, told, catalogue) as made:
        made.over(Settled(FAILED, end="timeout"), VonadError("skill_timeout", "too long"), 2_000.0)
    assert told[-1] == ("skill.timeout", {"call_id": "c-1-7", "name": "probe", "budget_ms": 2_000})
    assert audit(tmp_path) == [("probe", "timeout")]


async def test_it_begins_with_as_much_of_its_arguments_as_the_audit_keeps(tmp_path: Path) -> None:
    told: Told = []
    async with attempt(tmp_path, told, Catalogue(), SkillCall("c-1", "probe", {"text": "x" * 1_000})) as made:
        made.over(Settled(Outcome("done")), None, 1.0)
    [(type_, data), (last, end)] = told
    assert (type_, data["call_id"], len(str(data["args_summary"]))) == ("skill.attempt", "c-1-7", SUMMARY)
    assert (last, end["success"], end["duration_ms"]) == ("skill.result", True, 1.0)
    assert audit(tmp_path) == [("probe", "done")]
