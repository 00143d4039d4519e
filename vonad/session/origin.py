"""The origin: whose speech it is that is heard while a reply is made or plays: the user's, or the reply's own echo."""

from vonad.frame import Samples
from vonad.session.continuation import Continuation
from vonad.session.echo import Echo
from vonad.session.floor import Floor
from vonad.session.mouth import Mouth
from vonad.session.remark import Remark
from vonad.session.turn import Turn

ECHO_S = 0.8
"""How much of a reply measures its echo where no words could tell it from the user."""


class Origin:
    """Judges by loudness, until words have proven it; where nothing has sounded, it can be nobody but the user.

    Then seconds alone decide for a backend that cannot overhear: what the room says is not to cancel all it does.
    """

    def __init__(self, floor: Floor, mouth: Mouth, remark: Remark, echo: Echo, continuation: Continuation) -> None:
        self._floor = floor
        self._mouth = mouth
        self._remark = remark
        self._echo = echo
        self._continuation = continuation

    def is_user(self, samples: Samples, turn: Turn | None, *, begins: bool) -> bool:
        """Whether it is the user who speaks in these.

        turn:   the one that is answered.
        begins: nobody has spoken just before.
        """
        overhears, continuation = self._floor.capabilities.overhears, self._continuation
        if begins:
            continuation.anew()
        if continuation.settled:
            if not (overhears or continuation.admitted):
                return False
            continuation.heard(samples)
            return True
        if continuation.lasts(samples):
            return True
        if not overhears and self._mouth.silent:
            return False  # an echo's last, or nobody's first: the measure of echoes is not for it
        sounds = turn is not None and not turn.heard_out
        if not overhears and sounds and self._mouth.into_ms <= ECHO_S * 1000:
            self._echo.measure(samples)
            return False
        return self._remark.meant or (not continuation.under_way and self._echo.louder(samples))
