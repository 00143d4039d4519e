"""The sequel: what follows a reply: another backend, what waits to be said, the open microphone, or quiet."""

from collections.abc import Callable

from vonad.frame import Frame
from vonad.session.announcer import Announcer
from vonad.session.bargein import BargeIn
from vonad.session.chain import Chain
from vonad.session.fallback import Fallback
from vonad.session.floor import Floor
from vonad.session.interruption import ANSWERING
from vonad.session.machine import State, Trigger
from vonad.session.mouth import Mouth
from vonad.session.own_turns import OwnTurns
from vonad.session.resumption import SPOKEN
from vonad.session.turn import Outcome, Turn


class Sequel:
    """A backend that is to be left is left first; what waits to be said comes before the microphone opens.

    addressed: whether anybody has talked to the session: one that opened only to say something ends when all is said.

    apologise: ends a turn in the house's own words.
    listen:    opens the microphone for a follow-up, with what was captured before and belongs to it.
    close:     ends the session, with the reason and, if it has to be said, one of PHRASES.
    """

    def __init__(
        self,
        floor: Floor,
        mouth: Mouth,
        announcer: Announcer,
        own_turns: OwnTurns,
        barge_in: BargeIn,
        *,
        chain: Chain,
        fallback: Fallback,
        apologise: Callable[[Turn, Outcome], None],
        listen: Callable[[Trigger, tuple[Frame, ...]], None],
        close: Callable[[str, str], None],
    ) -> None:
        self.addressed = False
        self._floor = floor
        self._mouth = mouth
        self._announcer = announcer
        self._own_turns = own_turns
        self._barge_in = barge_in
        self._chain = chain
        self._fallback = fallback
        self._apologise = apologise
        self._listen = listen
        self._close = close

    def heard(self, turn: Turn) -> None:
        """This turn's reply has been heard to its end, or cannot be."""
        if self._floor.turn is not turn or self._floor.state not in ANSWERING:
            return
        if self._fell_silent(turn):
            self._apologise(turn, "failed")
        elif self._own_turns.wants_follow_up(turn):
            self._floor.after("reopen", self._floor.means.limits.reopen_s, lambda: self.begin(turn, follow_up=True))
        else:
            self.begin(turn)

    def begin(self, turn: Turn, *, follow_up: bool = False) -> None:
        """This turn is over. follow_up: whether it asked for one."""
        if self._floor.turn is not turn or self._floor.state not in ANSWERING:
            return  # it was interrupted while its microphone was about to open again
        if self._floor.state is State.EXECUTING_SKILL:
            self._floor.machine.fire(Trigger.SKILLS_SETTLED, State.PROCESSING)
        trigger = Trigger.PLAYBACK_FINISHED if self._floor.state is State.SPEAKING else Trigger.REPLY_SILENT
        self._floor.finish(turn, turn.outcome or ("failed" if turn.failed else "completed"))
        self._mouth.rest()
        spoken_to = turn.source in SPOKEN and self._barge_in.speaking  # an announcement is no conversation
        own, wanted = self._own_turns, follow_up or spoken_to
        own.reopen = wanted or (turn.source == "say" and own.reopen)
        if wanted and not len(self._announcer.waiting) and not self._fallback.due:
            own.reopen = False
            past = self._barge_in.closed()
            self._listen(trigger, past)
            if past and self._floor.turn is not None:
                self._floor.turn.barged = "unsure"
        else:
            self._floor.machine.fire(trigger, State.IDLE)
            self.go_on()

    def go_on(self) -> None:
        """Idle: say what waits; a session that opened for that, and served nobody else, closes when all is said."""
        if self._floor.state not in {State.IDLE, State.AWAY} or self._fallback.rest():
            return
        self._chain.rest()
        if len(self._announcer.waiting):
            self._own_turns.announce(Trigger.SAY)
            return
        self._own_turns.reopen = False
        if self._floor.plan.purpose == "say" and not self.addressed:
            self._close("backend_finished", "")

    def _fell_silent(self, turn: Turn) -> bool:
        """Whether somebody spoke and has heard nothing at all, though nothing says that this is as it should be."""
        spoken = turn.source in SPOKEN and self._floor.line is not None
        return spoken and turn.first_audio_ms is None and turn.outcome is None and not turn.quiet
