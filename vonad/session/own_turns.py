"""Turns of the house's own: the greeting and announcements, which nobody has asked a backend for."""

from vonad.session.announcer import Announcer
from vonad.session.floor import Floor, interrupt_dialogue
from vonad.session.machine import State, Trigger
from vonad.session.microphone import Microphone
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn


class OwnTurns:
    """One at a time, as all turns.

    reopen: whether the microphone is to open when all is said: announcements closed it, or came before it opened.
    """

    def __init__(self, floor: Floor, mouth: Mouth, announcer: Announcer, microphone: Microphone) -> None:
        self._floor = floor
        self._mouth = mouth
        self._announcer = announcer
        self._microphone = microphone
        self.reopen = False

    @property
    def greets(self) -> bool:
        """Whether a session that opens for this is to begin with a greeting."""
        plan = self._floor.plan
        wanted = plan.greeting or plan.greeting_prompt
        return bool(wanted) and self._floor.line is not None and plan.purpose in {"listen", "idle"}

    def greet(self, trigger: Trigger) -> None:
        """Say it, or have the backend make one; then listen, if the session opened for that."""
        floor, plan = self._floor, self._floor.plan
        turn = floor.take("greeting")
        turn.follow_up = plan.purpose == "listen"
        turn.prompt = plan.greeting_prompt or ""
        if turn.prompt:
            trigger = Trigger.TEXT if floor.state is State.IDLE else trigger
        floor.machine.fire(trigger, State.PROCESSING if turn.prompt else State.SPEAKING)
        floor.started(turn)
        if turn.prompt:
            floor.spawn(self._ask(turn), "greeting")
        else:
            self._mouth.own_words(turn, plan.greeting or "")

    async def _ask(self, turn: Turn) -> None:
        turn.asked = True
        await self._floor.begin(turn)
        if self._floor.dialogue is not None:
            await self._floor.dialogue.say(turn.prompt)

    def announce(self, trigger: Trigger) -> None:
        """Say what waits first."""
        floor = self._floor
        announcement = self._announcer.waiting.next()
        if announcement is None:
            return
        open_turn = floor.turn
        if open_turn is not None:  # a microphone that nobody has spoken into: it opens again afterwards
            self.reopen = True
            self._microphone.close()
            floor.finish(open_turn, "superseded")
            floor.spawn(interrupt_dialogue(floor), "interrupt")
        turn = floor.take("say")
        turn.request_id = announcement.id
        self._announcer.saying = announcement
        floor.machine.fire(trigger, State.SPEAKING)
        floor.started(turn)
        self._mouth.own_words(turn, announcement.text)

    def cut_short(self, turn: Turn | None) -> None:
        """An announcement takes the place of this turn: a microphone that was about to open opens behind it."""
        if turn is not None and turn.heard_out and self.wants_follow_up(turn):
            self.reopen = True

    def wants_follow_up(self, turn: Turn) -> bool:
        """Whether the microphone opens after this turn: for what announcements kept from it, after the last of them."""
        if self._floor.line is None or turn.structure is not None:
            return False
        if turn.source == "say":
            return self.reopen and turn.follow_up is None and not len(self._announcer.waiting)
        if turn.follow_up is not None:
            return turn.follow_up
        setting = self._floor.plan.follow_up
        return setting == "always" or (setting == "auto" and turn.reply.rstrip().endswith("?"))
