"""The opening of a session: a backend and ears in time, or another backend, or a reason."""

from types import SimpleNamespace

import pytest

from vonad.errors import VonadError
from vonad.session.machine import State, Trigger
from vonad.session.opening import Opening
from vonad.testing import ManualClock

LOST = VonadError("backend_start_failed", "it fell over")


class Start:
    """A session that connects, to `others` besides its first backend. `did` is what came of it, in order."""

    def __init__(self, *, others: tuple[str, ...] = (), wanted: bool = True) -> None:
        self.did: list[object] = []
        self.clock = ManualClock()
        self.trouble: VonadError | None = None
        self.deaf = False
        self.ends_in = State.CONNECTING
        self.floor = SimpleNamespace(
            clock=self.clock,
            state=State.CONNECTING,
            over=False,
            backend="first",
            means=SimpleNamespace(limits=SimpleNamespace(connecting_s=10.0)),
            tell_error=lambda error, op: self.did.append(f"{op}: {error.code}"),
        )
        handover = SimpleNamespace(
            chain=SimpleNamespace(open=self._open, next=lambda *, but: list(others)),
            detectors=SimpleNamespace(ready=self._ready),
            fallback=SimpleNamespace(
                begin=lambda reason, error: self.did.append(f"fall back: {error.code}") or wanted,
                reason=lambda backend, error: f"error({error.code})",
            ),
        )
        self._opening = Opening(
            self.floor,  # type: ignore[arg-type]
            handover,  # type: ignore[arg-type]
            begin=self.did.append,
            close=lambda reason, words: self.did.append(f"close {reason}, {words}"),
        )

    async def run(self) -> list[object]:
        await self._opening.run()
        return self.did

    async def _open(self, within_s: float, *, most: int) -> None:
        assert (within_s, most) == (10.0, 1)
        if self.trouble is not None:
            self.floor.state = self.ends_in
            raise self.trouble

    async def _ready(self) -> None:
        if self.deaf:
            raise TimeoutError
        self.floor.state = self.ends_in


async def test_with_a_backend_and_ears_it_does_what_it_was_opened_for() -> None:
    assert await Start().run() == [Trigger.READY]


async def test_a_backend_that_is_lost_again_before_the_session_can_hear_begins_nothing() -> None:
    start = Start()
    start.ends_in = State.FALLING_BACK
    assert await start.run() == []


async def test_without_its_first_backend_it_asks_the_next_one() -> None:
    start = Start(others=("second",))
    start.trouble = LOST
    assert await start.run() == ["fall back: backend_start_failed"]


@pytest.mark.parametrize(("others", "asked"), [((), []), (("second",), ["fall back: backend_start_failed"])])
async def test_with_no_other_backend_or_none_that_is_wanted_it_ends_with_a_reason_and_a_word(
    others: tuple[str, ...], asked: list[str]
) -> None:
    start = Start(others=others, wanted=False)
    start.trouble = LOST
    ended = ["session: backend_start_failed", "close error(backend_start_failed), unavailable"]
    assert await start.run() == [*asked, *ended]


async def test_what_it_hears_with_comes_in_time_or_the_session_says_what_was_missing() -> None:
    start = Start()
    start.deaf = True
    assert await start.run() == ["session: timeout", "close error(timeout), unavailable"]


async def test_a_session_that_has_moved_on_meanwhile_is_left_alone() -> None:
    start = Start()
    start.trouble, start.ends_in = LOST, State.CLOSING
    assert await start.run() == []
