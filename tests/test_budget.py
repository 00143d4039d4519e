"""The budget of a turn: counted, warned of once at 0.8, and over when it is over."""

from collections.abc import Mapping

import pytest

from vonad.errors import VonadError
from vonad.plan import Budget
from vonad.session.budget import TurnBudget
from vonad.testing import ManualClock


class Turn:
    """Answering one turn within a budget."""

    def __init__(self, budget: Budget) -> None:
        self.clock = ManualClock()
        self.warned: list[Mapping[str, object]] = []
        self.over: list[VonadError] = []
        self.budget = TurnBudget(budget, self.clock, self.warned.append, self.over.append)


def test_meerkat_budgets_tokens_are_warned_of_at_four_fifths_once_and_end_the_turn() -> None:
    turn = Turn(Budget(tokens=100))
    turn.budget.tokens(79)
    assert turn.warned == []
    turn.budget.tokens(1)
    turn.budget.tokens(20)
    assert turn.warned == [{"what": "tokens", "used": 80, "limit": 100}]
    with pytest.raises(VonadError, match=r"101 tokens; \[session\] turn_tokens is 100") as exceeded:
        turn.budget.tokens(1)
    assert (exceeded.value.code, exceeded.value.status) == ("budget_exceeded", 429)
    assert exceeded.value.details == {"what": "tokens", "used": 101, "limit": 100}
    assert turn.over == [exceeded.value]


def test_a_backend_that_goes_on_spending_is_refused_each_time_and_ends_the_turn_once() -> None:
    turn = Turn(Budget(tokens=10))
    for _ in range(3):
        with pytest.raises(VonadError, match="the turn has spent"):
            turn.budget.tokens(50)
    assert len(turn.over) == 1
    assert len(turn.warned) == 1


async def test_meerkat_budgets_duration_is_warned_of_and_ends_the_turn_by_itself() -> None:
    turn = Turn(Budget(seconds=10))
    await turn.clock.advance(30)  # the user speaks: that costs nothing
    assert turn.budget.seconds_left is None
    turn.budget.begin()
    await turn.clock.advance(7.9)
    assert (turn.warned, turn.budget.seconds_left) == ([], pytest.approx(2.1))
    await turn.clock.advance(0.1)
    assert turn.warned == [{"what": "seconds", "used": 8, "limit": 10}]
    assert turn.over == []
    await turn.clock.advance(2)
    [error] = turn.over
    assert (error.code, error.details["what"], turn.budget.seconds_left) == ("budget_exceeded", "seconds", 0)


async def test_meerkat_budgets_a_tool_call_too_many_is_refused_and_the_turn_may_go_on() -> None:
    turn = Turn(Budget(skill_calls=5))
    for _ in range(5):
        turn.budget.skill_call()
    assert turn.warned == [{"what": "skill_calls", "used": 4, "limit": 5}]
    for _ in range(2):
        with pytest.raises(VonadError, match=r"\d skill calls; \[session\] turn_skill_calls is 5"):
            turn.budget.skill_call()
    assert turn.over == []


async def test_time_counts_from_the_first_begin() -> None:
    turn = Turn(Budget(seconds=10))
    turn.budget.begin()
    await turn.clock.advance(5)
    turn.budget.begin()
    await turn.clock.advance(5)
    assert len(turn.over) == 1


async def test_an_answer_in_time_leaves_no_timer_behind() -> None:
    turn = Turn(Budget(seconds=10))
    turn.budget.begin()
    await turn.clock.advance(5)
    turn.budget.end()
    assert turn.clock.waiting == 0
    await turn.clock.advance(60)
    assert (turn.warned, turn.over) == ([], [])
    turn.budget.begin()
    assert turn.clock.waiting == 0


def test_what_is_spent_when_the_turn_is_over_ends_nothing() -> None:
    turn = Turn(Budget(tokens=10))
    turn.budget.end()
    with pytest.raises(VonadError, match="50 tokens"):
        turn.budget.tokens(50)
    assert (turn.warned, turn.over) == ([], [])


async def test_without_limits_nothing_ends() -> None:
    turn = Turn(Budget(tokens=None, seconds=None, skill_calls=None))
    turn.budget.begin()
    turn.budget.tokens(10_000_000)
    for _ in range(1000):
        turn.budget.skill_call()
    await turn.clock.advance(86_400)
    assert (turn.warned, turn.over, turn.clock.waiting) == ([], [], 0)


def test_eight_skill_calls_are_the_default() -> None:
    turn = Turn(Budget())
    for _ in range(8):
        turn.budget.skill_call()
    with pytest.raises(VonadError, match="9 skill calls"):
        turn.budget.skill_call()


def test_nobody_gets_tokens_back() -> None:
    turn = Turn(Budget(tokens=10))
    turn.budget.tokens(9)
    turn.budget.tokens(-1000)
    with pytest.raises(VonadError, match="11 tokens"):
        turn.budget.tokens(2)
