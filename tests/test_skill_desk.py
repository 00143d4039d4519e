"""The desk: whatever a skill does, one attempt, one ending, and an Outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import BaseModel, field_validator

from tests.skill_bench import Args, audit, bench
from vonad.plan import Budget
from vonad.session.budget import TurnBudget
from vonad.skill import Allow, Call, Deny, SkillCall, SkillResult
from vonad.testing import settle


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
async def test_vona_skill_validation_arguments_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, arguments: dict[str, object], named: str
) -> None:
    async with bench(tmp_path, answer) as desk:
        settled = await desk.call(**arguments)
        assert (settled.outcome.ok, settled.outcome.code) == (False, "skill_schema_violation")
        assert named in str(desk.told[-1][1]["reason"])
    assert audit(tmp_path) == [("probe", "rejected")]


async def test_a_validator_that_fails_is_the_skill_s_own_fault(tmp_path: Path) -> None:
    class Picky(BaseModel):
        minutes: int

        @field_validator("minutes")
        @classmethod
        def check(cls, minutes: int) -> int:
            raise LookupError("no calendar")

    async with bench(tmp_path, answer) as desk:
        type(desk.skill).Args = Picky  # type: ignore[assignment,misc]  # a skill of a test's own class
        settled = await desk.call(minutes=1)
        assert (settled.end, settled.outcome.code) == ("failed", "skill_failed")


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
        type_, told = desk.told[-1]
        assert (type_, told["call_id"], told["name"]) == ("skill.result", "c-1-1", "probe")
        assert (told["success"], told["code"]) == (False, "skill_failed")
        assert f"probe (a-plugin) failed: {type(error).__name__}" in str(told["reason"])
    assert audit(tmp_path) == [("probe", "failed")]


@pytest.mark.parametrize("junk", [None, 7, b"bytes", "x" * 50_000_000], ids=["none", "number", "bytes", "50 MB"])
async def test_junk_is_no_reply(tmp_path: Path, junk: object) -> None:
    async def give(args: Args, call: Call) -> object:
        return junk

    async with bench(tmp_path, give) as desk:
        assert (await desk.call(minutes=1)).outcome.code == "skill_failed"


async def test_vona_session_policy_budget_per_skill_one_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def hang(args: Args, call: Call) -> object:
        return await asyncio.Event().wait()

    async with bench(tmp_path, hang) as desk:
        running = asyncio.create_task(desk.call(minutes=1))
        await desk.clock.advance(2.1)
        settled = await running
        assert settled.outcome.code == "skill_timeout"
        assert desk.told[-1] == ("skill.timeout", {"call_id": "c-1-1", "name": "probe", "budget_ms": 2000})
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


@pytest.mark.parametrize("risk", ["reversible", "sensitive"])
async def test_without_a_history_an_action_waits_for_nothing(tmp_path: Path, risk: str) -> None:
    async with bench(tmp_path, answer, risk=risk, kept=False) as desk:
        desk.hooks.review = lambda call: Allow()
        assert (await desk.call(minutes=1)).end == "done"


async def test_a_skill_that_only_reads_never_waits_for_the_database(tmp_path: Path) -> None:
    async with bench(tmp_path, answer) as desk:
        never: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        desk.journal.skill_started = lambda *about: never  # type: ignore[method-assign]
        assert (await desk.call(minutes=1)).end == "done"


async def test_an_action_whose_begin_is_not_on_disk_within_5_s_is_not_begun(tmp_path: Path) -> None:
    ran: list[int] = []

    async def note(args: Args, call: Call) -> object:
        ran.append(args.minutes)
        return ""

    async with bench(tmp_path, note, risk="reversible") as desk:
        never: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        desk.journal.skill_started = lambda *about: never  # type: ignore[method-assign]
        running = asyncio.create_task(desk.call(minutes=1))
        await desk.clock.advance(5)
        settled = await running
        assert (settled.end, settled.outcome.code, desk.told[-1][1]["kind"]) == ("rejected", "store_error", "error")
        assert not never.cancelled()
    assert ran == []


async def test_what_a_skill_may_do_and_how_long_is_known_before_it_is_asked_for(tmp_path: Path) -> None:
    async with bench(tmp_path, answer, risk="sensitive") as desk:
        assert (desk.desk.risk("probe"), desk.desk.timeout_s("probe")) == ("sensitive", 2.0)
        assert (desk.desk.risk("other"), desk.desk.timeout_s("other")) == (None, 0.0)


async def test_a_policy_sees_only_calls_that_could_run(tmp_path: Path) -> None:
    asked: list[SkillCall] = []

    async with bench(tmp_path, answer) as desk:
        desk.hooks.review = asked.append
        await desk.call(minutes="soon")
        await desk.call("prob", minutes=1)
    assert asked == []


async def test_a_call_beyond_the_budget_is_refused_and_audited(tmp_path: Path) -> None:
    async with bench(tmp_path, answer) as desk:
        warned: list[Mapping[str, object]] = []
        budget = TurnBudget(Budget(skill_calls=1), desk.clock, warned.append, lambda error: pytest.fail("not over"))
        first = await desk.run(SkillCall("c-1", "probe", {"minutes": 1}), budget=budget)
        second = await desk.run(SkillCall("c-2", "probe", {"minutes": 1}), budget=budget)
        assert (first.end, second.end, second.outcome.code) == ("done", "rejected", "budget_exceeded")
        assert desk.told[-1][1]["kind"] == "policy"
    assert audit(tmp_path) == [("probe", "done"), ("probe", "rejected")]


async def test_a_skill_that_cannot_be_called_off_is_left_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave = asyncio.Event()
    async with bench(tmp_path, stubborn(leave)) as desk:
        call = asyncio.create_task(desk.call(minutes=1))
        await desk.clock.advance(2.9)
        assert not call.done()
        await desk.clock.advance(0.2)
        leave.set()
        assert (await call).outcome.code == "skill_timeout"
        assert "goes on though it was cancelled, and is left behind" in caplog.text
    assert audit(tmp_path) == [("probe", "timeout")]


async def test_a_skill_that_ends_when_it_is_called_off_is_waited_for(tmp_path: Path) -> None:
    tidied: list[bool] = []

    async def act(args: Args, call: Call) -> object:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied.append(True)
        return ""

    async with bench(tmp_path, act) as desk:
        call = asyncio.create_task(desk.call(minutes=1))
        await desk.clock.advance(1.0)
        call.cancel()
        await asyncio.wait([call])
        assert (call.cancelled(), tidied) == (True, [True])
    assert audit(tmp_path) == [("probe", "cancelled")]


async def test_a_skill_that_cancels_itself_has_failed(tmp_path: Path) -> None:
    async def act(args: Args, call: Call) -> object:
        raise asyncio.CancelledError

    async with bench(tmp_path, act) as desk:
        assert (await desk.call(minutes=1)).outcome.code == "skill_failed"
    assert audit(tmp_path) == [("probe", "failed")]


def stubborn(leave: asyncio.Event) -> Callable[[Args, Call], Awaitable[object]]:
    """Does not let itself be cancelled."""

    async def act(args: Args, call: Call) -> object:
        while not leave.is_set():
            with suppress(asyncio.CancelledError):
                await leave.wait()
        return "At last."

    return act
