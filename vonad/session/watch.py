"""The watch: no state lasts for ever. A timer for each that waits for somebody, and what happens when it rings."""

from collections.abc import Callable

from vonad.errors import VonadError
from vonad.session.answer import Answer
from vonad.session.chain import Chain
from vonad.session.clearing import clear
from vonad.session.contact import Contact
from vonad.session.fallback import Fallback
from vonad.session.filler import WAITING, Filler
from vonad.session.floor import Floor
from vonad.session.machine import Change, State, Trigger
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn
from vonad.skills.desk import GRACE_S, STORE_S

RESTING = frozenset({State.IDLE, State.AWAY})
"""States in which nothing is being done."""

PRESENT = frozenset({Trigger.LISTEN, Trigger.TEXT, Trigger.FLUSHED, Trigger.END_OF_TURN})
"""What moves a session to listening or processing because somebody is there."""

USED = frozenset({State.LISTENING, State.PROCESSING})
"""States in which somebody wants something of the session; in others it may speak of itself."""

PONG_S = 10.0
"""How long a sign of life may take."""

MARGIN_S = 3.0
"""How much longer than opening it another backend may take to be ready."""

AROUND_SKILL_S = STORE_S + GRACE_S
"""Beside the time of a skill itself: its begin is put on disk, and it may have to be called off."""

LOOK_S = 1.0
"""Between two looks at whether a reply still gets on."""

MISSED = 2
"""Signs of life that fail to come in a row before a backend counts as lost."""


