"""The continuation: somebody goes on with words that only a quiet had ended. Where nothing sounds it can be no echo."""

from vonad.frame import Samples
from vonad.session.echo import loudness_db
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn

SETTLE_S = 0.3
"""So long after a filler or a cue what is captured may still be its echo: rooms and buffers are no shorter."""

NEARLY_DB = 5.0
"""Who went on before a sound of ours still does, if they are no more than this below what they were till then."""


class Continuation:
    """Of the words of one turn at a time.

    under_way: whether who speaks goes on with them.
    """

    def __init__(self, mouth: Mouth) -> None:
        self.under_way = False
        self._mouth = mouth
        self._turn: Turn | None = None
        self._silent_s = self._pushed_s = 0.0
        self._power = 0.0
        self._pieces = 0

    def of(self, turn: Turn) -> None:
        """This turn's words have ended; nothing has sounded since."""
        self._turn = turn
        self._silent_s, self._pushed_s = SETTLE_S, self._mouth.pushed_s
        self.under_way, self._power, self._pieces = False, 0.0, 0

    def anew(self) -> None:
        """Nobody speaks any more."""
        self.under_way, self._power, self._pieces = False, 0.0, 0

    def passed(self, seconds: float) -> None:
        """So much more has been captured; what sounded meanwhile may have been heard whole."""
        before, self._pushed_s = self._pushed_s, self._mouth.pushed_s
        silent = self._mouth.silent and self._pushed_s == before
        self._silent_s = self._silent_s + seconds if silent else 0.0

    @property
    def settled(self) -> bool:
        """Whether nothing of ours can be heard, nor has been just now."""
        return self._silent_s >= SETTLE_S

    @property
    def admitted(self) -> bool:
        """Whether seconds of speech alone may take the turn back: once, for words that were spoken, before it acts."""
        turn = self._turn
        return turn is not None and turn.endpoint is not None and not (turn.continues or turn.acted)

    def heard(self, samples: Samples) -> None:
        """Somebody speaks while nothing of ours can be heard."""
        turn = self._turn
        if turn is not None and turn.endpoint in {"silence", "semantic"} and self.admitted:
            self.under_way = True
        self._pieces += 1
        self._power += (10.0 ** (loudness_db(samples) / 10.0) - self._power) / self._pieces

    def lasts(self, samples: Samples) -> bool:
        """Whether this, heard while something of ours sounds, is still who went on before it did."""
        return self.under_way and 10.0 ** ((loudness_db(samples) + NEARLY_DB) / 10.0) >= self._power
