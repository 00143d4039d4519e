"""Turns of the house's own: the greeting and announcements, which nobody has asked a backend for."""

from vonad.session.floor import Floor, interrupt_dialogue
from vonad.session.machine import State, Trigger
from vonad.session.microphone import Microphone
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn


class OwnTurns:
    """One at a time, as all turns."""

    def __init__(self, floor: Floor, mouth: Mouth, microphone: Microphone) -> None:
        self._floor = floor
        self._mouth = mouth
        self._microphone = microphone
        self._reopen = False

    def greet(self, trigger: Trigger, text: str, *, listen: bool) -> None:
        """Say this; then perhaps listen."""
        turn = self._floor.take("greeting")
        turn.follow_up = listen
        self._floor.machine.fire(trigger, State.SPEAKING)
        self._floor.started(turn)
        self._mouth.own_words(turn, text)

    def announce(self, trigger: Trigger) -> None:
        """Say what waits first."""
        floor, mouth = self._floor, self._mouth
        announcement = mouth.announcements.next()
        if announcement is None:
            return
        open_turn = floor.turn
        if open_turn is not None:  # a microphone that nobody has spoken into: it opens again afterwards
            self._reopen = True
            self._microphone.close()
            floor.finish(open_turn, "superseded")
            floor.spawn(interrupt_dialogue(floor), "interrupt")
        turn = floor.take("say")
        turn.request_id = announcement.id
        mouth.announcing = announcement
        floor.machine.fire(trigger, State.SPEAKING)
        floor.started(turn)
        mouth.own_words(turn, announcement.text)

    def wants_follow_up(self, turn: Turn) -> bool:
        """Whether the microphone opens after this turn: for one that an announcement had closed, once."""
        if self._floor.line is None:
            return False
        if turn.source == "say":
            wanted, self._reopen = self._reopen, False
            return wanted
        if turn.follow_up is not None:
            return turn.follow_up
        setting = self._floor.plan.follow_up
        return setting == "always" or (setting == "auto" and turn.reply.rstrip().endswith("?"))
