"""The state machine: every row of its table, and nothing but its rows."""

import pytest

from vonad.errors import VonadError
from vonad.session.machine import TRANSITIONS, Change, Machine, State, Trigger

ROWS = [(state, trigger, to) for (state, trigger), targets in TRANSITIONS.items() for to in sorted(targets)]
NO_ROWS = [
    (state, trigger, to)
    for state in State
    for trigger in Trigger
    for to in State
    if to not in TRANSITIONS.get((state, trigger), frozenset())
]


def machine(state: State) -> tuple[Machine, list[Change]]:
    changes: list[Change] = []
    made = Machine(changes.append)
    made.state = state
    return made, changes


@pytest.mark.parametrize(("state", "trigger", "to"), ROWS, ids=str)
def test_vona_states_each_row_moves_the_session_and_tells_of_it(state: State, trigger: Trigger, to: State) -> None:
    subject, changes = machine(state)
    assert subject.fire(trigger, to)
    assert subject.state is to
    assert [(c.previous, c.state, c.trigger) for c in changes] == [(state, to, trigger)]


def test_vona_states_everything_else_is_an_invalid_state_and_moves_nothing() -> None:
    for state, trigger, to in NO_ROWS:
        subject, changes = machine(state)
        with pytest.raises(VonadError) as refused:
            subject.fire(trigger, to)
        assert refused.value.code == "invalid_state"
        assert subject.state is state
        assert changes == []


def test_cyberverse_pipeline_seq_a_completion_of_an_older_turn_is_discarded() -> None:
    subject, changes = machine(State.PROCESSING)
    old = subject.next_epoch()
    subject.next_epoch()
    assert not subject.fire(Trigger.FIRST_SOUND, State.SPEAKING, epoch=old)
    assert subject.state is State.PROCESSING
    assert changes == []


def test_no_state_follows_itself() -> None:
    assert all(state not in targets for (state, _), targets in TRANSITIONS.items())


def test_beluga_states_closed_is_terminal_and_every_other_state_can_close() -> None:
    assert not [key for key in TRANSITIONS if key[0] is State.CLOSED]
    for state in set(State) - {State.CLOSING, State.CLOSED}:
        assert TRANSITIONS[state, Trigger.CLOSE] == {State.CLOSING}


def test_the_refusal_names_both_states_and_the_trigger() -> None:
    subject, _ = machine(State.IDLE)
    with pytest.raises(VonadError, match="idle cannot become speaking by first_sound"):
        subject.fire(Trigger.FIRST_SOUND, State.SPEAKING)
