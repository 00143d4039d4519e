"""The mouth: speaks for the turn that has the floor, and for the house itself, on one line."""

from collections.abc import Callable
from dataclasses import replace

from vonad.errors import VonadError
from vonad.session.announcement import Announcement, Announcements
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger
from vonad.session.turn import Turn
from vonad.session.utterance import Utterance
from vonad.streams import closing

STALLED_S = 5.0
"""Silence in the middle of a reply after which its backend is taken to have lost the thread."""


class Mouth:
    """One utterance at a time.

    over: called when a turn's reply has been heard to its end, or cannot be.
    """

    def __init__(self, floor: Floor, over: Callable[[Turn], None]) -> None:
        self.announcements = Announcements()
        self.announcing: Announcement | None = None
        self._floor = floor
        self._over = over
        self._utterance: Utterance | None = None

    @property
    def sounded(self) -> bool:
        """Whether something of the open turn's reply can have been heard."""
        return self._utterance is not None and self._utterance.sounded

    @property
    def played_ms(self) -> int:
        """How much of the open turn's reply has been heard."""
        return round(self._utterance.played_s * 1000) if self._utterance is not None else 0

    @property
    def spoken(self) -> str:
        """What of the open turn's reply has begun to sound."""
        return self._utterance.spoken if self._utterance is not None else ""

    def duck(self, *, on: bool) -> None:
        """Speak more quietly, or loud again."""
        if self._utterance is not None:
            self._utterance.duck(on=on)

    def speech(self, turn: Turn) -> Utterance | None:
        """Where this turn's sound goes; None in a session of text."""
        floor = self._floor
        if floor.line is None:
            return None
        if self._utterance is None:
            utterance = Utterance(floor.line, turn.number, floor.clock, lambda: self._first_sound(turn))
            self._utterance = utterance
            floor.spawn(self._play(turn, utterance), "playback")
        return self._utterance

    async def complete(self, turn: Turn) -> None:
        """Nothing more will be said in this turn."""
        if self._utterance is not None:
            await self._utterance.end()
        else:
            turn.heard = turn.reply
            self._over(turn)

    def own_words(self, turn: Turn, text: str) -> None:
        """Say something of the house's own, and end the reply with it."""
        turn.generated.append(text)
        self._floor.tell("reply.complete", {"turn_id": turn.id, "text": turn.reply})
        self._floor.spawn(self._speak(turn, text), "own words")

    def silence(self, *, but: str = "\n") -> str:
        """Take away the right to speak, and stop what is done for the turn but for tasks of this name; what was heard."""
        utterance, self._utterance = self._utterance, None
        self._floor.cancel_turn_tasks(but=but)
        self._floor.drop_timer("stalled")
        if self.announcing is not None:
            self.said(self.announcing, ok=False, reason="interrupted")
        return utterance.heard() if utterance is not None else ""

    def said(self, announcement: Announcement, *, ok: bool, reason: str = "") -> None:
        """Acknowledge an announcement."""
        self.announcing = None
        self._floor.tell("say.finished", {"id": announcement.id, "ok": ok, "reason": reason})
        if not announcement.done.done():
            announcement.done.set_result(ok)

    def forget(self, reason: str) -> int:
        """Drop what waits to be announced; how many that were."""
        count = len(self.announcements)
        while (waiting := self.announcements.next()) is not None:
            self._floor.tell("say.finished", {"id": waiting.id, "ok": False, "reason": reason})
            if not waiting.done.done():
                waiting.done.set_result(False)
        return count

    async def _speak(self, turn: Turn, text: str) -> None:
        floor = self._floor
        utterance = self.speech(turn)
        if utterance is None:
            await self.complete(turn)
            return
        await utterance.sentence(text)
        try:
            async with closing(floor.means.voice(text, floor.plan.language, floor.plan.style)) as frames:
                async for frame in frames:
                    await utterance.put(replace(frame, turn=turn.number))
        except VonadError as error:
            floor.tell_error(error, "tts")
        await utterance.end()

    def _first_sound(self, turn: Turn) -> None:
        floor = self._floor
        if floor.turn is not turn:
            return
        turn.first_audio_ms = round((floor.clock.monotonic() - turn.asked_at) * 1000, 1)
        floor.mark(turn, "playback_started")
        if floor.machine.allows(Trigger.FIRST_SOUND):
            floor.machine.fire(Trigger.FIRST_SOUND, State.SPEAKING, epoch=turn.number)
        floor.tell("playback.started", {})
        self._watch(turn, 0.0)

    def _watch(self, turn: Turn, pushed_s: float) -> None:
        """A reply whose sound has ended, but not its backend's sentence, ends after a while all the same."""
        utterance = self._utterance
        if utterance is None or self._floor.turn is not turn:
            return
        stalled = utterance.pushed_s == pushed_s and utterance.played_s >= pushed_s and not utterance.ended
        if stalled and self._floor.state is State.SPEAKING:
            turn.failed = True
            self._floor.spawn(utterance.end(), "stalled")
            return
        so_far = utterance.pushed_s
        self._floor.after("stalled", STALLED_S, lambda: self._watch(turn, so_far))

    async def _play(self, turn: Turn, utterance: Utterance) -> None:
        floor = self._floor
        ok = True
        try:
            await utterance.run()
        except VonadError as error:
            ok = False
            floor.tell_error(error, "play")
        if self._utterance is not utterance:
            return
        turn.heard = utterance.heard()
        self._utterance = None
        floor.drop_timer("stalled")
        if utterance.sounded:
            floor.mark(turn, "playback_finished")
            floor.tell("playback.finished", {"ok": ok, "played_ms": round(utterance.played_s * 1000)})
        if self.announcing is not None:
            self.said(self.announcing, ok=ok and utterance.sounded, reason="" if ok else "the satellite failed")
        self._over(turn)
