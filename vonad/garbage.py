"""Garbage: what start-up has made is left alone, and full collections wait until nobody is in a conversation.

A full collection walks every object there is: with all libraries loaded, tens of milliseconds in which no frame moves.
The parts of a session refer to each other, so that one that is over waits for a collection; shorter ones stop the loop
more often, and each time for less.
"""

import gc
from collections.abc import Callable

from vonad.clock import Clock

REST_S = 60.0
"""Between looks whether nobody is in a conversation."""

MIDDLE = 1
"""Collections of the youngest generation before one of the middle, by default 10: what has come since is walked once
all the same, but 0.25 ms at a time instead of 0.7 where sessions come and go."""

FULL = 5_000
"""Collections of the middle generation before a full one all the same, by default 10: hours, in a busy house."""


async def collect_at_rest(clock: Clock, busy: Callable[[], bool]) -> None:
    """From now on, until cancelled. busy: whether somebody is in a conversation."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(thresholds[0], MIDDLE, FULL)
    try:
        while True:
            await clock.sleep(REST_S)
            if not busy():
                gc.collect()
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
