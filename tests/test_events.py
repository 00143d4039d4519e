"""Events and their envelope."""

import json
import re

import pytest

from vonad import EVENTS, Event
from vonad.events import COARSE


def test_the_envelope_is_what_every_face_shows() -> None:
    event = Event(
        "turn.final",
        {"turn_id": "t1", "text": "what time is it"},
        satellite="desk",
        session_id="s1",
        conversation_id="c1",
        turn=2,
        seq=7,
        ts="2026-01-01T12:00:00.000Z",
        node="kitchen",
    )

    assert json.loads(json.dumps(event.envelope())) == {
        "v": 1,
        "type": "turn.final",
        "seq": 7,
        "ts": "2026-01-01T12:00:00.000Z",
        "node": "kitchen",
        "satellite": "desk",
        "session_id": "s1",
        "conversation_id": "c1",
        "turn": 2,
        "data": {"turn_id": "t1", "text": "what time is it"},
    }


def test_an_envelope_always_has_every_key() -> None:
    assert Event("plugins.changed").envelope().keys() == {
        *("v", "type", "seq", "ts", "node", "satellite", "session_id", "conversation_id", "turn", "data"),
    }


@pytest.mark.parametrize("name", EVENTS)
def test_a_kind_s_words_are_among_its_data(name: str) -> None:
    kind = EVENTS[name]
    assert re.fullmatch(r"[a-z]+([._][a-z]+)*", name)
    assert kind.says
    assert set(kind.words) <= set(kind.data)


@pytest.mark.parametrize("name", ["session.state", "session.closed", "wake.refused", "turn.ended", "say.finished"])
def test_state_and_terminal_events_are_never_dropped(name: str) -> None:
    assert EVENTS[name].kept


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ("created connecting idle away closing closed", "idle"),
        ("listening", "listening"),
        ("processing executing_skill falling_back", "processing"),
        ("speaking interrupted", "responding"),
    ],
)
def test_twelve_states_are_shown_as_four(states: str, shown: str) -> None:
    assert {COARSE[state] for state in states.split()} == {shown}
