"""The past: the last of what was captured. That somebody speaks is known late, and their first words count."""

from collections import deque
from math import inf

from vonad.frame import Frame


class Past:
    """frames: oldest first; seconds: how much they are."""

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.seconds = 0.0

    def keep(self, frame: Frame, most_s: float = inf) -> None:
        """One more; of those before it only as many as make so many seconds with it."""
        self.frames.append(frame)
        self.seconds += frame.seconds
        if self.seconds >= most_s:
            self.only(most_s)

    def clear(self) -> None:
        """Forget all of it."""
        self.frames.clear()
        self.seconds = 0.0

    def only(self, seconds: float) -> None:
        """Forget what is older than the last so many seconds; a frame that is partly older stays."""
        while self.frames and self.seconds - self.frames[0].seconds >= seconds:
            self.seconds -= self.frames.popleft().seconds
