"""The handover: another backend is there, and what was being done goes on with it."""

from types import SimpleNamespace

from vonad.session.handover import Handover
from vonad.session.machine import State, Trigger
from vonad.session.turn import Turn


class Bound:
    """Another backend answers. `did` is what came of it, in order."""

    def __init__(self, *, overtaken: bool = False) -> None:
        self.did: list[object] = []
        self.turn = Turn(number=1, id="s1-1", source="voice", started_at=10.0, ended=None)  # type: ignore[arg-type]
        self.floor = SimpleNamespace(
            state=State.IDLE,
            machine=SimpleNamespace(fire=lambda trigger, state: self.did.append(f"{trigger} {state}")),
            backend="first",
            degraded=False,
            tell=lambda type_, data: self.did.append((type_, data)),
        )
        self.handover = Handover(
            self.floor,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            SimpleNamespace(take=None),  # type: ignore[arg-type]
            brief=None,  # type: ignore[arg-type]
            leases=None,  # type: ignore[arg-type]
            begin=lambda trigger: self.did.append(f"begin {trigger}"),
            close=lambda reason, farewell: self.did.append(f"close {reason}"),
        )
        self.handover.resumption.begin = self._resume  # type: ignore[method-assign]
        self.handover.detectors.fit = lambda: self.did.append("hear as it needs")  # type: ignore[method-assign]
        self.handover.overtaken = lambda turn, trigger: overtaken
        self.handover.go_on = lambda: self.did.append("go on")

    def to(self, turn: Turn | None, came_from: State) -> list[object]:
        self.handover.fallback._bound(turn, came_from)
        return self.did

    def _resume(self, turn: Turn, came_from: State) -> None:
        self.did.append(f"resume {turn.number} from {came_from}")


def test_an_open_turn_is_resumed_from_where_it_was() -> None:
    bound = Bound()
    assert bound.to(bound.turn, State.LISTENING) == ["resume 1 from listening"]


def test_a_session_that_was_still_connecting_does_what_it_was_opened_for() -> None:
    assert Bound().to(None, State.CONNECTING) == [f"begin {Trigger.BOUND}", "go on"]


def test_a_session_that_rested_rests_and_says_what_waits() -> None:
    assert Bound().to(None, State.IDLE) == [f"{Trigger.BOUND} idle", "go on"]


def test_a_wake_that_came_meanwhile_takes_the_place_of_all_that() -> None:
    bound = Bound(overtaken=True)
    assert bound.to(bound.turn, State.LISTENING) == []
    assert bound.to(None, State.CONNECTING) == []


def test_who_shows_the_session_as_degraded_is_told_when_the_better_backend_is_back() -> None:
    bound = Bound()
    bound.handover.chain._home("second")
    over = ("fallback.over", {"from": "second", "to": "first", "degraded": False})
    assert bound.did == ["hear as it needs", over]
