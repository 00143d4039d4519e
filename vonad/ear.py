"""An ear, the one consumer of a line's frames: keeps a little of the past, waits for the wake word, feeds a session."""

import logging
from collections.abc import Callable

from vonad.engine import Detection, WakeStream
from vonad.frame import CAPTURE_RATE, Frame
from vonad.resampling import Resampler
from vonad.session.interruption import ANSWERING
from vonad.session.machine import State
from vonad.session.past import Past
from vonad.session.session import Session
from vonad.transport import Line

log = logging.getLogger(__name__)

CONNECTING_S = 12.0
"""Seconds of sound kept while a session is about to listen: longer than that may take."""


class Ear:
    """Dormant, it feeds the detector; while its session listens, the session; while that answers, both.

    session:  who is to be fed.
    detected: told of each wake word, after the past up to its end has been forgotten.
    stopped:  told of each stop word, which is waited for only while the session answers.
    broken:   told what a detector raised: that one is not asked again.
    """

    def __init__(
        self,
        line: Line,
        *,
        pre_roll_s: float,
        detected: Callable[[Detection], None],
        stopped: Callable[[Detection], None] = lambda found: None,
    ) -> None:
        self.session: Session | None = None
        self._line = line
        self._pre_roll_s = pre_roll_s
        self.broken: Callable[[Exception], None] = lambda error: None
        self._detector: WakeStream | None = None
        self._detected = detected
        self._stop: WakeStream | None = None
        self._stopped = stopped
        self._past = Past()
        self._resampler = Resampler(CAPTURE_RATE)
        self._listened = False
        self._answered = False

    async def run(self) -> None:
        """Until the satellite goes. Raises transport_recv_failed."""
        async for captured in self._line.frames():
            frame = captured if captured.rate == CAPTURE_RATE else self._resampler.push(captured)
            session = self.session
            if session is not None and session.listening:  # the way that is short for most frames that are meant for us
                self._listened = True
                await session.hear(frame)
            else:
                await self._take(frame)

    def fit(self, detector: WakeStream | None, stop: WakeStream | None) -> None:
        """Wait with these from now on; None: for nothing."""
        self._detector, self._stop = detector, stop

    def past(self) -> tuple[Frame, ...]:
        """What was captured just before now; it is given away once."""
        frames = tuple(self._past.frames)
        self._past.clear()
        return frames

    async def _take(self, frame: Frame) -> None:
        session = self.session
        answering = session is not None and session.state in ANSWERING
        if session is not None and session.attentive and not answering:
            self._listened = True
            await session.hear(frame)
            return
        listened, self._listened = self._listened, False
        if listened:
            self._past.clear()
        meant = session is not None and (session.awake or session.state is State.INTERRUPTED)
        self._past.keep(frame, CONNECTING_S if meant else self._pre_roll_s)
        if session is not None and session.attentive:
            await session.hear(frame)  # a wake may still interrupt: what was captured before it stays known here too
        answered, self._answered = self._answered, answering
        if self._detector is not None:
            detection = self._spot(self._detector, frame, anew=listened)
            if detection is not None:
                self._past.clear()
                self._tell(self._detected, detection)
        if self._stop is not None and answering:
            detection = self._spot(self._stop, frame, anew=not answered)
            if detection is not None:
                self._tell(self._stopped, detection)

    def _spot(self, stream: WakeStream, frame: Frame, *, anew: bool) -> Detection | None:
        """Whether its word is in there. anew: what it heard before is to be forgotten."""
        try:
            if anew:
                stream.reset()
            return stream.push(frame.samples)
        except Exception as error:  # a defect of the engine's must not take the satellite off the air
            log.debug("satellite %s: a wake word detector failed", self._line.satellite, exc_info=True)
            if stream is self._detector:
                self._detector = None
            else:
                self._stop = None
            self.broken(error)
            return None

    def _tell(self, who: Callable[[Detection], None], detection: Detection) -> None:
        """What comes of a word must not deafen the satellite: its line goes on, whatever is raised."""
        try:
            who(detection)
        except Exception:  # a defect
            log.exception("satellite %s: %r was heard, and came to nothing", self._line.satellite, detection.phrase)
