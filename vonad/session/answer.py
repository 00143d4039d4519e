"""The answer: takes what a dialogue says about the open turn, and has skills run for it."""

from collections.abc import Callable
from dataclasses import replace

from vonad.backend import (
    EndOfSpeech,
    Reply,
    ReplyDone,
    ReplyFailed,
    ReplyText,
    SkillRequest,
    SpeechStarted,
    Transcript,
)
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.session.floor import Floor
from vonad.session.machine import State, Trigger
from vonad.session.means import phrase
from vonad.session.mouth import Mouth
from vonad.session.turn import Outcome, Turn
from vonad.skill import SkillCall


class Answer:
    """Moves the session from what was said to what is heard.

    native: the backend answers sound itself; otherwise its final transcript is handed back to it as text.
    heard_end: called when the backend itself has found the end of the user's turn.
    """

    def __init__(self, floor: Floor, mouth: Mouth, heard_end: Callable[[Turn, str], None]) -> None:
        self.native = False
        self._floor = floor
        self._mouth = mouth
        self._heard_end = heard_end

    async def pump(self) -> None:
        """Take everything the dialogue says, until it ends."""
        floor = self._floor
        assert floor.dialogue is not None
        async for item in floor.dialogue.replies():
            turn = floor.turn
            if turn is not None and item.turn == turn.number and turn.outcome is None:
                await self._take(turn, item)

    async def ask(self, turn: Turn, text: str) -> None:
        """Have this text, the user's, answered."""
        floor = self._floor
        try:
            answered = floor.means.policy.user_text(text, floor.view(turn))
        except VonadError as error:
            floor.tell_error(error, "policy")
            self.apologise(turn, "failed")
            return
        turn.user_text = answered if answered != text else None
        floor.tell("turn.final", {"turn_id": turn.id, "text": answered})
        if floor.dialogue is not None:
            await floor.dialogue.say(answered)

    def apologise(self, turn: Turn, outcome: Outcome) -> None:
        """End the turn in the house's own words; whatever else the backend has to say about it comes too late."""
        floor, mouth = self._floor, self._mouth
        turn.outcome = outcome
        floor.spawn(interrupt_dialogue(floor), "interrupt")
        if mouth.sounded:
            floor.spawn(mouth.complete(turn), "complete")
        else:
            mouth.own_words(turn, phrase(outcome, floor.plan.language))

    async def _take(self, turn: Turn, item: Reply) -> None:
        floor = self._floor
        match item:
            case Frame():
                floor.mark(turn, "tts_first_audio")
                utterance = self._mouth.speech(turn)
                if utterance is not None:
                    await utterance.put(item)
            case Transcript():
                await self._transcript(turn, item)
            case SkillRequest():
                self._skill(turn, item.call)
            case ReplyText():
                await self._text(turn, item.text)
            case ReplyDone():
                await self._done(turn, item)
            case ReplyFailed():
                floor.tell_error(item.error, "backend")
                if floor.state is State.LISTENING:
                    self._heard_end(turn, "cancelled")
                self.apologise(turn, "failed")
            case EndOfSpeech():
                self._heard_end(turn, item.reason)
            case SpeechStarted():
                pass

    async def _transcript(self, turn: Turn, item: Transcript) -> None:
        floor = self._floor
        if not item.final:
            if item.text and item.text != turn.transcript:
                turn.transcript = item.text
                floor.tell("transcript.partial", {"text": item.text})
            return
        floor.mark(turn, "stt")
        turn.transcript = item.text or None
        floor.tell("transcript.final", {"text": item.text})
        if not item.text:
            self.apologise(turn, "not_understood")
        elif self.native:
            floor.tell("turn.final", {"turn_id": turn.id, "text": item.text})
        else:
            await self.ask(turn, item.text)

    async def _text(self, turn: Turn, text: str) -> None:
        floor = self._floor
        floor.mark(turn, "agent_first_token")
        turn.generated.append(text)
        floor.tell("reply.delta", {"text": text})
        utterance = self._mouth.speech(turn)
        if utterance is not None:
            await utterance.sentence(text)

    async def _done(self, turn: Turn, item: ReplyDone) -> None:
        turn.usage = item.usage
        if not item.understood:
            self.apologise(turn, "not_understood")
            return
        if turn.reply:
            self._floor.tell("reply.complete", {"turn_id": turn.id, "text": turn.reply})
        await self._mouth.complete(turn)

    def _skill(self, turn: Turn, call: SkillCall) -> None:
        floor = self._floor
        turn.running_skills += 1
        if floor.machine.allows(Trigger.SKILL_CALLS):
            floor.machine.fire(Trigger.SKILL_CALLS, State.EXECUTING_SKILL)
        floor.spawn(self._run_skill(turn, call), f"skill {call.name}")

    async def _run_skill(self, turn: Turn, call: SkillCall) -> None:
        floor = self._floor
        settled = await floor.means.desk.run(
            call,
            turn_id=turn.id,
            text=turn.said,
            previous_reply=floor.last_reply,
            session=floor.view(turn),
            language=floor.plan.language,
            tell=lambda type_, data: floor.tell(type_, data, turn=turn.number),
        )
        if floor.turn is not turn:
            return
        floor.mark(turn, "skill")
        if settled.follow_up is not None:
            turn.follow_up = settled.follow_up
        outcome = settled.outcome
        if not outcome.ok:
            turn.failed = True
            key = "not_allowed" if outcome.code == "skill_rejected" else "failed"
            outcome = replace(outcome, speech=phrase(key, floor.plan.language))
        turn.running_skills -= 1
        if turn.running_skills == 0 and floor.state is State.EXECUTING_SKILL:
            after = State.SPEAKING if self._mouth.sounded else State.PROCESSING
            floor.machine.fire(Trigger.SKILLS_SETTLED, after)
        if floor.dialogue is not None:
            await floor.dialogue.answer(call.id, outcome)


async def interrupt_dialogue(floor: Floor) -> None:
    """Have the dialogue drop what it is doing."""
    if floor.dialogue is not None:
        await floor.dialogue.interrupt()
