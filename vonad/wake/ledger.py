"""The ledger: every wake ends here, accepted or refused, with one row and one event, so that the counts add up."""

from vonad.bus import Bus
from vonad.events import Event
from vonad.history import Journal, WakeRecord
from vonad.plan import SATELLITE_ID, Refusal, SessionView, Wake


class Ledger:
    """Records and publishes what became of wakes; it judges none."""

    def __init__(self, bus: Bus, journal: Journal) -> None:
        self._bus = bus
        self._journal = journal

    def accepted(self, wake: Wake, session: SessionView) -> None:
        """A wake opened this session, or took a turn in it."""
        self._journal.wake(_record(wake))
        data = {"id": wake.id, "source": wake.source, "phrase": wake.phrase, "score": wake.score}
        self._bus.publish(Event("wake.accepted", data, wake.satellite, session.session_id, session.conversation_id))

    def refused(self, wake: Wake, refusal: Refusal) -> Refusal:
        """A wake opens nothing; the reason, for whoever asked."""
        self._journal.wake(_record(wake, refusal))
        data = {
            "id": wake.id,
            "source": wake.source,
            "phrase": wake.phrase,
            "reason": refusal.reason,
            "detail": refusal.detail,
        }
        named = wake.satellite if SATELLITE_ID.fullmatch(wake.satellite) else None
        self._bus.publish(Event("wake.refused", data, named))
        return refusal


def _record(wake: Wake, refusal: Refusal | None = None) -> WakeRecord:
    return WakeRecord(
        satellite=wake.satellite,
        source=wake.source,
        phrase=wake.phrase,
        score=wake.score,
        accepted=refusal is None,
        reason=refusal.reason if refusal is not None else "",
        detail=refusal.detail if refusal is not None else "",
    )
