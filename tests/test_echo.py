"""The assistant's own voice in its microphone: told from the user's by its words and by its loudness."""

import numpy as np
import pytest

from vonad.frame import Samples
from vonad.session.echo import QUIETEST_DB, TAIL_S, Echo, loudness_db, repeats
from vonad.session.words import words

REPLY = "It's twelve o'clock. Do you want to hear the news, or the weather?"


def sound(level: float, seconds: float = 0.032) -> Samples:
    """Noise of this amplitude, 0 to 1."""
    noise = np.random.default_rng(7).uniform(-1, 1, round(seconds * 16_000))
    return (noise * level * 32767).astype(np.int16)


def test_words_are_compared_without_case_punctuation_and_apostrophes() -> None:
    assert words("It's TWELVE o\u2019clock!") == ("its", "twelve", "oclock")
    assert words(" … ") == ()


@pytest.mark.parametrize(
    "text",
    [
        "twelve o'clock do you want",  # contained
        "its twelve oclock do you went to hear",  # nearly: a recogniser hears an echo badly
        REPLY,
    ],
)
def test_what_repeats_our_words_is_ours(text: str) -> None:
    assert repeats(text, REPLY)


@pytest.mark.parametrize("text", ["turn on the lamp", "the news about the weather please", "stop", ""])
def test_other_words_are_the_users(text: str) -> None:
    assert not repeats(text, REPLY)


def test_nothing_repeats_a_reply_without_words() -> None:
    assert not repeats("turn on the lamp", "")


def test_words_longer_than_the_reply_are_compared_with_all_of_it() -> None:
    assert repeats("sorry i did not get that then", "Sorry, I did not get that.")
    assert not repeats("sorry i did not get that but turn on the lamp", "Sorry, I did not get that.")


def test_an_answer_in_our_own_words_is_believed_once_an_echo_would_have_died_away() -> None:
    echo = Echo(6.0)
    assert echo.own("the weather", REPLY)
    assert echo.own("the weather", REPLY, after_s=TAIL_S - 0.1)
    assert not echo.own("the weather", REPLY, after_s=TAIL_S + 0.1)


def test_loudness_is_in_decibels_below_full_scale() -> None:
    full = np.full(512, 32767, dtype=np.int16)
    assert loudness_db(full) == pytest.approx(0.0, abs=0.01)
    assert loudness_db(full // 2) == pytest.approx(-6.02, abs=0.01)
    assert loudness_db(np.zeros(512, dtype=np.int16)) == QUIETEST_DB
    assert loudness_db(np.zeros(0, dtype=np.int16)) == QUIETEST_DB


def test_without_any_echo_even_soft_speech_is_the_users() -> None:
    assert Echo(6.0).louder(sound(0.01))


def test_with_an_echo_only_what_is_louder_by_the_margin_is_the_users() -> None:
    echo = Echo(6.0)
    echo.measure(sound(0.05))
    assert not echo.louder(sound(0.05))
    assert not echo.louder(sound(0.09))
    assert echo.louder(sound(0.15))


def test_a_voice_that_rises_is_not_taken_for_an_echo_that_rises() -> None:
    echo = Echo(6.0)
    echo.measure(sound(0.05))
    onset = [echo.louder(sound(0.05 * 1.6**step)) for step in range(8)]  # 4 dB more every 32 ms
    assert onset[0] is False
    assert onset[-4:] == [True] * 4


def test_speech_that_turns_out_to_be_ours_is_the_measure_from_then_on() -> None:
    echo = Echo(6.0)
    assert echo.louder(sound(0.2))
    echo.was_ours()
    assert not echo.louder(sound(0.2))
    assert echo.louder(sound(0.5))


def test_speech_that_was_not_ours_changes_no_measure() -> None:
    echo = Echo(6.0)
    echo.louder(sound(0.2))
    echo.forget()
    echo.was_ours()
    assert echo.louder(sound(0.01))
