"""The audit: one row an attempt, and one end, whatever becomes of it; and what was seen of it as events."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.plugins.fake_host import FakeHost
from tests.skill_bench import Args, Bench, bench
from vonad.errors import VonadError
from vonad.history import open_journal
from vonad.host import NoSettings
from vonad.skill import Call, Deny, Skill, SkillCall
from vonad.skills.catalogue import Catalogue
from vonad.testing import ManualClock

Act = Callable[[Args, Call], Awaitable[object]]


async def work(args: Args, call: Call) -> object:
    return "done"


async def fail(args: Args, call: Call) -> object:
    raise LookupError("no lamp")


async def hang(args: Args, call: Call) -> object:
    return await asyncio.Event().wait()


async def plainly(desk: Bench) -> None:
    await desk.call(minutes=5)


async def wrongly(desk: Bench) -> None:
    await desk.call(minutes="soon")


async def unknown(desk: Bench) -> None:
    await desk.call("prob", minutes=5)


async def too_long(desk: Bench) -> None:
    running = asyncio.create_task(desk.call(minutes=5))
    await desk.clock.advance(2)
    await running


async def interrupted(desk: Bench) -> None:
    """The turn it belongs to is cancelled."""
    begun = asyncio.Event()

    async def act(args: Args, call: Call) -> object:
        begun.set()
        return await hang(args, call)

    desk.skill.act = act
    running = asyncio.create_task(desk.call(minutes=5))
    await begun.wait()
    running.cancel()
    await asyncio.wait({running})


async def against_policy(desk: Bench) -> None:
    desk.hooks.review = lambda call: Deny("children sleep", "safety")
    await desk.call(minutes=5)


async def with_broken_policy(desk: Bench) -> None:
    desk.hooks.review = lambda call: 1 / 0
    await desk.call(minutes=5)


async def without_a_disk(desk: Bench) -> None:
    nothing: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    nothing.set_result(False)
    write = desk.journal.skill_started

    def refused(*about: str) -> asyncio.Future[bool]:
        write(*about)
        return nothing

    desk.journal.skill_started = refused  # type: ignore[method-assign]
    await desk.call(minutes=5)


STORIES: Mapping[str, tuple[Act, str, Callable[[Bench], Awaitable[None]], str, str, str]] = {
    "done": (work, "reversible", plainly, "done", "", "skill.result"),
    "done, only looking": (work, "read", plainly, "done", "", "skill.result"),
    "failed": (fail, "reversible", plainly, "failed", "LookupError: no lamp", "skill.result"),
    "timeout": (hang, "read", too_long, "timeout", "longer than its 2 s", "skill.timeout"),
    "cancelled mid-run": (hang, "reversible", interrupted, "cancelled", "", "skill.result"),
    "rejected: policy": (work, "read", against_policy, "rejected", "safety: children sleep", "skill.rejected"),
    "rejected: broken policy": (work, "read", with_broken_policy, "rejected", "error: review_skill", "skill.rejected"),
    "rejected: schema": (work, "reversible", wrongly, "rejected", "schema: probe: minutes", "skill.rejected"),
    "rejected: unknown": (work, "read", unknown, "rejected", "schema: no skill 'prob'", "skill.rejected"),
    "rejected: no disk": (work, "reversible", without_a_disk, "rejected", "error: probe was not", "skill.rejected"),
    "asked": (work, "sensitive", plainly, "asked", "Shall I do this: probe, minutes 5?", "skill.confirm"),
}


def rows(folder: Path) -> list[tuple[str, str, str, str]]:
    database = sqlite3.connect(folder / "vonad.db")
    found = database.execute("SELECT call_id, risk, outcome, coalesce(detail, '') FROM audit").fetchall()
    database.close()
    return found


@pytest.mark.parametrize("story", STORIES)
async def test_vona_audit_sink_every_attempt_has_one_row_and_one_end(tmp_path: Path, story: str) -> None:
    act, risk, tell, end, detail, event = STORIES[story]
    ends: list[str] = []
    async with bench(tmp_path, act, risk) as desk:
        over = desk.journal.skill_ended

        def once(call_id: str, outcome: str, duration_ms: float, detail: str) -> asyncio.Future[bool]:
            ends.append(outcome)
            return over(call_id, outcome, duration_ms, detail)

        desk.journal.skill_ended = once  # type: ignore[method-assign]
        await tell(desk)
        told = [type_ for type_, _ in desk.told]
    assert ends == [end]
    [(call_id, _, outcome, kept)] = rows(tmp_path)
    assert (call_id, outcome) == ("c-1-1", end)
    assert detail in kept
    assert told == ["skill.attempt", event]


async def test_vona_audit_sink_all_five_kinds_are_told_with_what_they_promise(tmp_path: Path) -> None:
    """skill_attempt{args_summary}, skill_result{success, duration}, schema_violation, tool_timeout{budget};
    fallback{reason} is the session's."""
    async with bench(tmp_path, hang) as desk:
        await too_long(desk)
        await desk.call(minutes="x" * 500)
        desk.skill.act = work
        await desk.call(minutes=5)
        told = list(desk.told)
    attempts = [data for type_, data in told if type_ == "skill.attempt"]
    assert [data["args_summary"] for data in attempts][::2] == ['{"minutes": 5}'] * 2
    assert len(str(attempts[1]["args_summary"])) == 200
    assert [(type_, dict(data)) for type_, data in told if type_ != "skill.attempt"] == [
        ("skill.timeout", {"call_id": "c-1-1", "name": "probe", "budget_ms": 2000}),
        (
            "skill.rejected",
            {"call_id": "c-1-2", "name": "probe", "kind": "schema", "reason": told[3][1]["reason"]},
        ),
        (
            "skill.result",
            {"call_id": "c-1-3", "name": "probe", "success": True, "duration_ms": 0.0, "code": "", "reason": ""},
        ),
    ]


