"""For tests of plugins, and of vonad itself: stand-ins that keep the contracts' promises."""

from vonad.testing.clock import ManualClock as ManualClock

__all__ = ["ManualClock"]
