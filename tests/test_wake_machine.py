"""The wake machine: each row of its table, and what moves nothing."""

from collections.abc import Callable

import pytest

from vonad.testing import ManualClock
from vonad.wake.machine import TRANSITIONS, Stimulus, Wakefulness, WakeMachine

CANDIDATE_S = 2.0


async def in_state(state: Wakefulness, clock: ManualClock, stimulus: Stimulus) -> WakeMachine:
    """One that stands there; suppressed by what the stimulus can end."""
    machine = WakeMachine(clock)
    if state is Wakefulness.CANDIDATE:
        machine.heard("okay nabu")
    elif state is Wakefulness.AWAKE:
        machine.woken()
    elif state is Wakefulness.SUPPRESSED and stimulus is Stimulus.UNMUTED:
        machine.mute(on=True)
    elif state is Wakefulness.SUPPRESSED:
        machine.follow("responding")
    assert machine.state is state
    return machine


STIMULI: dict[Stimulus, Callable[[WakeMachine], object]] = {
    Stimulus.HEARD: lambda machine: machine.heard("okay nabu"),
    Stimulus.LAPSED: lambda machine: machine.forget(),
    Stimulus.WOKEN: lambda machine: machine.woken(),
    Stimulus.SPEAKS: lambda machine: machine.follow("responding"),
    Stimulus.MUTED: lambda machine: machine.mute(on=True),
    Stimulus.RESTED: lambda machine: machine.follow("idle"),
    Stimulus.UNMUTED: lambda machine: machine.mute(on=False),
}


@pytest.mark.parametrize("stimulus", Stimulus)
@pytest.mark.parametrize("state", Wakefulness)
async def test_vona_wake_gate_machine_each_row_moves_it_and_nothing_else_does(
    state: Wakefulness, stimulus: Stimulus
) -> None:
    machine = await in_state(state, ManualClock(), stimulus)
    STIMULI[stimulus](machine)
    assert machine.state is TRANSITIONS.get((state, stimulus), state)


async def test_vona_wake_gate_machine_a_candidate_lapses_by_itself() -> None:
    clock = ManualClock()
    machine = WakeMachine(clock)
    machine.heard("okay nabu")
    await clock.advance(CANDIDATE_S)
    assert machine.state == "candidate"
    await clock.advance(0.1)
    assert machine.state == "dormant"
    assert not machine.heard("okay nabu")


async def test_vona_wake_gate_machine_another_word_is_a_candidate_of_its_own() -> None:
    clock = ManualClock()
    machine = WakeMachine(clock)
    assert not machine.heard("okay nabu")
    await clock.advance(1.5)
    assert not machine.heard("hey jarvis")
    await clock.advance(1.5)
    assert machine.heard("hey jarvis")


@pytest.mark.parametrize(
    ("activity", "state"),
    [("idle", "dormant"), ("listening", "awake"), ("processing", "awake"), ("responding", "suppressed")],
)
def test_vona_wake_gate_machine_follows_what_happened_while_it_was_muted(activity: str, state: str) -> None:
    machine = WakeMachine(ManualClock())
    machine.woken()
    machine.mute(on=True)
    machine.follow("processing")
    machine.follow(activity)
    assert machine.state == "suppressed"
    machine.mute(on=False)
    assert machine.state == state


async def test_vona_wake_gate_machine_the_cooldown_begins_with_the_return_from_a_turn_and_with_nothing_else() -> None:
    clock = ManualClock()
    machine = WakeMachine(clock)
    machine.mute(on=True)
    machine.mute(on=False)
    assert machine.cooling_s(2.0) is None
    machine.follow("responding")
    assert machine.cooling_s(2.0) is None
    machine.follow("idle")
    assert machine.cooling_s(2.0) == 0.0
    await clock.advance(1.0)
    machine.follow("idle")
    assert machine.cooling_s(2.0) == 1.0
    assert machine.cooling_s(1.0) is None


def test_vona_wake_gate_machine_a_conversation_that_goes_on_has_no_cooldown() -> None:
    machine = WakeMachine(ManualClock())
    machine.woken()
    machine.follow("idle")
    machine.follow("processing")
    assert machine.cooling_s(2.0) is None
