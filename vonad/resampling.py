"""Resampling: one stream from any rate to one rate, with soxr. It delays by its filter and says nothing about time."""

import numpy as np
import soxr

from vonad.frame import Frame, Samples


class Resampler:
    """Converts the frames of one direction of one line; follows a source that changes its rate."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._source = 0
        self._stream: soxr.ResampleStream | None = None

    def push(self, frame: Frame) -> Frame:
        """The frame at `rate`; possibly shorter or longer by the filter's memory."""
        if frame.rate == self.rate:
            return frame
        return Frame(self._convert(frame, last=False), self.rate, frame.at, frame.turn, frame.filler)

    def flush(self) -> Samples:
        """What the filter still holds; the next push begins afresh."""
        if self._source == 0:
            return np.zeros(0, dtype=np.int16)
        rest = self._convert(Frame(np.zeros(0, dtype=np.int16), self._source), last=True)
        self._source = 0
        return rest

    def _convert(self, frame: Frame, *, last: bool) -> Samples:
        if self._stream is None or frame.rate != self._source:
            self._source = frame.rate
            self._stream = soxr.ResampleStream(frame.rate, self.rate, 1, dtype="int16", quality="MQ")
        converted: Samples = self._stream.resample_chunk(frame.samples, last=last)
        return converted


def resample(frame: Frame, rate: int) -> Frame:
    """A whole sound at another rate, its end included."""
    if frame.rate == rate:
        return frame
    converter = Resampler(rate)
    head = converter.push(frame).samples
    return Frame(np.concatenate((head, converter.flush())), rate, frame.at, frame.turn, frame.filler)
