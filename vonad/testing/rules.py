"""What fakes hold those to who call them: a broken rule fails the test with the rule's own words."""

from vonad.frame import CAPTURE_RATE, Frame


def rule(kept: bool, words: str) -> None:  # noqa: FBT001  (reads like an assertion)
    """Raises AssertionError with the rule when it is not kept."""
    if not kept:
        raise AssertionError(words)


def captured(frame: Frame, where: str) -> None:
    """Sound on its way to an engine: 16 kHz, of no turn, no filler."""
    rule(frame.rate == CAPTURE_RATE, f"{where} takes frames of {CAPTURE_RATE} Hz: got {frame.rate} Hz")
    rule(not frame.filler, f"{where} takes captured sound: got a filler")
