"""The demo's promises: kept ones pass, and each that is broken is named."""

import numpy as np
import pytest

from vonad import Frame
from vonad.cli.demo.promises import SeenTurn, broken_history, broken_sound, broken_turn, level_db
from vonad.history import TurnView, WakeView


def turn(**changes) -> SeenTurn:
    seen = SeenTurn(
        "what's the date today",
        accepted=True,
        states=["listening", "processing", "responding", "idle"],
        transcript="What's the date today?",
        reply="It is the first of May.",
        ended={"outcome": "completed"},
    )
    for name, value in changes.items():
        setattr(seen, name, value)
    return seen


def row(**changes) -> TurnView:
    facts = {
        "turn_id": "s1-1",
        "session_id": "s1",
        "satellite": "demo",
        "ts": "",
        "transcript": "what's the date today",
        "reply": "It is the first of May.",
        "heard": "",
        "outcome": "completed",
        "skills": ["clock"],
    }
    return TurnView(**facts | changes)


def wake(*, accepted: bool = True) -> WakeView:
    return WakeView(
        ts="", satellite="demo", source="mqtt", phrase=None, score=None, accepted=accepted, reason="", detail=""
    )


def sound(seconds: float, level: float) -> Frame:
    rng = np.random.default_rng(1)
    return Frame(
        np.clip(rng.standard_normal(round(seconds * 22_050)) * level * 32768, -32768, 32767).astype(np.int16), 22_050
    )


def test_a_turn_that_went_well_has_nothing_broken():
    assert list(broken_turn(turn())) == []
    assert list(broken_history([turn()], [row()], [wake()])) == []
    assert list(broken_sound([turn()], sound(2.0, 0.1))) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"accepted": False}, "was accepted"),
        ({"states": ["listening", "idle"]}, "in this order"),
        ({"transcript": "what is the time"}, "was understood"),
        ({"reply": ""}, "was answered"),
        ({"ended": {"outcome": "failed"}}, "outcome is failed"),
    ],
)
def test_what_went_wrong_in_a_turn_is_named(changes, named):
    (promise,) = broken_turn(turn(**changes))
    assert named in promise


def test_missing_rows_are_named():
    assert len(list(broken_history([turn()], [], []))) == 2
    assert len(list(broken_history([turn()], [row(skills=[])], [wake()]))) == 1
    assert len(list(broken_history([turn()], [row()], [wake(accepted=False)]))) == 1


def test_silence_noise_and_nothing_are_no_speech():
    assert "level" in next(broken_sound([turn()], sound(2.0, 0.0)))
    assert "level" in next(broken_sound([turn()], sound(2.0, 3.0)))
    assert "words take" in next(broken_sound([turn()], sound(0.1, 0.1)))
    assert "were played" in next(broken_sound([turn()], None))


def test_the_level_is_in_db_below_full_scale():
    assert level_db(sound(1.0, 0.1)) == pytest.approx(-20, abs=0.5)
