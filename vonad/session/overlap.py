"""The overlap: the user speaks while the assistant does, or right behind it: who yields, and what is to be answered."""

from collections.abc import Callable

from vonad.frame import Frame
from vonad.session.announcer import Announcer
from vonad.session.bargein import BargeIn
from vonad.session.floor import Floor
from vonad.session.machine import Trigger
from vonad.session.microphone import Microphone
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn


class Overlap:
    """Who interrupts has the floor, and is heard from their first word on.

    barge_in:  tells whether somebody interrupts.
    interrupt: silences the reply on somebody's account, and then acts; set by whoever can.
    listen:    opens the microphone, with what was captured before and belongs to the new turn.
    """

    def __init__(
        self,
        floor: Floor,
        mouth: Mouth,
        announcer: Announcer,
        microphone: Microphone,
        *,
        listen: Callable[[Trigger, tuple[Frame, ...] | None], None],
    ) -> None:
        self.barge_in = BargeIn(floor, mouth, announcer, self._interrupted)
        self.interrupt: Callable[[str, Callable[[Trigger], object]], None] = lambda source, act: None
        self._floor = floor
        self._microphone = microphone
        self._listen = listen

    def began(self) -> bool:
        """A backend that hears for itself heard somebody speak: while a reply is made or plays, that interrupts it."""
        self._microphone.began()
        breaks_in = self.barge_in.turn is not None
        if breaks_in:
            self._interrupted("speech", self.barge_in.closed())
        return breaks_in

    def wants_quiet(self, turn: Turn, text: str) -> bool:
        """Whether what was heard is nothing to answer: our own words, or somebody who wants no more than quiet."""
        since_s = turn.asked_at - turn.started_at + self._floor.means.limits.reopen_s
        if turn.source == "follow_up" and self.barge_in.echo.own(text, self._floor.last_reply, after_s=since_s):
            turn.transcript = None
            return True
        if turn.barged in {"stop_word", "unsure"} and not text:
            return True
        return bool(turn.barged or turn.source == "follow_up") and self.barge_in.stops(text)

    def _interrupted(self, source: str, past: tuple[Frame, ...]) -> None:
        """Somebody speaks over the reply: be silent, and listen to all of it, from the words that it goes on with."""
        turn, went_on = self._floor.turn, self.barge_in.went_on
        if went_on and turn is not None and not turn.acted and self._microphone.said:
            past, turn.resaid = self._microphone.said + past, True

        def listen(trigger: Trigger) -> None:
            self._listen(trigger, past or None)
            if self._floor.turn is not None:
                self._floor.turn.barged, self._floor.turn.continues = source, went_on

        self.interrupt(source, listen)