class Watch:
    """Told of each change of state.

    close:   ends the session, with the reason.
    give_up: ends a turn that not even an apology can end.
    """

    def __init__(
        self,
        floor: Floor,
        mouth: Mouth,
        answer: Answer,
        chain: Chain,
        fallback: Fallback,
        *,
        close: Callable[[str], None],
        give_up: Callable[[Turn], None],
    ) -> None:
        self._floor = floor
        self._mouth = mouth
        self._answer = answer
        self._chain = chain
        self._fallback = fallback
        self._close = close
        self._give_up = give_up
        self._missed = 0
        self._pinged_last: Contact | None = None
        self._left = False
        self._idle_left_s = floor.means.limits.idle_timeout_s
        self._idle_since = 0.0
        self._filler = Filler(floor, mouth)

    def begun(self) -> None:
        """The session is there: from now on its whole time counts."""
        self._floor.after("max_duration", self._floor.means.limits.max_duration_s, lambda: self._close("max_duration"))

    def opened(self) -> None:
        """The session serves."""
        self._ping_later()

    def entered(self, change: Change) -> None:
        """The session has changed its state."""
        floor, limits = self._floor, self._floor.means.limits
        state = change.state
        turn = floor.turn
        self._filler.entered(state, turn)
        if state in WAITING and turn is not None and turn.budget is not None:
            turn.budget.begin()
        if state in RESTING and change.previous not in RESTING:
            self._idle_since = floor.clock.monotonic()
            floor.after("idle", self._idle_left_s, lambda: self._close("idle_timeout"))
            self._go_home_later(0.0)
        elif state not in RESTING:
            if change.previous in RESTING:
                self._idle_left_s -= floor.clock.monotonic() - self._idle_since
            floor.drop_timer("idle", "home")
        if state is State.IDLE:
            floor.after("state", limits.away_s, self._away)
        elif state is State.PROCESSING:
            self._wait(limits.processing_s, self._stuck)
        elif state is State.EXECUTING_SKILL:
            self.skill_begun()
        elif state is State.SPEAKING:
            self._follow(-1.0, 0.0)
        elif state is State.FALLING_BACK:
            floor.after("state", limits.falling_back_s + MARGIN_S, self._fallback.give_up)
        else:
            floor.drop_timer("state")
        if state in USED:
            self._idle_left_s = limits.idle_timeout_s
            if self._left and change.trigger in PRESENT:
                self._left = False
                floor.tell("user.back", {})

    def skill_begun(self) -> None:
        """One more: all of them get the time of the longest, from now on."""
        turn = self._floor.turn
        if turn is not None and self._floor.state is State.EXECUTING_SKILL:
            self._wait(turn.skill_budget_s + AROUND_SKILL_S, self._stuck)

    def _wait(self, seconds: float, act: Callable[[int, float], None]) -> None:
        epoch = self._floor.machine.epoch
        self._floor.after("state", seconds, lambda: act(epoch, seconds))

    # Rest

    def _away(self) -> None:
        self._floor.machine.fire(Trigger.LEFT, State.AWAY)
        if not self._left:  # an announcement, or another backend, is nobody who has come back
            self._left = True
            self._floor.tell("user.away", {"after_s": self._floor.means.limits.away_s})

    def _ping_later(self) -> None:
        self._floor.after("ping", self._floor.means.limits.keep_alive_s, self._ping)

    def _ping(self) -> None:
        if self._floor.state in RESTING and self._floor.dialogue is not None:
            self._floor.spawn(self._pinged(), "ping", outlives_turn=True)
        self._ping_later()

    async def _pinged(self) -> None:
        """A pong is no activity: the idle clock goes on."""
        floor = self._floor
        dialogue = floor.dialogue
        if dialogue is None:
            return
        if dialogue is not self._pinged_last:
            self._pinged_last, self._missed = dialogue, 0
        try:
            async with floor.clock.deadline(PONG_S):
                await dialogue.ping()
        except (TimeoutError, VonadError) as error:
            if floor.dialogue is not dialogue:
                return
            self._missed += 1
            why = f"backend {floor.backend} missed {self._missed} signs of life: {error or 'no answer'}"
        else:
            self._missed = 0
            return
        if self._missed >= MISSED:
            self._missed = 0
            self._chain.leave()
            self._fallback.begin("backend_unavailable", VonadError("backend_unavailable", why, op=floor.backend))

    def _go_home_later(self, seconds: float) -> None:
        if self._floor.degraded:
            self._floor.after("home", seconds, self._go_home)

    def _go_home(self) -> None:
        self._floor.spawn(self._homeward(), "home", outlives_turn=True)

    async def _homeward(self) -> None:
        """Back to a better backend, once it has rested, and between turns only."""
        floor, limits = self._floor, self._floor.means.limits
        if await self._chain.go_home(limits.falling_back_s) and floor.state in RESTING:
            self._chain.rest()
        if floor.state in RESTING:
            self._go_home_later(min(limits.cool_off_s, limits.keep_alive_s))

    # Turns

    def asked_again(self) -> None:
        """The reply that there was is of no use: the wait for another begins."""
        if self._floor.state is State.PROCESSING:
            self._wait(self._floor.means.limits.processing_s, self._stuck)

    def _stuck(self, epoch: int, limit: float) -> None:
        """Nothing was heard for too long: another backend, else an apology; when not even that is heard, give it up."""
        floor = self._floor
        turn = floor.turn
        if turn is None or turn.number != epoch:
            return
        if floor.state is State.SPEAKING:
            return
        if turn.outcome is not None or turn.source in {"say", "greeting"}:
            self._end(turn)
            return
        message = f"backend {floor.backend} had no answer within {limit:g} s"
        error = VonadError("timeout", message, op=floor.backend, retryable=True)
        if not self._mouth.sounded and self._fallback.begin("silence", error):
            return
        floor.tell_error(error, "backend")
        self._wait(limit, self._stuck)
        self._answer.apologise(turn, "failed")

    def _follow(self, pushed_s: float, due: float) -> None:
        """A reply that is not over, though all of it that the line took must have been heard a while ago, is over."""
        floor = self._floor
        turn = floor.turn
        if turn is None or floor.state is not State.SPEAKING:
            return
        more = self._mouth.left_s > 0 or self._mouth.said_all  # else it is the backend that is waited for
        at, now = floor.clock.monotonic(), self._mouth.pushed_s
        if now != pushed_s:
            due = at + self._mouth.left_s + floor.means.limits.speaking_s
        elif at >= due and more:
            message = f"satellite took no more of it for {floor.means.limits.speaking_s:g} s after its sound"
            floor.tell_error(VonadError("transport_send_failed", f"turn {turn.id}: {message}"), "play")
            self._end(turn)
            return
        floor.after("state", LOOK_S, lambda: self._follow(now, due))

    def _end(self, turn: Turn) -> None:
        turn.failed = True
        turn.outcome = turn.outcome or "failed"  # what its backend still says is not heard any more
        turn.heard = self._mouth.silence() or turn.heard
        self._floor.spawn(self._given_up(turn), "give up")

    async def _given_up(self, turn: Turn) -> None:
        """Silent first: what the line still holds would be heard later."""
        await clear(self._floor)
        self._give_up(turn)
