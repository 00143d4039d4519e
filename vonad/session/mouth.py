"""The mouth: speaks for the turn that has the floor, and for the house itself, on one line."""

from collections.abc import Callable, Sequence

from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.session.announcer import Announcer
from vonad.session.chime import Chime
from vonad.session.clearing import clear
from vonad.session.floor import Floor
from vonad.session.house_voice import HouseVoice, put
from vonad.session.machine import State, Trigger
from vonad.session.means import CueName
from vonad.session.turn import Turn
from vonad.session.utterance import Utterance

STALLED_S = 5.0
"""Silence in the middle of a reply after which its backend is taken to have lost the thread."""


HAIR_S = 0.01
"""What a line's measure of what it has played may lack at the end."""


class Mouth:
    """One utterance at a time.

    over: called when a turn's reply has been heard to its end, or cannot be; set by whoever goes on from there.
    """

    def __init__(self, floor: Floor, announcer: Announcer) -> None:
        self.over: Callable[[Turn], None] = lambda turn: None
        self.chime = Chime(floor)
        self._floor = floor
        self._announcer = announcer
        self._voice = HouseVoice(floor)
        self._utterance: Utterance | None = None
        self._ready: Utterance | None = None
        self._ringing = ""
        self._rings_for: Turn | None = None

    @property
    def sounded(self) -> bool:
        """Whether something of the open turn's reply can have been heard."""
        return self._utterance is not None and self._utterance.sounded

    @property
    def said_all(self) -> bool:
        """Whether all of the open turn's reply is there, and only has to be heard."""
        return self._utterance is not None and self._utterance.ended

    @property
    def played_ms(self) -> int:
        """How much of the open turn's reply has been heard, fillers left out."""
        return round(self._utterance.reply_s * 1000) if self._utterance is not None else 0

    @property
    def silent(self) -> bool:
        """Whether nothing of the open turn's reply has sounded, nor does a filler just now: there can be no echo."""
        utterance, turn = self._utterance, self._floor.turn
        if utterance is None:
            return turn is None or not turn.heard_out
        return not utterance.sounded and utterance.played_s > utterance.pushed_s - HAIR_S

    @property
    def into_ms(self) -> int:
        """How far into what sounds now, the reply or a filler before it, the ear has come."""
        utterance = self._utterance
        if utterance is None or utterance.sounded:
            return self.played_ms
        return round(utterance.played_s * 1000)

    @property
    def pushed_s(self) -> float:
        """Seconds of the open turn's sound that the line has taken."""
        return self._utterance.pushed_s if self._utterance is not None else 0.0

    @property
    def left_s(self) -> float:
        """Seconds of it that have not been heard."""
        return self._utterance.pushed_s - self._utterance.played_s if self._utterance is not None else 0.0

    @property
    def spoken(self) -> str:
        """What of the open turn's reply has begun to sound; when it is over, it rings on until the turn is."""
        if self._utterance is not None:
            return self._utterance.spoken
        return self._ringing if self._floor.turn is self._rings_for else ""

    def wait(self) -> State:
        """More is to come: the state until then, `speaking` only while something of the reply still sounds."""
        if self.sounded and self.left_s > HAIR_S:
            return State.SPEAKING
        if self._utterance is not None:
            self._utterance.waits()
        return State.PROCESSING

    def duck(self, *, on: bool) -> None:
        """Speak more quietly, or loud again."""
        if self._utterance is not None:
            self._utterance.duck(on=on)

    # The reply

    def prepare(self, turn: Turn) -> None:
        """Lay the way to the line while the user speaks: later it would cost the reply time."""
        line = self._floor.line
        if line is not None:
            utterance = self._ready = Utterance(line, turn.number, self._floor.clock, lambda: self._first_sound(turn))
            playback = self._floor.spawn(self._play(turn, utterance), "playback")
            turn.ended.add_done_callback(lambda _: playback.cancel())

    def speech(self, turn: Turn) -> Utterance | None:
        """Where this turn's sound goes; None in a session of text."""
        if self._utterance is not None and self._utterance.turn != turn.number:
            self.rest()
        if self._utterance is None and self._floor.line is not None:
            if self._ready is None or self._ready.turn != turn.number:
                self.prepare(turn)
            self._utterance, self._ready, self._ringing = self._ready, None, ""
        return self._utterance

    async def complete(self, turn: Turn) -> None:
        """Nothing more will be said in this turn."""
        if self._utterance is not None:
            self._utterance.end()
        else:
            if turn.structure is None or self._floor.line is None:
                turn.heard = turn.reply.removeprefix(turn.kept).strip()  # what was kept is counted already
            self.over(turn)

    async def break_off(self, turn: Turn) -> None:
        """The reply ends in the middle: a sound says so."""
        if self._utterance is not None:
            await put(turn, self._utterance, self._floor.means.cues.cue("error"))
        await self.complete(turn)

    def silence(self, *, but: str = "\n") -> str:
        """Take away the right to speak, stop what is done for the turn but for tasks of this name; what was heard."""
        floor = self._floor
        utterance, self._utterance, self._ready, self._ringing = self._utterance, None, None, ""
        floor.cancel_turn_tasks(but=but)
        floor.drop_timer("stalled")
        if floor.turn is not None:
            failed = floor.turn.failed
            self._announcer.over(
                floor.turn, "failed" if failed else "cancelled", self._announcer.trouble or "interrupted"
            )
        if utterance is None:
            return ""
        utterance.abandon()
        return utterance.heard()

    def rest(self) -> None:
        """The turn is over: what is left of its right to speak is not the next one's."""
        utterance, self._utterance = self._utterance, None
        if utterance is not None:
            utterance.abandon()

    # The house's own words and sounds

    def own_words(self, turn: Turn, text: str, *, key: str = "") -> None:
        """Say something of the house's own, and end the reply with it.

        key: which of PHRASES it is: should no voice be left, it may have been spoken before.
        """
        self._announcer.trouble = ""
        if turn.structure is not None:  # whoever asked wants JSON or nothing
            self._floor.spawn(self.complete(turn), "complete")
            return
        turn.generated.append(text)
        self._floor.tell("reply.complete", {"turn_id": turn.id, "text": turn.reply})
        self._floor.spawn(self._speak(turn, text, key), "own words")

    def last_words(self, key: str) -> Sequence[Frame]:
        """What is played outside of any turn: one of PHRASES as it was spoken before, else the sound of an error."""
        return self._voice.ready(key)

    def cue(self, name: CueName, turn: Turn) -> None:
        """A short sound of this turn's: no part of its reply, and nothing waits for it."""
        frames = self._floor.means.cues.cue(name)
        if name == "wake":
            self.chime.beside_microphone(frames)
        elif frames and not turn.heard_out:  # else the backend was quicker than the word that it has begun
            utterance = self.speech(turn)
            if utterance is not None:
                self._floor.spawn(put(turn, utterance, frames, filler=True), "chime")

    # Sound

    async def _speak(self, turn: Turn, text: str, key: str) -> None:
        utterance = self.speech(turn)
        if utterance is None:
            await self.complete(turn)
            return
        if self._announcer.saying is not None:
            self._announcer.saying.state = "playing"
        trouble = await self._voice.say(turn, utterance, text, key=key, announcement=self._announcer.saying)
        self._announcer.trouble = trouble or self._announcer.trouble
        utterance.end()

    def _first_sound(self, turn: Turn) -> None:
        floor = self._floor
        if floor.turn is not turn:
            return
        if turn.first_audio_ms is None:  # else it goes on, or another backend gives again what broke off
            turn.first_audio_ms = round((floor.clock.monotonic() - turn.asked_at) * 1000, 1)
        if floor.machine.allows(Trigger.FIRST_SOUND):
            floor.machine.fire(Trigger.FIRST_SOUND, State.SPEAKING, epoch=turn.number)
        floor.mark(turn, "playback_started")
        floor.tell("playback.started", {})
        self._watch(turn, 0.0)

    def _watch(self, turn: Turn, pushed_s: float) -> None:
        """A reply whose sound has ended, but not its backend's sentence, ends after a while all the same.

        pushed_s: how much the line had been given when it was last looked at, so much and STALLED_S ago.
        """
        utterance = self._utterance
        if utterance is None or self._floor.turn is not turn:
            return
        heard_out = utterance.pushed_s == pushed_s and utterance.played_s > pushed_s - HAIR_S
        stalled = heard_out and not utterance.ended
        if stalled and self._floor.state is State.SPEAKING:
            turn.failed = True
            self._floor.spawn(self.break_off(turn), "stalled")
            return
        so_far = utterance.pushed_s
        self._floor.after("stalled", self.left_s + STALLED_S, lambda: self._watch(turn, so_far))

    async def _play(self, turn: Turn, utterance: Utterance) -> None:
        floor = self._floor
        ok = True
        try:
            await utterance.run()
        except VonadError as error:
            ok = False
            turn.failed = True
            self._announcer.trouble = "the satellite failed"
            floor.tell_error(error, "play")
        finally:
            utterance.abandon()
        heard = utterance.heard()
        if not ok:
            turn.follow_up = False  # nobody knows when it falls silent
            await clear(floor)
        if self._utterance is not utterance:
            return
        turn.heard = heard
        self._utterance, self._ringing, self._rings_for = None, utterance.spoken, turn
        floor.drop_timer("stalled")
        if utterance.sounded:
            floor.mark(turn, "playback_finished")
            floor.tell("playback.finished", {"ok": ok, "played_ms": round(utterance.played_s * 1000)})
        self._announcer.over(turn, "failed" if self._announcer.trouble else "finished", self._announcer.trouble)
        self.over(turn)
