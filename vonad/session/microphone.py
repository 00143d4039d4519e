"""The microphone: brings a turn's sound to the dialogue, first words included, and tells when the turn is over."""

from collections import deque
from collections.abc import Callable, Iterable

from vonad.engine import VoiceActivityDetector
from vonad.frame import Frame
from vonad.session.floor import Floor
from vonad.session.hearing import Hearing
from vonad.session.machine import State
from vonad.session.turn import Turn

EARLY = 1_000
"""Frames kept while the dialogue takes its turn up: 20 s, longer than it may take."""


class Microphone:
    """Open for one turn at a time.

    detector: tells speech from noise; None when the backend finds the end of a turn itself.
    over:     called once for each turn opened, with the endpoint reason, unless it is closed before.
    """

    def __init__(self, floor: Floor, over: Callable[[Turn, str], None]) -> None:
        self.detector: VoiceActivityDetector | None = None
        self._floor = floor
        self._over = over
        self._hearing: Hearing | None = None
        self._early: deque[Frame] | None = None

    @property
    def spoke(self) -> bool:
        """Whether somebody has spoken in this turn."""
        return self._hearing is not None and self._hearing.spoke

    @property
    def speech_end_at(self) -> float:
        """Monotonic capture time of the end of the last speech; now where nobody measures it."""
        return self._hearing.speech_end_at if self._hearing is not None else self._floor.clock.monotonic()

    def open(self, turn: Turn, pre_roll: Iterable[Frame]) -> None:
        """Hear this turn, beginning with what was captured before."""
        endpointing = self._floor.plan.endpointing
        detector = self.detector
        self._hearing = None if detector is None else Hearing(detector.stream(), detector.window, endpointing)
        self._early = deque(pre_roll, EARLY)
        self._watch(turn, endpointing.no_speech_s)
        self._floor.spawn(self._take_up(turn), "microphone")

    def close(self) -> None:
        """Hear no more of this turn."""
        self._early = None
        self._floor.drop_timer("frames")

    async def hear(self, frame: Frame) -> None:
        """A captured frame, 16 kHz."""
        turn = self._floor.turn
        if turn is None or self._floor.state is not State.LISTENING:
            return
        if self._early is not None:
            self._early.append(frame)
        else:
            await self._hear(turn, frame)

    async def _take_up(self, turn: Turn) -> None:
        floor = self._floor
        assert floor.dialogue is not None
        await floor.dialogue.begin(turn.number, sentences=floor.means.sentences(), history=tuple(floor.exchanges))
        while self._early and floor.turn is turn and floor.state is State.LISTENING:
            await self._hear(turn, self._early.popleft())
        if floor.turn is turn:
            self._early = None

    async def _hear(self, turn: Turn, frame: Frame) -> None:
        reason = self._hearing.push(frame) if self._hearing is not None else None
        if self._floor.dialogue is not None:
            await self._floor.dialogue.hear(frame)
        if reason is not None and self._floor.turn is turn:
            self._over(turn, reason)

    def _watch(self, turn: Turn, sound_s: float) -> None:
        """The samples say when a turn ends; the wall clock only guards against frames that stop coming."""
        passed = self._floor.clock.monotonic() - turn.started_at
        left = sound_s + self._floor.means.limits.missing_frames_s - passed
        self._floor.after("frames", max(0.0, left), lambda: self._missing(turn))

    def _missing(self, turn: Turn) -> None:
        if self._floor.turn is not turn or self._floor.state is not State.LISTENING:
            return
        maximum = self._floor.plan.endpointing.maximum_s
        if not self.spoke:
            self._over(turn, "no_speech")
        elif self._floor.clock.monotonic() - turn.started_at < maximum:
            self._watch(turn, maximum)
        else:
            self._over(turn, "max_length")
