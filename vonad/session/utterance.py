"""An Utterance: one turn's right to speak on a line. Taken away, nothing of that turn can be heard any more."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.resampling import Resampler
from vonad.transport import Line

QUEUE = 4_000
"""Frames that wait for the line: over a minute of a fast voice, so that a backend's other words are not held up."""

DRAIN_MARGIN_S = 5.0
"""How much longer than its sound a line may take to confirm that it has played it."""


@dataclass(slots=True)
class _Sentence:
    text: str
    begin_s: float
    end_s: float


class Utterance:
    """Takes frames and the texts they speak, plays them in order, and knows what was heard.

    started:  called when the first sample that is no filler is handed to the line.
    pushed_s: seconds of sound handed to the line.
    """

    def __init__(self, line: Line, turn: int, clock: Clock, started: Callable[[], None]) -> None:
        self.turn = turn
        self.sounded = False
        self.ended = False
        self.pushed_s = 0.0
        self._line = line
        self._clock = clock
        self._started = started
        self._queue: asyncio.Queue[Frame | str | None] = asyncio.Queue(QUEUE)
        self._resampler = Resampler(line.capabilities.playback_rate)
        self._sentences: list[_Sentence] = []
        self._begun_at: float | None = None
        self._played_before = line.played
        self._finished = False

    async def put(self, frame: Frame) -> None:
        """Queue sound; waits while too much is waiting already."""
        await self._queue.put(frame)

    async def sentence(self, text: str) -> None:
        """The frames that follow speak this text."""
        await self._queue.put(text)

    async def end(self) -> None:
        """Nothing more comes: `run` returns when all has been heard."""
        self.ended = True
        await self._queue.put(None)

    @property
    def played_s(self) -> float:
        """Seconds of it that have been heard."""
        if self._finished:
            return self.pushed_s
        if self._line.capabilities.position:
            played = self._line.played - self._played_before
        elif self._begun_at is None:
            played = 0.0
        else:
            played = self._clock.monotonic() - self._begun_at
        return max(0.0, min(played, self.pushed_s))

    def heard(self) -> str:
        """The whole sentences that were heard, and of the current one the whole words in proportion to its sound."""
        played = self.played_s
        words: list[str] = []
        for sentence in self._sentences:
            if sentence.end_s <= played and (self._finished or sentence is not self._sentences[-1]):
                words.append(sentence.text)
                continue
            length = sentence.end_s - sentence.begin_s
            share = min(1.0, (played - sentence.begin_s) / length) if length > 0 else 0.0
            split = sentence.text.split()
            words += split[: int(len(split) * max(0.0, share))]
            break
        return " ".join(words)

    async def run(self) -> None:
        """Play until the end, and until the line confirms that it was heard. Raises transport_send_failed."""
        while (item := await self._queue.get()) is not None:
            if isinstance(item, str):
                self._sentences.append(_Sentence(item, self.pushed_s, self.pushed_s))
            else:
                await self._play(self._resampler.push(item))
        rest = self._resampler.flush()
        if len(rest):
            await self._play(Frame(rest, self._resampler.rate, turn=self.turn))
        if self._begun_at is None:
            return
        left = self.pushed_s - self.played_s
        try:
            async with self._clock.deadline(left + DRAIN_MARGIN_S):
                await self._line.drained()
        except TimeoutError:
            raise VonadError(
                "transport_send_failed",
                f"satellite {self._line.satellite} did not confirm within {left + DRAIN_MARGIN_S:.0f} s that it played "
                f"{self.pushed_s:.1f} s of sound",
                op="play",
            ) from None
        self._finished = True

    async def _play(self, frame: Frame) -> None:
        if not len(frame.samples):
            return
        if self._begun_at is None:
            self._begun_at = self._clock.monotonic()
        await self._line.play(frame)
        self.pushed_s += frame.seconds
        if self._sentences:
            self._sentences[-1].end_s = self.pushed_s
        if not self.sounded and not frame.filler:
            self.sounded = True
            self._started()
