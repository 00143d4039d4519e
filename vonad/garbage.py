"""Garbage: what start-up has made is left alone, and full collections wait until nobody is in a conversation.

A full collection walks every object there is: with all libraries loaded, tens of milliseconds in which no frame moves.
"""

import gc
from collections.abc import Callable

from vonad.clock import Clock

REST_S = 60.0
"""Between looks whether nobody is in a conversation."""

FULL = 1_000
"""Collections of the middle generation before a full one all the same, by default 10: hours, in a busy house."""


async def collect_at_rest(clock: Clock, busy: Callable[[], bool]) -> None:
    """From now on, until cancelled. busy: whether somebody is in a conversation."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds[:2], FULL)
    try:
        while True:
            await clock.sleep(REST_S)
            if not busy():
                gc.collect()
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
