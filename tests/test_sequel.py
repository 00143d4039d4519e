"""The sequel: what follows a reply, and in which order."""

from types import SimpleNamespace

import pytest

from vonad.frame import Frame
from vonad.session.announcement import Announcements
from vonad.session.machine import State, Trigger
from vonad.session.sequel import Sequel
from vonad.session.turn import Turn
from vonad.testing import speech


class Ended:
    """A reply has just been heard to its end. `did` is what came of it, in order."""

    def __init__(self, *, purpose: str = "listen", wants_follow_up: bool = False, said: tuple[Frame, ...] = ()) -> None:
        self.did: list[object] = []
        self.turn = Turn(number=1, id="s1-1", source="voice", started_at=10.0, ended=None)  # type: ignore[arg-type]
        self.turn.first_audio_ms = 300.0
        self.waiting = Announcements()
        self.due = False
        self.own_turns = SimpleNamespace(
            reopen=False,
            wants_follow_up=lambda turn: wants_follow_up,
            announce=lambda trigger: self.did.append(f"announce {self.waiting.next()}"),
        )
        self.floor = SimpleNamespace(
            state=State.SPEAKING,
            turn=self.turn,
            line=object(),
            plan=SimpleNamespace(purpose=purpose),
            means=SimpleNamespace(limits=SimpleNamespace(reopen_s=0.3)),
            machine=SimpleNamespace(fire=self._fire),
            finish=lambda turn, outcome: self.did.append(outcome),
            after=lambda name, seconds, act: self.did.append((name, seconds, act)),
        )
        self.sequel = Sequel(
            self.floor,  # type: ignore[arg-type]
            SimpleNamespace(rest=lambda: None),  # type: ignore[arg-type]
            SimpleNamespace(waiting=self.waiting),  # type: ignore[arg-type]
            self.own_turns,  # type: ignore[arg-type]
            SimpleNamespace(speaking=bool(said), closed=lambda: said),  # type: ignore[arg-type]
            chain=SimpleNamespace(rest=lambda: self.did.append("home")),  # type: ignore[arg-type]
            fallback=SimpleNamespace(rest=self._fall_back, due=False),  # type: ignore[arg-type]
            apologise=lambda turn, outcome: self.did.append(f"apologise {outcome}"),
            listen=self._listen,
            close=lambda reason, farewell: self.did.append(f"close {reason}"),
        )

    def heard(self) -> list[object]:
        self.sequel.heard(self.turn)
        return self.did

    def wait(self, announcement: str) -> None:
        self.waiting._waiting.append(announcement)  # type: ignore[arg-type]

    def _fire(self, trigger: Trigger, state: State) -> None:
        self.floor.state = state
        self.did.append(state)

    def _fall_back(self) -> bool:
        if self.due:
            self.did.append("fall back")
        return self.due

    def _listen(self, trigger: Trigger, past: tuple[Frame, ...]) -> None:
        self.floor.state = State.LISTENING
        self.did.append(("listen", trigger, past))


def test_a_session_rests_when_all_is_said_on_the_better_backend() -> None:
    assert Ended().heard() == ["completed", "idle", "home"]


def test_the_microphone_opens_for_a_follow_up_once_the_room_is_quiet() -> None:
    ended = Ended(wants_follow_up=True)
    [timer] = ended.heard()
    assert isinstance(timer, tuple)
    assert timer[:2] == ("reopen", 0.3)
    timer[2]()
    assert ended.did[1:] == ["completed", ("listen", Trigger.PLAYBACK_FINISHED, ())]


def test_an_interruption_while_the_microphone_is_about_to_open_keeps_it_closed() -> None:
    ended = Ended(wants_follow_up=True)
    [timer] = ended.heard()
    assert isinstance(timer, tuple)
    ended.floor.state = State.INTERRUPTED
    timer[2]()
    assert ended.did == [timer]


def test_who_was_about_to_interrupt_when_the_reply_ended_is_listened_to() -> None:
    said = (speech(0.3),)
    ended = Ended(said=said)
    assert ended.heard() == ["completed", ("listen", Trigger.PLAYBACK_FINISHED, said)]
    assert ended.turn.barged == "unsure"


def test_what_waits_to_be_said_comes_before_the_follow_up_which_is_not_forgotten() -> None:
    ended = Ended(said=(speech(0.3),))
    ended.wait("dinner")
    assert ended.heard() == ["completed", "idle", "home", "announce dinner"]
    assert ended.own_turns.reopen


def test_a_backend_that_is_to_be_left_is_left_before_anything_else_is_said() -> None:
    ended = Ended()
    ended.due = True
    ended.wait("dinner")
    assert ended.heard() == ["completed", "idle", "fall back"]


def test_somebody_who_spoke_and_heard_nothing_is_apologised_to() -> None:
    ended = Ended()
    ended.turn.first_audio_ms = None
    assert ended.heard() == ["apologise failed"]


@pytest.mark.parametrize(("addressed", "closes"), [(False, ["close backend_finished"]), (True, [])])
def test_a_session_that_opened_to_say_something_ends_then_unless_somebody_talks_to_it(
    addressed: bool, closes: list[str]
) -> None:
    ended = Ended(purpose="say")
    ended.sequel.addressed = addressed
    assert ended.heard() == ["completed", "idle", "home", *closes]


def test_the_end_of_another_turn_s_reply_changes_nothing() -> None:
    ended = Ended()
    ended.floor.turn = None
    assert ended.heard() == []
