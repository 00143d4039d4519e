"""The microphone: brings a turn's sound to the dialogue, first words included, and tells when the turn is over."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from vonad.engine import TurnDetector, VoiceActivityDetector
from vonad.errors import VonadError
from vonad.frame import CAPTURE_RATE, Frame
from vonad.session.contact import RAISED, told
from vonad.session.draft import Draft
from vonad.session.floor import Floor
from vonad.session.hearing import Hearing, Verdict
from vonad.session.machine import State
from vonad.session.turn import Turn

log = logging.getLogger(__name__)

BREATH_S = 0.1
"""Of the quiet behind the user's words this much is kept with them."""

HAIR_S = 0.001
"""No timer is set for less: sums of seconds are never quite what they should be."""

EARLY = 1_000
"""Frames kept while the dialogue takes its turn up, beside what was captured before: 20 s, longer than it may take."""


class Microphone:
    """Open for one turn at a time.

    detector: tells speech from noise; None when the backend finds the end of a turn itself.
    judge:    tells whether the words so far are a whole sentence; None: silence alone ends a turn.
    over:     called once for each turn opened, with the endpoint reason, unless it is closed before; whether there is
              something to answer.
    told:     called when the dialogue has been told so, or could not be.
    """

    def __init__(
        self,
        floor: Floor,
        over: Callable[[Turn, str], bool],
        told: Callable[[Turn, VonadError | None], None],
        draft: Draft | None = None,
    ) -> None:
        self.detector: VoiceActivityDetector | None = None
        self.judge: TurnDetector | None = None
        self._floor = floor
        self._over = over
        self._told = told
        self._draft = draft
        self._hearing: Hearing | None = None
        self._early: deque[Frame] | None = None
        self._words = self._considered = ""
        self._verdict: Verdict | None = None
        self._captured: deque[Frame] = deque()
        self._began = self._rests = False
        self._last_at = 0.0
        self._said: deque[Frame] = deque()
        self._said_until = self._known_until = 0.0
        self._woken = False
        self._kept = len(floor.plan.backends) > 1
        self._room = 0

    @property
    def spoke(self) -> bool:
        """Whether somebody has spoken in this turn."""
        return self._began or (self._hearing is not None and self._hearing.spoke)

    @property
    def captured(self) -> Sequence[Frame]:
        """The sound of the turn so far, what was captured before it included; the last `maximum_s` of it.

        Nothing, where there is no other backend that it could be given to.
        """
        return tuple(self._captured)

    @property
    def said(self) -> tuple[Frame, ...]:
        """The sound of the turn that was heard last, to the end of its speech; nothing where nobody measures that."""
        return tuple(frame for frame in self._said if frame.at < self._said_until)

    def open(
        self, turn: Turn, pre_roll: Iterable[Frame], *, known_until: float = 0.0, woken_at: float | None = None
    ) -> None:
        """Hear this turn, beginning with what was captured before.

        known_until: up to here, in monotonic seconds, no quiet ends the turn: somebody has spoken on behind it.
        woken_at:    nor up to here, when somebody asked for this turn: what was said before may have been for others.
        """
        endpointing = self._floor.plan.endpointing
        detector = self.detector
        line = self._floor.line
        keeps = line is not None and line.capabilities.full_duplex  # who goes on later is heard from the beginning
        self._hearing = (
            None if detector is None else Hearing(detector.stream(), detector.window, endpointing, keeps=keeps)
        )
        self._words = self._considered = ""
        self._verdict = None
        self._known_until, self._woken = max(known_until, woken_at or 0.0), woken_at is not None
        self._began, self._rests, self._last_at = False, False, turn.started_at
        said = self._said = self._hearing.sound if keeps and self._hearing is not None else deque()
        captured: deque[Frame] = deque()
        self._captured = captured
        self._room = round(endpointing.maximum_s * CAPTURE_RATE)
        past = tuple(pre_roll)
        self._early = deque(past, maxlen=EARLY + len(past))
        if self._kept:
            for frame in past:
                self._keep(frame)
        turn.ended.add_done_callback(lambda _: captured.clear())
        turn.ended.add_done_callback(lambda _: said.clear())
        self._watch(turn)
        self._floor.spawn(self._take_up(turn), "microphone")

    def resume(self) -> None:
        """Another dialogue has heard what was captured so far: what had waited for the one before needs no more."""
        early, self._early = self._early, None
        self._rests = False
        for frame in early or ():
            if self._hearing is not None:
                self._hearing.push(frame)
        if self._floor.turn is not None:  # it rang in vain where there was no backend
            self._watch(self._floor.turn)

    def close(self) -> float:
        """Hear no more of this turn, and forget it; the monotonic time of its last speech, now if nobody measured."""
        hearing, self._hearing, self._early, self._began = self._hearing, None, None, False
        self._floor.drop_timer("frames")
        if hearing is None:
            return self._floor.clock.monotonic()
        ended_at = hearing.speech_end_at
        self._said_until = ended_at + BREATH_S
        return ended_at

    def hear(self, frame: Frame) -> Awaitable[None]:
        """A captured frame, 16 kHz."""
        floor = self._floor
        turn = floor.turn
        if turn is None or floor.machine.state is not State.LISTENING:
            return unheard()
        if self._kept:
            self._keep(frame)
        if self._early is None:
            return self._hear(turn, frame)
        self._early.append(frame)
        return unheard()

    def partial(self, text: str) -> None:
        """The words of the open turn so far; told again, they still stand."""
        turn, hearing = self._floor.turn, self._hearing
        if text:
            self.began()
        if turn is None or hearing is None or self._floor.state is not State.LISTENING:
            return
        again = text == self._words
        if not again:
            self._words = text
            self._verdict = self._judged(text)
        hearing.told(self._verdict, again=again)
        self._consider(turn, hearing)
        reason = hearing.over()
        if reason is not None:
            self.end(turn, reason)

    def began(self) -> None:
        """A backend that hears for itself has heard somebody speak."""
        if self._hearing is None and self._floor.state is State.LISTENING:
            self._began = True

    def end(self, turn: Turn, reason: str) -> None:
        """The user's words have ended, for this reason."""
        if self._over(turn, reason):
            self._floor.spawn(self._commit(turn), "commit")

    def release(self) -> None:
        """Whoever held the microphone open has let go: the turn is over."""
        turn = self._floor.turn
        if turn is not None and self._floor.state is State.LISTENING:
            self.end(turn, "released")

    def _keep(self, frame: Frame) -> None:
        self._captured.append(frame)
        self._room -= len(frame.samples)
        while self._room < 0:
            self._room += len(self._captured.popleft().samples)

    async def _take_up(self, turn: Turn) -> None:
        floor = self._floor
        await floor.begin(turn)
        while self._early and self._early[0].at <= self._known_until and floor.turn is turn:
            await self._recall(self._early.popleft())
        if self._woken and self._hearing is not None and floor.turn is turn:
            self._hearing.woken()
        while self._early and floor.turn is turn and floor.state is State.LISTENING:
            await self._hear(turn, self._early.popleft())
        if floor.turn is turn and floor.state is State.LISTENING:
            self._early = None

    async def _recall(self, frame: Frame) -> None:
        if self._hearing is not None:
            self._hearing.past(frame)
        dialogue = self._floor.dialogue
        if dialogue is not None:
            try:
                await dialogue.hear(frame)
            except RAISED as failure:
                dialogue.lost(failure)

    async def _hear(self, turn: Turn, frame: Frame) -> None:
        floor, hearing = self._floor, self._hearing
        reason, rests = None, False
        if hearing is not None:
            reason = hearing.push(frame)
            if reason is None and not hearing.in_speech:
                rests = hearing.resting
                if hearing.pausing:
                    self._consider(turn, hearing)
        else:
            self._last_at = frame.at
        dialogue = floor.dialogue
        if dialogue is not None:
            try:
                await dialogue.hear(frame)
                if rests is not self._rests and reason is None:
                    self._rests = rests
                    await dialogue.pause(on=rests)
            except RAISED as failure:
                dialogue.lost(failure)
        if reason is not None and floor.turn is turn and self._over(turn, reason):
            await self._commit(turn)  # a task of its own would cost the user time

    async def _commit(self, turn: Turn) -> None:
        failure = None
        dialogue = self._floor.dialogue
        if dialogue is not None:
            try:
                await dialogue.commit()
            except RAISED as raised:
                failure = told(dialogue.name, raised)
        self._told(turn, failure)

    def _consider(self, turn: Turn, hearing: Hearing) -> None:
        """Time to prepare an answer: at a pause behind words; behind a whole sentence at once."""
        if self._draft is None or self._words == self._considered or not hearing.current:
            return
        if self._verdict == "complete" or (hearing.pausing and self._verdict != "partial"):
            self._considered = self._words
            self._draft.consider(turn, self._words)

    def _judged(self, text: str) -> Verdict | None:
        if not text:
            return None
        if self.judge is None:
            return "unknown"
        try:
            return self.judge.judge(text, sentences=self._floor.sentences(), language=self._floor.plan.language)
        except Exception:  # a defect of a plugin's; silence still ends turns
            log.exception("session %s: its turn detector failed and is not asked again", self._floor.session_id)
            self.judge = None
            return "unknown"

    def _watch(self, turn: Turn) -> None:
        """The samples say when a turn ends; the wall clock only guards against frames that stop coming."""
        now, missing_s = self._floor.clock.monotonic(), self._floor.means.limits.missing_frames_s
        next_at = [at for at in (self._heard_at + missing_s, self._silent_until(turn)) if at > now]
        self._floor.after(
            "frames", max(HAIR_S, min(next_at, default=now + missing_s) - now), lambda: self._missing(turn)
        )

    @property
    def _heard_at(self) -> float:
        """Monotonic time of the last frame; at first of the turn's beginning."""
        heard = self._hearing.sound if self._hearing is not None else ()
        return max(self._last_at, heard[-1].at) if heard else self._last_at

    def _silent_until(self, turn: Turn) -> float:
        limits = self._floor.means.limits
        return turn.started_at + self._floor.plan.endpointing.no_speech_s + limits.missing_frames_s

    def _missing(self, turn: Turn) -> None:
        if self._floor.turn is not turn or self._floor.state is not State.LISTENING:
            return
        now, missing_s = self._floor.clock.monotonic(), self._floor.means.limits.missing_frames_s
        maximum = turn.started_at + self._floor.plan.endpointing.maximum_s + missing_s
        stopped = now >= self._heard_at + missing_s
        if self.spoke and stopped:
            self.end(turn, "silence")
        elif not self.spoke and now >= self._silent_until(turn) and (stopped or self._hearing is None):
            self.end(turn, "no_speech")
        elif self._hearing is None and now >= maximum:
            self.end(turn, "max_length")
        else:
            self._watch(turn)


async def unheard() -> None:
    """Nothing comes of a frame now."""
