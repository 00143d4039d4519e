"""The farewell: a session ends once, for its first reason, and says what is owed to whoever waits."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest

from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.session.farewell import Farewell
from vonad.session.machine import State, Trigger
from vonad.session.metrics import Metrics
from vonad.session.turn import Turn
from vonad.testing import ManualClock, ScriptedLine, speech


class Ending:
    """A session that has a line. `did` is what came of it, in order; `told` what was published."""

    def __init__(self, *, waits: bool = False, turn: Turn | None = None) -> None:
        self.did: list[object] = []
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.line = ScriptedLine()
        self.floor = SimpleNamespace(
            session_id="s1",
            clock=ManualClock(),
            state=State.IDLE,
            over=False,
            turn=turn,
            line=self.line,
            metrics=Metrics(),
            machine=SimpleNamespace(fire=self._fire),
            means=SimpleNamespace(
                limits=SimpleNamespace(closing_s=3.0, flush_s=1.0),
                journal=SimpleNamespace(session_closed=lambda session, reason: self.did.append(f"row {reason}")),
            ),
            finish=lambda turn, outcome: self.did.append(outcome),
            drop_timer=lambda: None,
            tell=lambda type_, data: self.told.append((type_, data)),
            tell_error=lambda error, op: self.told.append(("error", {"code": error.code})),
            wind_up=self._wind_up,
        )
        chain = SimpleNamespace(close=self._close)
        course = SimpleNamespace(
            fallback=SimpleNamespace(over=lambda: None),
            announcer=SimpleNamespace(hold=lambda: None, give_back=lambda: self.did.append("give back")),
            mouth=SimpleNamespace(
                silence=lambda: "It is",
                last_words=lambda key: (self.did.append(f"say {key}"), (speech(0.5),))[1],
                chime=SimpleNamespace(play=self._play),
            ),
            microphone=SimpleNamespace(close=lambda: None),
            handover=SimpleNamespace(chain=chain),
        )
        self.farewell = Farewell(self.floor, course, give_up=lambda: waits)  # type: ignore[arg-type]

    def _fire(self, trigger: Trigger, state: State, *, reason: str) -> None:
        self.floor.over = True
        self.did.append(f"{state} {reason}")

    async def _play(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            await self.line.play(frame)

    async def _close(self, within_s: float) -> None:
        self.did.append(f"backend has {within_s:g} s")

    async def _wind_up(self, within_s: float) -> None:
        self.did.append(f"tasks have {within_s:g} s")


def test_the_first_reason_stays() -> None:
    ending = Ending()
    ending.farewell.begin("user_ended")
    ending.farewell.begin("shutdown")
    ending.farewell.over()
    assert ending.did == ["closing user_ended", "closed user_ended", "give back", "row user_ended"]
    [(type_, data)] = ending.told
    assert (type_, data["reason"]) == ("session.closed", "user_ended")


def test_an_open_turn_is_cut_short_with_what_was_heard_of_it() -> None:
    turn = Turn(number=1, id="s1-1", source="voice", started_at=10.0, ended=None)  # type: ignore[arg-type]
    ending = Ending(turn=turn)
    ending.farewell.begin("shutdown")
    assert ending.farewell.begun.is_set()
    assert (turn.heard, ending.did) == ("It is", ["closing shutdown", "interrupted"])


def test_a_failure_is_the_reason_and_is_told_once() -> None:
    ending = Ending()
    ending.farewell.failed(VonadError("internal_error", "a defect"))
    ending.farewell.failed(VonadError("timeout", "what came of it"))
    assert ending.did == ["closing error(internal_error)"]
    assert ending.told == [("error", {"code": "internal_error"})]


@pytest.mark.parametrize(
    ("words", "waits", "said"),
    [
        ("unavailable", False, ["say unavailable"]),
        ("", True, ["say unavailable"]),  # whoever waits for a backend waits for an answer
        ("", False, []),
        (None, True, []),
    ],
)
async def test_what_is_owed_to_whoever_waits_is_said_last(words: str | None, waits: bool, said: list[str]) -> None:
    ending = Ending(waits=waits)
    ending.farewell.begin("backend_finished", words=words)
    await ending.farewell.drain()
    seconds = 3.5 if said else 3.0
    assert ending.did == ["closing backend_finished", *said, "backend has 1 s", f"tasks have {seconds:g} s"]
    assert (ending.line.clears, len(ending.line.sound)) == (1, len(said))


async def test_a_line_that_cannot_be_cleared_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    ending = Ending()

    async def fail() -> None:
        raise VonadError("transport_clear_failed", "it is gone")

    ending.line.clear = fail  # type: ignore[method-assign]
    ending.farewell.begin("transport_closed")
    await ending.farewell.drain()
    assert ending.did[-1] == "tasks have 3 s"
    assert "session s1: the line did not clear" in caplog.text
