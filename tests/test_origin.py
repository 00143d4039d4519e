"""The origin of speech over a reply: the user, or the reply's own echo."""

from types import SimpleNamespace

from vonad.backend import BackendCapabilities
from vonad.frame import Samples
from vonad.session.continuation import SETTLE_S, Continuation
from vonad.session.echo import Echo
from vonad.session.origin import ECHO_S, Origin
from vonad.testing import speech

LOUD = speech(0.032).samples
SOFT: Samples = LOUD // 4


class Room:
    """A reply that has been sounding for a while, in a room that nobody has measured."""

    def __init__(self, *, overhears: bool) -> None:
        self.mouth = SimpleNamespace(silent=False, into_ms=2_000, pushed_s=2.0)
        self.remark = SimpleNamespace(meant=False)
        self.turn = SimpleNamespace(heard_out=False, endpoint="silence", continues=False, acted=False)
        self.echo = Echo(6.0)
        self.continuation = Continuation(self.mouth)  # type: ignore[arg-type]
        floor = SimpleNamespace(capabilities=BackendCapabilities(overhears=overhears))
        self._origin = Origin(floor, self.mouth, self.remark, self.echo, self.continuation)  # type: ignore[arg-type]

    def is_user(self, samples: Samples, *, begins: bool = False) -> bool:
        return self._origin.is_user(samples, self.turn, begins=begins)  # type: ignore[arg-type]

    def falls_silent(self) -> None:
        """Long enough ago for any echo."""
        self.mouth.silent = True
        self.continuation.of(self.turn)  # type: ignore[arg-type]
        self.continuation.passed(SETTLE_S)


def test_the_beginning_of_a_reply_measures_its_echo_where_no_words_could_tell() -> None:
    room = Room(overhears=False)
    room.mouth.into_ms = round(ECHO_S * 1000)
    assert not room.is_user(SOFT)
    room.mouth.into_ms += 1
    assert not room.is_user(SOFT)
    assert room.is_user(LOUD)


def test_where_words_can_tell_the_beginning_of_a_reply_may_be_the_user() -> None:
    room = Room(overhears=True)
    room.mouth.into_ms = 0
    assert room.is_user(SOFT)


def test_words_that_mean_something_prove_the_user_however_soft() -> None:
    room = Room(overhears=True)
    room.echo.measure(LOUD)
    assert not room.is_user(SOFT)
    room.remark.meant = True
    assert room.is_user(SOFT)


def test_while_nothing_sounds_it_can_be_nobody_else() -> None:
    room = Room(overhears=True)
    room.echo.measure(LOUD)
    room.falls_silent()
    assert room.is_user(SOFT)
    assert room.continuation.under_way


def test_what_the_room_says_before_a_reply_cancels_no_turn_that_has_acted() -> None:
    room = Room(overhears=False)
    room.falls_silent()
    room.turn.acted = True
    assert not room.is_user(LOUD)


def test_who_went_on_before_the_reply_began_is_still_the_user_until_they_fall_silent() -> None:
    room = Room(overhears=True)
    room.falls_silent()
    assert room.is_user(LOUD)
    room.mouth.silent, room.mouth.pushed_s = False, 2.1
    room.continuation.passed(0.032)
    room.echo.measure(LOUD)
    assert room.is_user(LOUD)
    assert not room.is_user(LOUD, begins=True)
