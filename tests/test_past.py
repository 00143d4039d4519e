"""The past: what is kept of what was captured."""

import pytest

from vonad.session.past import Past
from vonad.testing import speech


def test_a_frame_that_is_partly_older_is_kept_whole() -> None:
    past = Past()
    frames = [speech(0.2) for _ in range(5)]
    for frame in frames:
        past.keep(frame, 0.5)
    assert list(past.frames) == frames[2:]
    assert past.seconds == pytest.approx(0.6)


def test_all_is_kept_where_nobody_says_how_much_until_somebody_does() -> None:
    past = Past()
    for _ in range(100):
        past.keep(speech(0.125))
    assert past.seconds == pytest.approx(12.5)
    past.only(0.5)
    assert past.seconds == pytest.approx(0.5)
    past.clear()
    assert (list(past.frames), past.seconds) == ([], 0.0)
