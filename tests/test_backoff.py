"""Pauses before another attempt."""

from vonad.backoff import Backoff


def test_beluga_error_recovery_pauses_double_up_to_a_limit_and_are_spread() -> None:
    low, high = Backoff(1.0, 30.0, spread=lambda: 0.0), Backoff(1.0, 30.0, spread=lambda: 1.0)
    assert [round(low.next(), 2) for _ in range(7)] == [0.9, 1.8, 3.6, 7.2, 14.4, 27.0, 27.0]
    assert round(high.next(), 2) == 1.1
    low.reset()
    assert round(low.next(), 2) == 0.9
