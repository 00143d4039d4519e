"""Hearing: the end of a turn, counted in samples."""

from collections.abc import Sequence

import pytest

from vonad.engine import VoiceActivity
from vonad.frame import Frame, Samples, silence
from vonad.plan import Endpointing
from vonad.session.hearing import REMEMBERED, Hearing
from vonad.testing import LoudnessDetector, quiet, speech


def hearing(**limits: float) -> Hearing:
    detector = LoudnessDetector()
    return Hearing(detector.stream(), detector.window, Endpointing(**limits))


def feed(subject: Hearing, *frames: Frame) -> tuple[str | None, float]:
    """The reason, and the seconds of sound after which it came."""
    heard = 0.0
    for frame in frames:
        reason = subject.push(Frame(frame.samples, frame.rate, at=heard))
        heard += frame.seconds
        if reason is not None:
            return reason, heard
    return None, heard


@pytest.mark.parametrize("piece", [0.008, 0.02, 0.032, 0.1, 0.33])
def test_silence_ends_a_turn_whatever_the_length_of_frames(piece: float) -> None:
    frames = [speech(piece)] * round(1.0 / piece) + [quiet(piece)] * round(3.0 / piece)
    reason, after = feed(hearing(silence_s=0.6), *frames)
    assert reason == "silence"
    assert 1.55 <= after <= 1.7 + piece


def test_a_pause_shorter_than_the_silence_ends_nothing() -> None:
    reason, _ = feed(hearing(silence_s=0.6), *[speech(0.1)] * 5, *[quiet(0.1)] * 5, *[speech(0.1)] * 5)
    assert reason is None


def test_silence_from_the_beginning_is_no_speech_and_not_silence() -> None:
    reason, after = feed(hearing(no_speech_s=2.0), *[quiet(0.1)] * 40)
    assert reason == "no_speech"
    assert after == pytest.approx(2.0, abs=0.11)


def test_knocks_are_no_speech_however_many() -> None:
    knocks = [speech(0.064), quiet(0.2)] * 20
    subject = hearing(no_speech_s=2.0)
    assert feed(subject, *knocks)[0] == "no_speech"
    assert not subject.spoke


def test_the_end_of_speech_is_known_to_a_window() -> None:
    subject = hearing()
    feed(subject, *[speech(0.02)] * 50, *[quiet(0.02)] * 20)
    assert subject.speech_end_at == pytest.approx(1.0, abs=0.033)


class Scripted(VoiceActivity):
    def __init__(self, probabilities: list[float]) -> None:
        self._probabilities = iter(probabilities)

    def push(self, samples: Samples) -> Sequence[float]:
        return [next(self._probabilities)]


def test_a_dip_within_speech_is_not_its_end() -> None:
    subject = Hearing(Scripted([0.9] * 10 + [0.4] * 30), 512, Endpointing(silence_s=0.3))
    window = Frame(silence(0.032), 16_000)
    assert [subject.push(window) for _ in range(40)] == [None] * 40


def test_a_murmur_below_the_threshold_begins_no_speech() -> None:
    subject = Hearing(Scripted([0.4] * 40), 512, Endpointing())
    window = Frame(silence(0.032), 16_000)
    for _ in range(40):
        subject.push(window)
    assert not subject.spoke


def test_nobody_who_speaks_is_no_speech_however_short_a_turn_may_be() -> None:
    reason, after = feed(hearing(maximum_s=2.0), *[quiet(0.1)] * 30)
    assert (reason, after) == ("no_speech", pytest.approx(2.0, abs=0.11))


def test_the_sound_of_a_turn_is_kept_only_where_somebody_may_go_on_later() -> None:
    detector = LoudnessDetector()
    frames = [speech(0.02)] * 200
    for keeps, kept in ((False, REMEMBERED), (True, 200)):
        subject = Hearing(detector.stream(), detector.window, Endpointing(), keeps=keeps)
        feed(subject, *frames)
        assert len(subject.sound) == kept