async def test_vona_skill_validation_violations_and_unknown_skills_are_audited(tmp_path: Path) -> None:
    async with bench(tmp_path, work) as desk:
        calls = {
            "wrong": ("probe", {"minutes": "soon"}),
            "more": ("probe", {"minutes": 1, "x": 2}),
            "other": ("prob", {}),
        }
        settled = [await desk.run(SkillCall(key, name, arguments)) for key, (name, arguments) in calls.items()]
    assert [one.outcome.code for one in settled] == ["skill_schema_violation"] * 2 + ["skill_not_found"]
    ids = ["wrong-1", "more-2", "other-3"]
    assert [(key, end) for key, _, end, _ in rows(tmp_path)] == [(key, "rejected") for key in ids]


async def test_a_crash_in_mid_run_is_unknown_at_the_next_start_and_is_not_run_again(tmp_path: Path) -> None:
    ran: list[str] = []
    begun = asyncio.Event()

    async def half(args: Args, call: Call) -> object:
        ran.append(call.id)
        begun.set()
        return await hang(args, call)

    later = tmp_path / "later"
    later.mkdir()
    async with bench(tmp_path, half, "reversible") as desk:
        running = asyncio.create_task(desk.call(minutes=5))
        await begun.wait()
        for file in tmp_path.glob("vonad.db*"):  # as kill -9 leaves it
            shutil.copy(file, later)
        running.cancel()
        await asyncio.wait({running})
    async with open_journal(later / "vonad.db", clock=ManualClock()) as journal:
        assert [(action.call_id, action.name, action.risk) for action in journal.recovered] == [
            ("c-1-1", "probe", "reversible")
        ]
    assert [row[2] for row in rows(later)] == ["unknown"]
    assert ran == ["c-1-1"]


def test_vona_skill_registry_a_duplicate_name_is_an_error_naming_both(tmp_path: Path) -> None:
    class Lamp(Skill[NoSettings]):
        name = "lamp"
        description = "A lamp"

        async def run(self, args: object, call: Call) -> str:
            return ""

    catalogue = Catalogue()
    host = FakeHost(tmp_path, name="lamp")
    catalogue.add(Lamp(NoSettings(), host), "mine")
    with pytest.raises(VonadError, match="skill 'lamp' of yours is already offered by mine") as refused:
        catalogue.add(Lamp(NoSettings(), host), "yours")
    assert refused.value.code == "plugin_conflict"


async def test_a_skill_whose_arguments_no_call_could_fill_does_not_run(tmp_path: Path) -> None:
    class Lamp(Skill[NoSettings]):
        name = "lamp"
        description = "A lamp"
        Args = BaseModel

        async def run(self, args: object, call: Call) -> str:
            return "on"

    with pytest.raises(VonadError, match="skill 'lamp' of mine: its Args is BaseModel itself") as refused:
        Catalogue().add(Lamp(NoSettings(), FakeHost(tmp_path, name="lamp")), "mine")
    assert refused.value.code == "invalid_config"


async def test_a_call_of_junk_is_refused_and_told(tmp_path: Path) -> None:
    circle: list[object] = []
    circle.append(circle)
    async with bench(tmp_path, work) as desk:
        assert (await desk.run(SkillCall("c-1", "probe", {"minutes": circle}))).end == "rejected"
        assert [type_ for type_, _ in desk.told] == ["skill.attempt", "skill.rejected"]


@pytest.mark.parametrize("turns", [("kitchen-1", "bath-1"), ("kitchen-1", "kitchen-1")])
async def test_attempts_whose_models_gave_them_the_same_id_have_each_their_own_row_and_end(
    tmp_path: Path, turns: tuple[str, str]
) -> None:
    """At once, in two sessions or in one turn; and the first to begin is the first to end."""
    released = [asyncio.Event(), asyncio.Event()]

    async def act(args: Args, call: Call) -> object:
        await released[args.minutes].wait()
        if args.minutes == 0:
            raise LookupError("the garage is jammed")
        return "done"

    async with bench(tmp_path, act, "reversible") as desk:
        running = []
        for number, turn_id in enumerate(turns):
            call = SkillCall("call_0", "probe", {"minutes": number})
            running.append(asyncio.create_task(desk.run(call, turn_id=turn_id)))
        for release, task in zip(released, running, strict=True):
            release.set()
            await task
        ids = [str(data["call_id"]) for _, data in desk.told]
        third = await desk.run(SkillCall("call_0", "probe", {"minutes": 1}), turn_id=turns[0])
        assert third.end == "done"
    assert [running[0].result().end, running[1].result().end] == ["failed", "done"]
    assert ids[:2] == ids[2:]
    kept = [(call_id, outcome, detail) for call_id, _, outcome, detail in rows(tmp_path)]
    assert [(call_id, outcome) for call_id, outcome, _ in kept[:2]] == [(ids[0], "failed"), (ids[1], "done")]
    assert "jammed" in kept[0][2]
    assert kept[1][2] == ""
    assert kept[2][1] == "done"
