"""Barge-in: tells, while a reply plays, whether somebody is interrupting it or only coughs, agrees, or is our own echo.

It begins where the user's words seemed to have ended: who goes on before anything sounds is no echo, and seconds of
speech alone decide.
Only on lines that are full duplex. As soon as somebody speaks, the reply grows quieter, and the backend is asked to
listen, if it can (capability `overhears`): then words and seconds decide together, as the plan says. Where it cannot,
seconds of speech alone decide. Whoever has not interrupted some time after falling silent was not going to.
"""

from collections.abc import Callable
from math import inf

from vonad.engine import VoiceActivity, VoiceActivityDetector
from vonad.frame import CAPTURE_RATE, Frame
from vonad.session.announcer import Announcer
from vonad.session.contact import RAISED
from vonad.session.continuation import Continuation
from vonad.session.echo import Echo
from vonad.session.floor import Floor
from vonad.session.mouth import Mouth
from vonad.session.origin import Origin
from vonad.session.past import Past
from vonad.session.remark import Remark
from vonad.session.turn import Turn

SPEECH_ON = 0.5
SPEECH_OFF = 0.35
"""Hysteresis on the detector's probability, as where the end of a turn is looked for."""

ONSET_S = 0.1
"""So much speech makes the reply quieter: less is a knock."""

GAP_S = 0.3
"""Pauses up to this long are part of the speech around them; longer ones begin a new count."""

PHRASE_S = 0.7
"""After a pause as long as this, a new sentence begins: what was said before interrupted nobody, and is left out."""

PRE_ROLL_S = 0.5
"""What was captured before the speech goes along: detectors are late, and first words count."""

LONGEST_S = 15.0
"""Speech that has not interrupted within this time hardly ever will: a television; the reply grows loud again. No more
of it is kept."""

WORDLESS_S = 2.0
"""Speech as long as this without one word that could be understood is not for us, and may be ourselves: the reply grows
loud again, though words may still come."""

UTTERED_S = 0.25
"""Who is to be listened to because the reply ends meanwhile has spoken so long, or said a word: a cough is shorter."""


