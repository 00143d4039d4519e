"""The overlap: who speaks over the assistant, or right behind it, takes the floor, and is not always to be answered."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from vonad.frame import Frame
from vonad.plan import Plan
from vonad.session.machine import Trigger
from vonad.session.overlap import Overlap
from vonad.testing import speech

FIRST, THEN = speech(0.1), speech(0.2)


class Talk:
    """A reply that plays, and somebody in the room.

    did: what came of it, in order: whom the reply yielded to, and the sound that the next turn began with.
    """

    def __init__(self, *, source: str = "voice", said: tuple[Frame, ...] = (FIRST,)) -> None:
        self.did: list[object] = []
        self.turn = SimpleNamespace(
            source=source, barged="", transcript="", acted=False, resaid=False, continues=False, started_at=10.0
        )
        self.turn.asked_at = 10.1
        self.floor = SimpleNamespace(
            plan=Plan(satellite="desk", backends=("b",)),
            turn=self.turn,
            last_reply="Do you want the news?",
            means=SimpleNamespace(limits=SimpleNamespace(reopen_s=0.3)),
        )
        microphone = SimpleNamespace(said=said, began=lambda: self.did.append("heard"))
        self.overlap = Overlap(self.floor, None, None, microphone, listen=self._listen)  # type: ignore[arg-type]
        self.overlap.interrupt = self._interrupt

    def speak(self, *, goes_on: bool = False, source: str = "speech") -> None:
        """As the barge-in tells it."""
        self.overlap.barge_in.went_on = goes_on
        self.overlap.barge_in._interrupt(source, (THEN,))

    def wants_quiet(self, text: str) -> bool:
        return self.overlap.wants_quiet(self.turn, text)  # type: ignore[arg-type]

    def _interrupt(self, source: str, act: Callable[[Trigger], object]) -> None:
        self.did.append(source)
        self.floor.turn = SimpleNamespace(barged="", continues=False)
        act(Trigger.FLUSHED)

    def _listen(self, trigger: Trigger, past: tuple[Frame, ...] | None) -> None:
        self.did.append(past)


def test_who_interrupts_is_heard_from_their_first_word_on() -> None:
    talk = Talk()
    talk.speak(source="stop_word")
    assert talk.did == ["stop_word", (THEN,)]
    assert (talk.floor.turn.barged, talk.floor.turn.continues, talk.turn.resaid) == ("stop_word", False, False)


def test_who_goes_on_with_their_words_is_heard_from_the_words_that_they_go_on_with() -> None:
    talk = Talk()
    talk.speak(goes_on=True)
    assert talk.did == ["speech", (FIRST, THEN)]
    assert (talk.floor.turn.continues, talk.turn.resaid) == (True, True)


def test_words_that_have_been_acted_upon_are_not_said_again() -> None:
    talk = Talk()
    talk.turn.acted = True
    talk.speak(goes_on=True)
    assert (talk.did, talk.turn.resaid) == (["speech", (THEN,)], False)


def test_a_backend_that_hears_somebody_interrupts_only_what_may_be_interrupted() -> None:
    talk = Talk()
    assert not talk.overlap.began()
    assert talk.did == ["heard"]


@pytest.mark.parametrize(("text", "quiet"), [("do you want the news", True), ("the weather please", False)])
def test_a_follow_up_that_begins_with_our_own_words_is_no_question(text: str, quiet: bool) -> None:
    talk = Talk(source="follow_up")
    assert talk.wants_quiet(text) is quiet
    assert (talk.turn.transcript is None) is quiet


def test_our_own_words_long_after_we_said_them_are_the_user_s() -> None:
    talk = Talk(source="follow_up")
    talk.turn.asked_at = 11.0
    assert not talk.wants_quiet("do you want the news")


def test_stop_is_answered_by_quiet_only_where_there_was_something_to_stop() -> None:
    talk = Talk()
    assert not talk.wants_quiet("stop")
    talk.turn.barged = "speech"
    assert talk.wants_quiet("stop")
    assert not talk.wants_quiet("stop the washing machine")


def test_who_may_have_spoken_and_said_nothing_is_not_asked_to_repeat_it() -> None:
    talk = Talk()
    assert not talk.wants_quiet("")
    talk.turn.barged = "unsure"
    assert talk.wants_quiet("")
