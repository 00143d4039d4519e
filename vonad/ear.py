"""An ear, the one consumer of a line's frames: keeps a little of the past, waits for the wake word, feeds a session."""

from collections import deque
from collections.abc import Callable

from vonad.engine import Detection, WakeStream
from vonad.frame import CAPTURE_RATE, Frame
from vonad.resampling import Resampler
from vonad.session.machine import State
from vonad.session.session import Session
from vonad.transport import Line

CONNECTING_S = 12.0
"""Seconds of sound kept while a session connects: longer than it may take."""

AWAKE = frozenset({State.CREATED, State.CONNECTING, State.INTERRUPTED})
"""States on the way to listening: what is said now is already meant for us."""


class Ear:
    """Dormant, it feeds the detector; while its session listens, the session.

    session:  who is to be fed.
    detected: told of each wake word, after the past up to its end has been forgotten.
    """

    def __init__(
        self, line: Line, *, pre_roll_s: float, detector: WakeStream | None, detected: Callable[[Detection], None]
    ) -> None:
        self.session: Session | None = None
        self._line = line
        self._pre_roll_s = pre_roll_s
        self._detector = detector
        self._detected = detected
        self._past: deque[Frame] = deque()
        self._past_s = 0.0
        self._resampler = Resampler(CAPTURE_RATE)
        self._listened = False

    async def run(self) -> None:
        """Until the satellite goes. Raises transport_recv_failed."""
        async for frame in self._line.frames():
            await self._take(self._resampler.push(frame))

    def past(self) -> tuple[Frame, ...]:
        """What was captured just before now; it is given away once."""
        frames = tuple(self._past)
        self._forget()
        return frames

    async def _take(self, frame: Frame) -> None:
        session = self.session
        if session is not None and session.listening:
            self._listened = True
            await session.hear(frame)
            return
        if self._listened:
            self._listened = False
            self._forget()
            if self._detector is not None:
                self._detector.reset()
        self._remember(frame, CONNECTING_S if session is not None and session.state in AWAKE else self._pre_roll_s)
        if self._detector is not None:
            detection = self._detector.push(frame.samples)
            if detection is not None:
                self._forget()
                self._detected(detection)

    def _remember(self, frame: Frame, seconds: float) -> None:
        self._past.append(frame)
        self._past_s += frame.seconds
        while self._past and self._past_s - self._past[0].seconds >= seconds:
            self._past_s -= self._past.popleft().seconds

    def _forget(self) -> None:
        self._past.clear()
        self._past_s = 0.0