class BargeIn:
    """Open while a reply is made or plays that may be interrupted.

    turn:      whose reply that is; None while it is closed, and wants nothing of what is captured.
    went_on:   whether who interrupted last went on with words that had only seemed to have ended.
    interrupt: called once at most for each reply, with "speech" or "stop_word" and what the user has said so far,
               PRE_ROLL_S before it included.
    """

    def __init__(
        self,
        floor: Floor,
        mouth: Mouth,
        announcer: Announcer,
        interrupt: Callable[[str, tuple[Frame, ...]], None],
    ) -> None:
        rules = floor.plan.barge_in
        self.echo = Echo(rules.margin_db)
        self.went_on = False
        self._rules = rules
        self._remark = Remark(rules, lambda text: self.echo.own(text, mouth.spoken))
        self._floor = floor
        self._mouth = mouth
        self._announcer = announcer
        self._interrupt = interrupt
        self.turn: Turn | None = None
        self._detector: VoiceActivityDetector | None = None
        self._activity: VoiceActivity | None = None
        self._window_s = 0.0
        self._past = Past()
        self._in_speech = False
        self._ducked = False
        self._continuation = Continuation(mouth)
        self._origin = Origin(floor, mouth, self._remark, self.echo, self._continuation)
        self._speech_s = self._longest_s = 0.0
        self._quiet_s = PHRASE_S
        self._faint_s = self._still_s = 0.0
        self._attended = False

    @property
    def ducked(self) -> bool:
        """Whether the reply is quieter because somebody may be interrupting it."""
        return self._ducked

    @property
    def speaking(self) -> bool:
        """Whether somebody is in the middle of what may be an interruption."""
        remark = self._remark
        uttered = self._longest_s >= UTTERED_S or bool(remark.said)
        goes_on = self._ducked and self._quiet_s < PHRASE_S
        return goes_on and uttered and not (remark.ours or self._for_others)

    @property
    def _for_others(self) -> bool:
        """Whether what is said has taken so long, or so long without a word, that it is hardly for us."""
        return self._past.seconds >= LONGEST_S or (self._longest_s >= WORDLESS_S and not self._remark.said)

    def opened(self, turn: Turn, detector: VoiceActivityDetector | None) -> None:
        """A reply begins to be made, or to play. detector: tells speech from noise; without one words alone decide."""
        line = self._floor.line
        may = self._rules.enabled and self._announcer.interruptible
        if line is None or not line.capabilities.full_duplex or not may:
            return
        self.turn = turn
        self._detector, self._activity = detector, None
        self._window_s = 0.0 if detector is None else detector.window / CAPTURE_RATE
        if not self._floor.capabilities.overhears:
            self.echo.unknown()  # it is measured anew, so that a wrong measure cannot last
        self.went_on = False
        self._continuation.of(turn)

    def sounds(self) -> None:
        """The reply begins to play, maybe in the middle of what somebody says."""
        if not self._ducked:
            self._continuation.anew()  # what has only begun may be the reply itself
        elif not self._for_others:
            self._mouth.duck(on=True)

    def closed(self) -> tuple[Frame, ...]:
        """The reply is over. What somebody was saying who had not interrupted it yet: the beginning of what follows."""
        said = tuple(self._past.frames) if self._ducked else ()
        self.turn = None
        self._resume()
        self._past.clear()
        self.echo.anew()
        self._remark.begin()
        self._in_speech = self._attended = False
        self._faint_s = 0.0
        return said

    async def hear(self, frame: Frame) -> None:
        """A captured frame, 16 kHz."""
        turn = self.turn
        if turn is None:
            return
        before = self._ducked
        self._past.keep(frame, inf if self._ducked else PRE_ROLL_S + ONSET_S)
        attended = self._attended
        if self._detector is not None:
            if self._activity is None:  # not made before there is sound for it: the reply would wait for it
                self._activity = self._detector.stream()
            for probability in self._activity.push(frame.samples):
                self._count(probability, frame)
        else:
            self._wait(frame.seconds)
        dialogue = self._floor.dialogue
        if dialogue is not None and self._floor.capabilities.overhears:
            try:
                if self._detector is None or ((self._ducked or self._attended) and (before or attended)):
                    await dialogue.overhear(frame)
                elif self._ducked or self._attended:
                    for kept in tuple(self._past.frames):
                        if self.turn is turn:
                            await dialogue.overhear(kept)
            except RAISED as failure:
                dialogue.lost(failure)
        if self.turn is turn and self._ducked:
            self._judge()

    def overheard(self, text: str) -> None:
        """Words so far."""
        if self.turn is None:
            return
        remark = self._remark
        if self._detector is None and not self._ducked:
            remark.anew()
        if remark.heard(text) and self._detector is None:
            self._quiet_s = 0.0
            self._duck()
        if self._ducked:
            self._judge()
        elif self._attended and not remark.ours and remark.stopped:
            self._break_in("stop_word")

    def stops(self, text: str) -> bool:
        """Whether somebody who said this wants nothing but quiet."""
        return self._remark.stops(text)

    # Speech

    def _count(self, probability: float, frame: Frame) -> None:
        self._continuation.passed(self._window_s)
        self._in_speech = probability >= (SPEECH_OFF if self._in_speech else SPEECH_ON)
        if not self._in_speech:
            self.echo.fade(self._window_s)
            self._wait(self._window_s)
            self._still_s += self._window_s
            if self._still_s >= self._rules.resume_s:
                self._attended = False
            return
        if not self._origin.is_user(frame.samples, self.turn, begins=self._quiet_s > GAP_S):
            self._wait(self._window_s)
            self._attend()
            return
        if self._quiet_s >= PHRASE_S and not self._remark.meant:
            self._past.only(PRE_ROLL_S + ONSET_S)
        if self._quiet_s > GAP_S:
            self._speech_s = 0.0
        self._quiet_s = 0.0
        self._speech_s += self._window_s
        self._longest_s = max(self._longest_s, self._speech_s)
        if self._speech_s >= ONSET_S:
            self._suspect()

    def _wait(self, seconds: float) -> None:
        self._quiet_s += seconds
        if self._quiet_s >= self._rules.resume_s and self._ducked:
            self._resume()

    def _attend(self) -> None:
        """It is no louder than an echo of ours would be; but whoever says nothing but "stop" is to be understood."""
        self._faint_s = self._window_s + (self._faint_s if self._still_s <= GAP_S else 0.0)
        self._still_s = 0.0
        if not self._attended and self._faint_s >= ONSET_S:
            self._attended = True
            if not self._ducked:
                self._remark.anew()

    def _suspect(self) -> None:
        if not self._ducked:
            if not self._attended:
                self._remark.anew()
            self._duck()

    def _duck(self) -> None:
        if not self._ducked:
            self._ducked = True
            self._mouth.duck(on=True)

    def _resume(self) -> None:
        """It was nothing: loud again, and what was said does not count towards what will be."""
        if self._ducked:
            self._mouth.duck(on=False)
        self._calm()

    def _calm(self) -> None:
        self._ducked = False
        self._speech_s = self._longest_s = 0.0
        self._quiet_s = PHRASE_S
        self._continuation.anew()
        self._remark.forget()
        self.echo.forget()

    # Words

    def _judge(self) -> None:
        rules, remark = self._rules, self._remark
        enough_words = len(remark.said) >= rules.words
        enough_speech = self._longest_s >= rules.speech_s
        overhears = self._floor.capabilities.overhears
        acts = self.turn is not None and self.turn.acted
        goes_on = self._continuation.under_way and not acts
        if overhears and remark.ours:
            if enough_words:
                self.echo.was_ours()
                remark.anew()
                self._resume()
        elif overhears and remark.stopped:
            self._break_in("stop_word")
        elif not overhears or (goes_on and not remark.agrees):
            if enough_speech:
                self._break_in("speech")
        elif remark.meant:
            both = enough_words and (enough_speech or self._detector is None)
            if both or (rules.need == "any" and (enough_words or enough_speech)):
                self._break_in("speech")
        if self._for_others:
            self._mouth.duck(on=False)
        self._past.only(LONGEST_S)

    def _break_in(self, source: str) -> None:
        self.went_on = self._continuation.under_way and source == "speech"
        said = self.closed()
        self._interrupt(source, said)
