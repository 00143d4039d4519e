"""The answer: takes what a dialogue says about the open turn: from what the user said to what the user hears."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from vonad.backend import (
    Diagnostic,
    EndOfSpeech,
    Overheard,
    Reply,
    ReplyDone,
    ReplyFailed,
    ReplyText,
    SkillRequest,
    SpeechStarted,
    Transcript,
)
from vonad.control import ControlEvent, FallBack, FallbackReason, Ignore, InjectContext
from vonad.engine import Outcome as Result
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.session.draft import Draft
from vonad.session.floor import Floor, interrupt_dialogue
from vonad.session.machine import State
from vonad.session.means import phrase
from vonad.session.mouth import Mouth
from vonad.session.skills import Skills
from vonad.session.structured import Structured
from vonad.session.turn import Outcome, Turn

INFORM_S = 1.0
"""What a backend may take to be told something: it says nothing meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who else in the session is told of what a dialogue says.

    ended:     the backend itself has found the end of the user's words, for this reason.
    partial:   words so far.
    began:     the user speaks, as the backend heard; whether that interrupts something.
    overheard: what somebody says while a reply plays, so far.
    quiet:     whether these words are nothing to answer.
    fall_back: another backend should take over; whether one does.
    """

    ended: Callable[[Turn, str], None]
    partial: Callable[[str], None]
    began: Callable[[], bool]
    overheard: Callable[[str], None]
    quiet: Callable[[Turn, str], bool]
    fall_back: Callable[[FallbackReason, VonadError], bool]


class Answer:
    """One for the whole session; everything in it is about the open turn."""

    def __init__(self, floor: Floor, mouth: Mouth, draft: Draft, told: Told) -> None:
        self.skills = Skills(floor, mouth, self.apologise, told.fall_back, draft.spoil)
        self.structured = Structured(floor, mouth, self.apologise)
        self._floor = floor
        self._mouth = mouth
        self._draft = draft
        self._told = told
        draft.acts = lambda: self.skills.waiting

    async def take(self, item: Reply) -> None:
        """What the dialogue says; what belongs to another turn comes too late."""
        floor = self._floor
        turn, state = floor.turn, floor.machine.state
        if turn is None or item.turn != turn.number or turn.outcome is not None or state is State.FALLING_BACK:
            return
        if (turn.source == "say" or state is State.LISTENING) and not self._asked_for(turn, item):
            return
        if turn.structure is not None and isinstance(item, Frame | ReplyText | ReplyDone):
            await self.structured.take(turn, turn.structure, item)
            return
        match item:
            case Frame():
                await self._sound(turn, item)
            case ReplyText():
                await self._text(turn, item.text)
            case ReplyDone():
                await self._done(turn, item)
            case ReplyFailed():
                self.failed(turn, item.error)
            case EndOfSpeech():
                self._told.ended(turn, item.reason)
            case Overheard():
                self._told.overheard(item.text)
            case SpeechStarted():
                if not self._told.began():
                    await self.interrupted(item)
            case _:
                await self._control(turn, item)

    async def ask(self, turn: Turn, text: str) -> None:
        """Have this text, the user's, answered."""
        floor = self._floor
        try:
            answered = floor.means.policy.user_text(text, lambda: floor.view(turn))
        except VonadError as error:
            floor.tell_error(error, "policy")
            self.apologise(turn, "failed")
            return
        turn.user_text = answered if answered != text else None
        turn.asked = True
        floor.tell("turn.final", {"turn_id": turn.id, "text": answered})
        if turn.structure is not None:
            self.skills.confirmation.drop()  # nobody who wants JSON has said yes
            await self.structured.ask(turn, turn.structure, answered)
            return
        if self.skills.confirmed(turn, answered):
            self._draft.drop()
            self.skills.forget()
            return
        prepared = self._draft.settle(turn, answered)
        if floor.dialogue is None:
            return  # whoever takes over asks it
        if prepared:
            self.skills.release(turn)
            if floor.dialogue is not None:
                await floor.dialogue.confirm()
        else:
            self.skills.forget()
            await floor.dialogue.say(answered)

    def apologise(self, turn: Turn, outcome: Outcome) -> None:
        """End the turn in the house's own words; whatever else the backend has to say about it comes too late."""
        floor, mouth = self._floor, self._mouth
        if floor.state is State.LISTENING:
            self._told.ended(turn, "cancelled")
            if floor.turn is not turn:
                return  # nobody had spoken
        turn.outcome = outcome
        floor.spawn(interrupt_dialogue(floor), "interrupt")
        if mouth.sounded and outcome != "budget_exceeded":
            floor.spawn(mouth.break_off(turn), "complete")
        else:
            mouth.own_words(turn, phrase(outcome, floor.plan.language), key=outcome)

    def _asked_for(self, turn: Turn, item: Reply) -> bool:
        """Whether this has its place in an announcement, or before the user's words have ended, as far as we know."""
        if turn.source == "say":
            return not (_answers(item) or isinstance(item, ReplyFailed))
        return not _answers(item) or self._heard_out(turn)

    def _heard_out(self, turn: Turn) -> bool:
        """A backend that itself finds where the user's words end has found it; any other answers too early."""
        if self._floor.capabilities.turn_detection:
            self._told.ended(turn, "silence")
        return self._floor.turn is turn and self._floor.state is not State.LISTENING

    # What is heard

    async def _sound(self, turn: Turn, frame: Frame) -> None:
        first = not frame.filler and "tts_first_audio" not in turn.stages
        if first:
            self._floor.mark(turn, "tts_first_audio")
        utterance = self._mouth.speech(turn)
        if utterance is not None:
            await utterance.put(frame)
            if first:
                await asyncio.sleep(0)  # it is played before the rest is taken, which may all be there

    async def _text(self, turn: Turn, text: str) -> None:
        floor = self._floor
        floor.mark(turn, "agent_first_token")
        turn.generated.append(text)
        turn.unsaid = ""
        floor.tell("reply.delta", {"text": text})
        utterance = self._mouth.speech(turn)
        if utterance is not None:
            await utterance.sentence(text)

    async def _done(self, turn: Turn, item: ReplyDone) -> None:
        turn.usage = item.usage
        if not item.understood and not turn.prompt:  # nobody misses a greeting
            self.apologise(turn, "not_understood")
            return
        self._floor.means.backends.succeeded(self._floor.backend)
        if turn.reply:
            self._floor.tell("reply.complete", {"turn_id": turn.id, "text": turn.reply})
        await self._mouth.complete(turn)

    def failed(self, turn: Turn, error: VonadError) -> None:
        """The backend has no answer: another one's, else an apology."""
        floor = self._floor
        if error.code in {"budget_exceeded", "hook_denied"}:  # the house's own doing: the next would fare no better
            floor.tell_error(error, "backend")
            self.apologise(turn, "budget_exceeded" if error.code == "budget_exceeded" else "failed")
            return
        if self._told.fall_back("backend_unavailable", error):
            return
        floor.tell_error(error, "backend")
        self.apologise(turn, "failed")

    # What is done besides

    async def interrupted(self, event: SpeechStarted) -> None:
        """The user broke in. Policy sees it when our output has been cleared: what it decides can only follow."""
        floor = self._floor
        decision = floor.means.policy.control(event, floor.view)
        if isinstance(decision, FallBack):
            message = decision.detail or f"policy does not want backend {floor.backend} after an interruption"
            self._told.fall_back("control_rejected", VonadError("control_rejected", message, op=floor.backend))
        elif isinstance(decision, InjectContext):
            await self._inform(decision)

    async def _control(self, turn: Turn, event: ControlEvent) -> None:
        """As policy decides: a rejected wish is answered, so that nobody waits for it."""
        floor = self._floor
        decision = floor.means.policy.control(event, lambda: floor.view(turn))
        if isinstance(event, SkillRequest) and isinstance(decision, Ignore | FallBack):
            self.skills.refused(turn, event.call, decision)
        if isinstance(decision, Ignore):
            if isinstance(event, SkillRequest) and floor.dialogue is not None:
                await floor.dialogue.answer(event.call.id, Result("", ok=False, code="control_rejected"))
            elif isinstance(event, Transcript) and event.final and not (turn.asked or floor.capabilities.hears):
                self.apologise(turn, "failed")  # nobody is asked for an answer: waiting for one would be for nothing
            return
        if isinstance(decision, FallBack):
            message = f"policy rejected what backend {floor.backend} did: {decision.detail or type(event).__name__}"
            error = VonadError("control_rejected", message, op=floor.backend)
            if not self._told.fall_back("control_rejected", error):
                floor.tell_error(error, "policy")
                self.apologise(turn, "failed")
            return
        if isinstance(decision, InjectContext):
            await self._inform(decision)
        match event:
            case Transcript():
                await self._transcript(turn, event)
            case SkillRequest():
                await self._wish(turn, event)
            case Diagnostic():
                told = "retrying" if event.retrying else "backend.diagnostic"
                floor.tell(told, {"name": floor.backend, "message": event.message})

    async def _wish(self, turn: Turn, wish: SkillRequest) -> None:
        floor = self._floor
        if turn.asked and self._draft.guessed(turn) and floor.means.desk.risk(wish.call.name) != "read":
            self._draft.drop()
            self.skills.forget()
            if floor.dialogue is not None:
                await floor.dialogue.say(turn.said)
        else:
            self.skills.request(turn, wish)

    async def _inform(self, decision: InjectContext) -> None:
        """Tell the backend what policy wants it to know, if it can be told anything."""
        floor = self._floor
        if floor.dialogue is None or not floor.capabilities.context_injection:
            return
        try:
            async with floor.clock.deadline(INFORM_S):
                await floor.dialogue.inject(decision.event)
        except TimeoutError:
            message = f"backend {floor.backend} did not take what policy wants it to know within {INFORM_S:g} s"
            floor.tell_error(VonadError("timeout", message, op=floor.backend), "inject")
        except VonadError as error:
            floor.tell_error(error, "inject")

    async def _transcript(self, turn: Turn, item: Transcript) -> None:
        floor, text = self._floor, item.text.strip()
        if not item.final:
            if text and text != turn.transcript:
                turn.transcript = text
                floor.tell("transcript.partial", {"text": text})
            self._told.partial(text)  # the same words again still stand: a pause may end the turn
            return
        if turn.asked and not floor.capabilities.hears:
            return  # these words, or others, are being answered
        floor.mark(turn, "stt")
        turn.transcript = text or None
        floor.tell("transcript.final", {"text": text})
        if self._told.quiet(turn, text):
            turn.outcome = "empty" if turn.transcript is None else "completed"
            await interrupt_dialogue(floor)
            await self._mouth.complete(turn)
        elif not text:
            self.apologise(turn, "not_understood")
        elif floor.capabilities.hears:
            turn.asked = True
            floor.tell("turn.final", {"turn_id": turn.id, "text": text})
        else:
            await self.ask(turn, text)


def _answers(item: Reply) -> bool:
    """Whether this is a part of an answer: it can only follow the user's words."""
    match item:
        case Transcript(final=final):
            return final
        case SkillRequest(early=early):
            return not early
        case _:
            return isinstance(item, Frame | ReplyText | ReplyDone)
