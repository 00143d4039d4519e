"""The gate: every reason to refuse a wake that it knows, and nothing refused without one."""

from datetime import UTC, datetime, timedelta

import pytest

from vonad.plan import Wake
from vonad.testing import ManualClock
from vonad.wake.gate import Gate


def gate(clock: ManualClock, *, turns: int = 30, after: Gate | None = None) -> Gate:
    return Gate(clock, max_age_s=10.0, cooldown_s=2.0, turns_per_minute=turns, after=after)


def wake(**more: object) -> Wake:
    return Wake(**{"satellite": "desk", "source": "mqtt", "at": 0.0, **more})  # type: ignore[arg-type]


def reason(subject: Gate, asked: Wake, speaking: str = "") -> str | None:
    refusal = subject.check(asked, speaking=speaking)
    return None if refusal is None else refusal.reason


def test_a_plain_wake_passes() -> None:
    assert reason(gate(ManualClock()), wake()) is None


def test_a_retained_wake_never_opens_a_microphone() -> None:
    assert reason(gate(ManualClock()), wake(retained=True)) == "retained"


@pytest.mark.parametrize(("age_s", "expected"), [(9.9, None), (10.1, "stale"), (-4.9, None), (-5.1, "stale")])
def test_a_wake_is_as_fresh_as_its_clock_says(age_s: float, expected: str | None) -> None:
    clock = ManualClock()
    assert reason(gate(clock), wake(ts=clock.now() - timedelta(seconds=age_s))) == expected


def test_the_refusal_of_a_stale_wake_names_both_clocks() -> None:
    clock = ManualClock(datetime(2026, 5, 1, 12, 0, tzinfo=UTC))
    refusal = gate(clock).check(wake(ts=datetime(2026, 5, 1, 11, 0, tzinfo=UTC)))
    assert refusal is not None
    assert "2026-05-01T11:00:00" in refusal.detail
    assert "2026-05-01T12:00:00" in refusal.detail


def test_a_wake_may_bring_its_own_expiry_and_its_own_age() -> None:
    clock = ManualClock()
    assert reason(gate(clock), wake(ts=clock.now() - timedelta(seconds=3), expires_s=2)) == "stale"
    assert reason(gate(clock), wake(age_ms=3000, expires_s=2)) == "stale"
    assert reason(gate(clock), wake(age_ms=3000)) is None


def test_a_clock_that_was_never_set_judges_nobody() -> None:
    clock = ManualClock(datetime(1970, 1, 1, tzinfo=UTC))
    assert reason(gate(clock), wake(ts=datetime(2026, 11, 1, tzinfo=UTC))) is None


async def test_an_id_is_a_duplicate_for_a_minute() -> None:
    clock = ManualClock()
    subject = gate(clock)
    assert reason(subject, wake(id="a")) is None
    assert reason(subject, wake(id="a")) == "duplicate"
    await clock.advance(61)
    assert reason(subject, wake(id="a")) is None


async def test_more_turns_than_a_minute_allows_are_refused() -> None:
    clock = ManualClock()
    subject = gate(clock, turns=2)
    for _ in range(2):
        assert reason(subject, wake()) is None
        subject.count("desk")
    assert reason(subject, wake()) == "rate"
    assert reason(subject, wake(satellite="kitchen")) is None
    await clock.advance(61)
    assert reason(subject, wake()) is None


async def test_the_cooldown_holds_detectors_and_nobody_who_asked() -> None:
    clock = ManualClock()
    subject = gate(clock)
    subject.rested("desk")
    await clock.advance(1.0)
    assert reason(subject, wake(phrase="okay_nabu")) == "cooldown"
    assert reason(subject, wake()) is None
    await clock.advance(1.1)
    assert reason(subject, wake(phrase="okay_nabu")) is None


def test_a_detector_that_hears_us_say_the_word_is_no_wake() -> None:
    subject = gate(ManualClock())
    assert reason(subject, wake(phrase="okay_nabu"), speaking="Just say: Okay, Nabu!") == "playback"
    assert reason(subject, wake(phrase="okay_nabu"), speaking="It is noon.") is None
    assert reason(subject, wake(), speaking="okay nabu") is None


def test_new_settings_do_not_forget_what_was_seen() -> None:
    clock = ManualClock()
    old = gate(clock)
    old.check(wake(id="a"))
    assert reason(gate(clock, after=old), wake(id="a")) == "duplicate"
