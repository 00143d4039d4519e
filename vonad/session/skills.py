"""Skills: those that a turn has asked for, from the wish to what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from vonad.backend import SkillRequest
from vonad.control import FallBack, FallbackReason, Ignore
from vonad.engine import Outcome as SkillOutcome
from vonad.errors import VonadError
from vonad.session.confirmation import Confirmation
from vonad.session.contact import Contact
from vonad.session.floor import Floor, interrupt_dialogue
from vonad.session.machine import State, Trigger
from vonad.session.means import phrase
from vonad.session.mouth import Mouth
from vonad.session.turn import Outcome, Structure, Turn
from vonad.skill import SkillCall
from vonad.skills.attempt import Settled
from vonad.skills.pending import Pending, sealed

REASONS: Mapping[str, FallbackReason] = {"skill_timeout": "tool_timeout", "skill_failed": "tool_failed"}
"""How a skill ended → why another backend could take over."""


@dataclass(slots=True, eq=False)
class Early:
    """A call of a prepared answer, begun because it only reads.

    by:      the dialogue that prepares.
    wanted:  whether that is the answer; None: nobody knows yet. Until then it means nothing to the turn.
    settled: what came of it, if it was over before that.
    """

    call: SkillCall
    by: Contact | None
    wanted: bool | None = None
    settled: Settled | None = None


class Skills:
    """Has them run at the desk, and hands back what came of them.

    A wish that belongs to a prepared answer is granted at once if the skill only reads; else it waits until the user's
    words are known to be these.

    unusable: called when a prepared answer wants what can only be had for final words: nobody is asked for a yes, or
              told that the budget is used up, while they speak.
    begun:    told of each that the answer waits for.
    """

    def __init__(
        self,
        floor: Floor,
        mouth: Mouth,
        apologise: Callable[[Turn, Outcome], None],
        fall_back: Callable[[FallbackReason, VonadError], bool],
        unusable: Callable[[], None],
    ) -> None:
        self.begun: Callable[[], None] = lambda: None
        self.confirmation = Confirmation(floor)
        floor.sentences = lambda: self.confirmation.sentences(floor.means.sentences())
        floor.finished = self._over
        self._floor = floor
        self._mouth = mouth
        self._apologise = apologise
        self._fall_back = fall_back
        self._unusable = unusable
        self._waiting: list[SkillRequest] = []
        self._early: list[Early] = []
        self._released = True

    @property
    def waiting(self) -> bool:
        """Whether the prepared answer wants something done."""
        return bool(self._waiting)

    def request(self, turn: Turn, wish: SkillRequest) -> None:
        """The dialogue wants a skill run."""
        desk = self._floor.means.desk
        if turn.structure is not None and turn.structure.retries and self._done_before(turn.structure, wish.call):
            return
        if not wish.early or (turn.asked and self._released):
            self._begin(turn, wish.call)
        elif turn.asked:
            return  # by an answer that is not wanted
        elif desk.risk(wish.call.name) != "read":
            self._waiting.append(wish)
        elif turn.budget is not None and turn.budget.skill_calls_left <= len(self._early):
            self._unusable()
        else:
            early = Early(wish.call, self._floor.dialogue)
            self._early.append(early)
            self._floor.spawn(self._run(turn, wish.call, early=early), f"skill {wish.call.name}")

    def _done_before(self, structure: Structure, call: SkillCall) -> bool:
        """Whether it is not to run: a reply asked for again is to have another form, and nothing is done for it."""
        floor = self._floor
        arguments = sealed(call.arguments)
        outcome = structure.outcomes.get((call.name, arguments)) if arguments else None
        if outcome is None and floor.means.desk.risk(call.name) in {"reversible", "sensitive"}:
            outcome = _refused("the reply was asked for again, and nothing is done for that")
        if outcome is None:
            return False
        if floor.dialogue is not None:
            floor.spawn(floor.dialogue.answer(call.id, outcome), f"skill {call.name} again")
        return True

    def refused(self, turn: Turn, call: SkillCall, decision: Ignore | FallBack) -> None:
        """Policy does not want what the dialogue wants: it is not even tried."""
        floor = self._floor
        why = (decision.detail if isinstance(decision, FallBack) else "") or "review_control_event does not want it"
        floor.means.desk.refuse(
            call,
            turn_id=turn.id,
            why=VonadError("control_rejected", why, op=call.name),
            tell=lambda type_, data: floor.tell(type_, data, turn=turn.number),
        )
        floor.metrics.skill("rejected")

    def release(self, turn: Turn) -> None:
        """The prepared answer is the answer: what was read for it counts, and what waited for that runs now."""
        early, waiting = self._early, self._waiting
        self._early, self._waiting, self._released = [], [], True
        for read in early:
            read.wanted = True
            if turn.budget is not None:
                turn.budget.skill_call()
            if read.settled is None:
                self._executing(turn, read.call)
        for read in early:
            if read.settled is None:
                continue
            self._floor.mark(turn, "skill")
            if self._moved_on(turn, read.call.name, read.settled.outcome.code):
                return
            self._note(turn, read.settled)
        for wish in waiting:
            self._begin(turn, wish.call)

    def forget(self) -> None:
        """Nothing is a part of a prepared answer any more: what waited is not wanted, what was read means nothing."""
        for read in self._early:
            read.wanted = False
        self._early, self._waiting, self._released = [], [], False

    def confirmed(self, turn: Turn, text: str) -> bool:
        """Whether this text answers a question that a skill waits on; then what comes of it is the turn's answer."""
        pending = self.confirmation.pending
        if pending is None:
            return False
        verdict = self.confirmation.answered(text, self._floor.plan.language)
        if verdict is None:
            return False
        if verdict == "no":
            self._mouth.own_words(turn, phrase("confirm_no", self._floor.plan.language), key="confirm_no")
        else:
            self._begin(turn, pending.call, confirmed=True)
        return True

    def _begin(self, turn: Turn, call: SkillCall, *, confirmed: bool = False) -> None:
        if self._floor.means.desk.risk(call.name) != "read":
            turn.acted = True
            self._floor.means.journal.turn_said(turn.id, turn.transcript, turn.user_text)
        self._executing(turn, call)
        self._floor.spawn(self._run(turn, call, confirmed=confirmed), f"skill {call.name}")

    def _executing(self, turn: Turn, call: SkillCall) -> None:
        """The answer waits for this call."""
        machine = self._floor.machine
        turn.running_skills += 1
        turn.skill_budget_s = max(turn.skill_budget_s, self._floor.means.desk.timeout_s(call.name))
        if machine.allows(Trigger.SKILL_CALLS):
            machine.fire(Trigger.SKILL_CALLS, State.EXECUTING_SKILL)
        self.begun()

    async def _run(self, turn: Turn, call: SkillCall, *, confirmed: bool = False, early: Early | None = None) -> None:
        floor = self._floor
        settled = await floor.means.desk.run(
            call,
            turn_id=turn.id,
            text=turn.said,
            previous_reply=floor.last_reply,
            session=floor.view(turn),
            language=floor.plan.language,
            tell=lambda type_, data: floor.tell(type_, data, turn=turn.number),
            budget=turn.budget if early is None else None,
            confirmed=confirmed,
            may_ask=early is None or early.wanted is True,
        )
        outcome = settled.outcome
        floor.metrics.skill(settled.end)
        if early is not None and early.wanted is not True:
            await self._read(turn, early, settled)
            return
        turn.running_skills -= 1
        if floor.turn is not turn or floor.over or turn.outcome is not None:
            return
        floor.mark(turn, "skill")
        if outcome.code == "budget_exceeded":
            self._apologise(turn, "budget_exceeded")
            return
        if self._moved_on(turn, call.name, outcome.code):
            return
        await self._settled(turn, call, settled, answered_here=confirmed)

    async def _read(self, turn: Turn, early: Early, settled: Settled) -> None:
        """It is over before anybody knows whether it is wanted, or though it is not: only who asked for it is told."""
        floor = self._floor
        early.settled = settled
        if settled.end == "cancelled" and early.wanted is None:
            self._unusable()
        if floor.turn is turn and floor.dialogue is not None and floor.dialogue is early.by:
            await floor.dialogue.answer(early.call.id, self._told(settled.outcome))

    def _moved_on(self, turn: Turn, name: str, code: str) -> bool:
        """Whether another backend takes over because of this: policy may want that; by default it does not.

        Never once something was done: it would be done again.
        """
        if turn.acted or code not in REASONS:
            return False
        why = VonadError(code, f"skill {name}, which backend {self._floor.backend} had asked for, ended in {code}")
        return self._fall_back(REASONS[code], why)

    async def _settled(self, turn: Turn, call: SkillCall, settled: Settled, *, answered_here: bool) -> None:
        floor = self._floor
        if settled.confirm is not None and turn.structure is not None:
            why = "it needs the user's yes, and nobody is asked in a turn that is answered in JSON"
            settled = replace(settled, outcome=_refused(why))
        elif settled.confirm is not None:
            self._ask(turn, settled.confirm)
            return
        outcome = self._note(turn, settled)
        if turn.structure is not None:
            turn.structure.outcomes[call.name, sealed(call.arguments)] = outcome
        if turn.running_skills == 0 and floor.state is State.EXECUTING_SKILL:
            floor.machine.fire(Trigger.SKILLS_SETTLED, self._mouth.wait())
        if answered_here or turn.orphaned:
            if turn.running_skills == 0 and floor.state is not State.FALLING_BACK:
                self.say_unsaid(turn)
        elif floor.dialogue is not None:
            await floor.dialogue.answer(call.id, outcome)

    def _note(self, turn: Turn, settled: Settled) -> SkillOutcome:
        """What it means to the turn; as the dialogue is told."""
        outcome = self._told(settled.outcome)
        if settled.follow_up is not None:
            turn.follow_up = settled.follow_up
        if not outcome.ok:
            turn.failed = True
        elif not outcome.speech and outcome.payload is None:
            turn.quiet = True
        turn.unsaid = " ".join(part for part in (turn.unsaid, outcome.speech) if part)
        return outcome

    def _told(self, outcome: SkillOutcome) -> SkillOutcome:
        """With an apology for what was not done."""
        if outcome.ok:
            return outcome
        key = "not_allowed" if outcome.code == "skill_rejected" else "failed"
        return replace(outcome, speech=phrase(key, self._floor.plan.language))

    def _ask(self, turn: Turn, pending: Pending) -> None:
        """The house asks, in its own words: no model gets to put the question, or to answer it."""
        floor = self._floor
        self.confirmation.asked(pending, turn=turn.number)
        turn.follow_up, turn.outcome, turn.confirm = True, "completed", True
        if floor.state is State.EXECUTING_SKILL:
            floor.machine.fire(Trigger.SKILLS_SETTLED, self._mouth.wait())
        floor.spawn(interrupt_dialogue(floor), "interrupt")
        self._mouth.own_words(turn, pending.prompt)

    def _over(self, turn: Turn) -> None:
        """A microphone that made way before anybody had spoken was no answer: the typed one may be."""
        if turn.outcome != "superseded" or turn.said:
            self.confirmation.over(turn.number)

    def say_unsaid(self, turn: Turn) -> None:
        """No backend will say what the skills had to say: the house does."""
        if turn.structure is not None:
            why = "its backend was lost after something had been done, which is not done again: there is no reply"
            self._floor.tell_error(VonadError("backend_unavailable", f"turn {turn.id}: {why}"), "output")
            self._apologise(turn, "failed")
        elif turn.unsaid:
            self._mouth.own_words(turn, turn.unsaid)
        else:
            self._floor.spawn(self._mouth.complete(turn), "complete")


def _refused(why: str) -> SkillOutcome:
    """For an agent that is to answer in JSON: it may say so there."""
    return SkillOutcome("", ok=False, code="skill_rejected", payload={"done": False, "why": why})
