"""Retention: what is older than its days goes, once a day; never because a clock jumped."""

import logging
from datetime import timedelta

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.history import queries
from vonad.history.deletion import Deletion, Which
from vonad.history.reader import Reader
from vonad.history.records import moment

log = logging.getLogger(__name__)

DAY_S = 86_400.0
PATIENCE_S = 3_600.0
"""After a start whose date cannot be explained: time enough for the clock to be set over the network."""


class Retention:
    """Deletes turns older than `days`.

    The calendar is believed as long as it moves as the monotonic clock does, within a day. At the start there is only
    the newest row to compare it with: a machine that was off for a week looks the same as one with a wrong clock, so
    an hour of agreement is asked for.
    """

    def __init__(self, days: int, deletion: Deletion, reader: Reader, clock: Clock) -> None:
        self._days = days
        self._deletion = deletion
        self._reader = reader
        self._clock = clock

    async def run(self) -> None:
        """The retention's task."""
        pause = PATIENCE_S if await self._begins_in_doubt() else 0.0
        while True:
            jumped = await self._wait(pause)
            pause = DAY_S
            if abs(jumped) > DAY_S:
                log.warning("history: the date jumped by %.1f days: nothing is deleted for a day", jumped / DAY_S)
                continue
            try:
                await self._expire()
            except VonadError as error:
                log.warning("history: what is older than %d days was not deleted: %s", self._days, error.message)

    async def _begins_in_doubt(self) -> bool:
        try:
            newest = await self._reader.read(queries.newest)
        except VonadError:
            return True
        return newest is not None and moment(self._clock.now()) - newest > DAY_S * 1000

    async def _wait(self, seconds: float) -> float:
        """Wait; by how many seconds the calendar moved more than time passed."""
        monotonic, calendar = self._clock.monotonic(), self._clock.now()
        if seconds:
            await self._clock.sleep(seconds)
        passed = self._clock.monotonic() - monotonic
        return (self._clock.now() - calendar).total_seconds() - passed

    async def _expire(self) -> None:
        limit = moment(self._clock.now() - timedelta(days=self._days))
        if not await self._reader.read(lambda connection: queries.anything_before(connection, limit)):
            return
        count = await self._deletion.run(Which(before=limit, ended=True), asked=False)
        log.info("history: %d turns older than %d days were deleted", count, self._days)
