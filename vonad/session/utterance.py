"""An Utterance: one turn's right to speak on a line. Taken away, nothing of that turn can be heard any more."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.frame import Frame, Samples
from vonad.mailbox import Mailbox
from vonad.resampling import Resampler
from vonad.transport import Line

QUEUE = 4_000
"""Frames that wait for the line: over a minute of a fast voice, so that a backend's other words are not held up."""

DRAIN_MARGIN_S = 5.0
"""How much longer than its sound a line may take to confirm that it has played it."""


DUCKED = 0.25
"""What is left of a reply's loudness while somebody may be interrupting it: 12 dB less."""

RAMP_S = 0.03
"""How long it takes to grow quieter, or loud again: a step would click."""


HAIR = 1e-3
"""Of a sample: what binary fractions of seconds lose."""

PIECE_S = 0.1
"""Longer frames are handed over in pieces: whatever happens while one waits for room holds from the next on."""


@dataclass(slots=True)
class _Sentence:
    """begin, end: where its sound lies in the samples handed to the line; the same while it has none."""

    text: str
    begin: int
    end: int


class Utterance:
    """Takes frames and the texts they speak, plays them in order, and knows what was heard.

    Fillers are played until the first sound of the reply is there, and are no part of it: they are never heard text,
    and those that wait then are thrown away.

    started:  called when the first sample that is no filler is handed to the line; again for the first after `waits`.
    sounded:  whether that has happened.
    """

    def __init__(self, line: Line, turn: int, clock: Clock, started: Callable[[], None]) -> None:
        self.turn = turn
        self.sounded = False
        self.ended = False
        self._told = False
        self._line = line
        self._rate = line.capabilities.playback_rate
        self._pushed = 0
        self._filled = 0
        self._clock = clock
        self._started = started
        self._queue: Mailbox[Frame | str] = Mailbox(QUEUE)
        self._piece = round(PIECE_S * self._rate)
        self._volume: Volume | None = None
        self._resampler = Resampler(self._rate)
        self._replied = False
        self._bridging = False
        self._sentences: list[_Sentence] = []
        self._begun_at: float | None = None
        self._played_before = 0.0
        self._finished = False
        self._abandoned = False

    async def put(self, frame: Frame) -> None:
        """Queue sound; waits while too much is waiting already."""
        if not frame.filler:
            self._replied = True
        await self._queue.deliver(frame)

    async def sentence(self, text: str) -> None:
        """The frames that follow speak this text."""
        await self._queue.deliver(text)

    def end(self) -> None:
        """Nothing more comes: `run` returns when all has been heard."""
        self.ended = True
        self._queue.close()

    def waits(self) -> None:
        """It has fallen silent, and more is to come."""
        self._told = False

    def abandon(self) -> None:
        """Nobody is to hear more of it: what waits is thrown away, as is what comes, and whoever waited may go on."""
        if not self._abandoned:
            self._abandoned = True
            self._clock.soon(self._empty)  # behind the silence that somebody waits for

    def _empty(self) -> None:
        self._queue.close()
        self._queue.clear()

    def duck(self, *, on: bool) -> None:
        """Play what is not handed to the line yet more quietly, or loud again."""
        if self._volume is None:
            self._volume = Volume(self._rate)
        self._volume.target = DUCKED if on else 1.0

    @property
    def spoken(self) -> str:
        """The sentences whose sound has begun to be handed to the line."""
        return " ".join(sentence.text for sentence in self._sentences)

    @property
    def pushed_s(self) -> float:
        """Seconds of sound handed to the line, fillers included."""
        return self._pushed / self._rate

    @property
    def played_s(self) -> float:
        """Seconds of it that have been heard."""
        if self._finished:
            return self.pushed_s
        if self._begun_at is None:
            played = 0.0
        elif self._line.capabilities.position:
            played = self._line.played - self._played_before
        else:
            played = self._clock.monotonic() - self._begun_at
        pushed = self.pushed_s
        return max(0.0, played) if played < pushed - HAIR / self._rate else pushed

    @property
    def reply_s(self) -> float:
        """Seconds of the reply that have been heard: no filler counts."""
        return max(0.0, self.played_s - self._filled / self._rate)

    def heard(self) -> str:
        """The whole sentences that were heard, and of the current one the whole words in proportion to its sound."""
        if not self.sounded:
            return ""
        played = self.played_s * self._rate + HAIR
        words: list[str] = []
        for sentence in self._sentences:
            if sentence.end <= played and (self._finished or sentence is not self._sentences[-1]):
                words.append(sentence.text)
                continue
            length = sentence.end - sentence.begin
            share = min(1.0, (played - sentence.begin) / length) if length else 0.0
            split = sentence.text.split()
            words += split[: int(len(split) * max(0.0, share))]
            break
        return " ".join(words)

    async def run(self) -> None:
        """Play until the end, and until the line confirms that it was heard. Raises transport_send_failed."""
        async for item in self._queue:
            if self._abandoned:
                return
            if isinstance(item, str):
                self._begin(item)
            elif not item.filler:
                if self._bridging:
                    self._bridging = False
                    self._resampler = Resampler(self._rate)  # what it still holds is filler
                await self._play(item)
            elif not self._replied:
                self._bridging = True
                await self._play(item)
        if self._abandoned:
            return
        rest = self._resampler.flush()
        if len(rest):
            await self._play(Frame(rest, self._rate, turn=self.turn))
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

    def _begin(self, text: str) -> None:
        """A text that is followed by another before any sound is spoken by the same sound as that one."""
        last = self._sentences[-1] if self._sentences else None
        if last is not None and last.begin == last.end:
            last.text = f"{last.text} {text}"
        else:
            self._sentences.append(_Sentence(text, self._pushed, self._pushed))

    async def _play(self, frame: Frame) -> None:
        if frame.rate != self._rate:
            frame = self._resampler.push(frame)
        samples = frame.samples
        if len(samples) <= self._piece:
            await self._hand_over(frame)
            return
        for start in range(0, len(samples), self._piece):
            if self._abandoned or (frame.filler and self._replied):
                return
            piece = samples[start : start + self._piece]
            await self._hand_over(Frame(piece, frame.rate, frame.at, frame.turn, frame.filler))

    async def _hand_over(self, frame: Frame) -> None:
        count = len(frame.samples)
        if not count:
            return
        if self._begun_at is None:
            self._begun_at = self._clock.monotonic()
            if self._line.capabilities.position:
                self._played_before = self._line.played
        if self._volume is not None and not self._volume.full:
            frame = Frame(self._volume.scale(frame.samples), frame.rate, frame.at, frame.turn, frame.filler)
        await self._line.play(frame)
        self._pushed += count
        if frame.filler:
            self._filled += count
        if self._sentences:
            sentence = self._sentences[-1]
            sentence.end = self._pushed
            if frame.filler:  # it came between a text and its sound
                sentence.begin = self._pushed
        if not self._told and not frame.filler:
            self._told = self.sounded = True
            self._started()


class Volume:
    """How loud a stream of sound is: full, or on its way from one loudness to another.

    target: what it becomes, 0 to 1.
    """

    def __init__(self, rate: int) -> None:
        self.target = 1.0
        self._step = 1.0 / (RAMP_S * rate)
        self._gain = 1.0

    @property
    def full(self) -> bool:
        """Whether sound may pass as it is."""
        return self._gain == self.target == 1.0

    def scale(self, samples: Samples) -> Samples:
        """The samples as loud as they should be."""
        gains: npt.NDArray[np.float32]
        if self._gain == self.target:
            gains = np.full(len(samples), self._gain, dtype=np.float32)
        else:
            way = self.target - self._gain
            passed = self._step * np.arange(1, len(samples) + 1, dtype=np.float32)
            gains = self._gain + np.copysign(np.minimum(passed, abs(way)), np.float32(way))
            self._gain = self.target if passed[-1] >= abs(way) else float(gains[-1])
        quieter: Samples = (samples * gains).astype(np.int16)
        return quieter
