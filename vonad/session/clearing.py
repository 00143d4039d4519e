"""Clearing: a satellite throws away what it was given and nobody has heard yet."""

import logging

from vonad.errors import VonadError
from vonad.session.floor import Floor

log = logging.getLogger(__name__)


def hush(floor: Floor) -> None:
    """Now, before anything else, as far as the line can; `clear` is to follow."""
    line = floor.line
    if line is not None:
        try:
            line.hush()
        except Exception:  # a defect of the transport's: it is cleared all the same
            log.exception("satellite %s could not fall silent at once", line.satellite)


async def clear(floor: Floor) -> bool:
    """Whether it did, in time; that it did not is told as an error."""
    line = floor.line
    if line is None:
        return True
    try:
        async with floor.clock.deadline(floor.means.limits.flush_s):
            await line.clear()
    except (TimeoutError, VonadError) as error:
        why = error if isinstance(error, VonadError) else f"not within {floor.means.limits.flush_s:g} s"
        message = f"satellite {line.satellite} did not clear the reply: {why}"
        floor.tell_error(VonadError("transport_clear_failed", message, op="clear"), "clear")
        return False
    return True
