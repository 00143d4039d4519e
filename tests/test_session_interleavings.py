"""Interleavings: whatever happens to a session in whatever order, it keeps its rules and comes to rest."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.conversation import FAILURE, Conversation, conversation
from vonad.backend import (
    BackendCapabilities,
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
from vonad.errors import VonadError
from vonad.events import COARSE
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.plan import ContextEvent, InjectMode, Plan, Wake
from vonad.session.announcement import Announcement, new_announcement
from vonad.session.machine import TRANSITIONS, State
from vonad.session.session import Session
from vonad.skill import AnySkill, Call, NoArgs, Risk, SkillCall, skill
from vonad.testing import (
    ManualClock,
    ScriptedBackend,
    ScriptedDialogue,
    ScriptedHost,
    ScriptedLine,
    quiet,
    settle,
    speech,
)

REFUSALS = frozenset({"invalid_state", "session_busy", "overload", "capability_unsupported"})
"""What a verb may say instead of doing something."""

DEFECTS = frozenset({"internal_error", "invalid_state"})
"""Errors that a session tells of only if it is wrong itself."""

OUTCOMES = frozenset({"completed", "interrupted", "superseded", "failed", "empty", "not_understood", "budget_exceeded"})

ANSWERING = frozenset({State.PROCESSING, State.EXECUTING_SKILL, State.SPEAKING})
"""States in which sound of a turn may be given to the line."""

TERMINAL = frozenset({"skill.result", "skill.timeout", "skill.rejected", "skill.confirm"})

MOVES = frozenset((before, after) for (before, _), to in TRANSITIONS.items() for after in to)

METHODS = ("begin", "say", "hear", "overhear", "commit", "interrupt", "answer", "ping", "prepare", "confirm", "fill")
"""What a dialogue may be bad at."""

PROMPT = frozenset({"hear", "overhear"})
"""Those that are promised to return at once."""

BACKENDS = {
    "plain": BackendCapabilities(),
    "overhears": BackendCapabilities(overhears=True),
    "realtime": BackendCapabilities(hears=True, turn_detection=True, context_injection=True),
    "drafts": BackendCapabilities(prepares=True, fills=True, overhears=True),
}


async def test_an_answer_before_the_words_have_ended_does_not_speak_into_the_open_microphone() -> None:
    async with conversation() as story:
        story.dialogue.emit(ReplyText(1, "Too early."), Frame(speech(1.0).samples, 16_000, turn=1), ReplyDone(1))
        await settle()
        assert (story.session.state, story.line.sound) == ("listening", [])
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        assert story.outcomes == ["completed"]


async def test_a_backend_that_finds_the_end_itself_has_found_it_when_it_answers() -> None:
    realtime = BackendCapabilities(hears=True, turn_detection=True)
    async with conversation(capabilities=realtime) as story:
        await story.hear(speech(0.5))
        story.dialogue.emit(Transcript(1, "what time is it", final=True))
        await settle()
        assert story.states == ["listening", "processing"]


async def test_words_that_are_being_answered_are_not_asked_again() -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("what time is it")
        await story.understood("what time is it")
        assert [said for said in story.dialogue.told if said.startswith("say")] == ["say what time is it"]


async def test_nothing_of_an_answer_belongs_to_an_announcement() -> None:
    line = ScriptedLine()
    async with conversation(plan=Plan(satellite="desk", backends=("scripted",), purpose="idle"), line=line) as story:
        line.hold()
        story.session.say(new_announcement("Dinner is ready."))
        await settle()
        await story.understood("turn on the lamp")
        line.release()
        await settle()
        assert story.dialogue.told == []
        assert story.outcomes == ["completed"]


async def test_what_is_stopped_just_before_its_follow_up_does_not_open_the_microphone_again() -> None:
    line = WatchedLine(full_duplex=False, position=True)
    plan = Plan(satellite="desk", backends=("scripted",), follow_up="always")
    async with conversation(plan=plan, line=line, before=line.watch) as story:
        await story.say_command()
        await story.understood("what time is it", "It is noon.")
        assert story.session.state == "speaking"
        line.clears_so = "hangs"
        story.session.stop()
        await story.clock.advance(2.0)
        assert story.states == ["listening", "processing", "speaking", "interrupted", "idle"]
        assert story.outcomes == ["completed"]
        line.clears_so = ""


class WatchedLine(ScriptedLine):
    """Notes sound that should not have come.

    late:   what was played though its turn did not have the floor.
    clears_so: "" clears at once, "fails" raises, "hangs" never returns.
    """

    def __init__(self, *, full_duplex: bool, position: bool) -> None:
        super().__init__(full_duplex=full_duplex, position=position)
        self.session: Session | None = None
        self.clears_so = ""
        self.late: list[str] = []
        self.hushed = 0

    def watch(self, session: Session) -> None:
        """Look at this session whenever something is played."""
        self.session = session

    async def play(self, frame: Frame) -> None:
        assert self.session is not None
        turn, state = self.session.turn, self.session.state
        if turn is None or turn.number != frame.turn or state not in ANSWERING:
            now = turn.number if turn is not None else None
            self.late.append(f"sound of turn {frame.turn} while {state} in turn {now}")
        if frame.turn == self.hushed:
            self.late.append(f"sound of turn {frame.turn} after it was to fall silent")
        await super().play(frame)

    def hush(self) -> None:
        super().hush()
        assert self.session is not None
        assert self.session.turn is not None
        self.hushed = self.session.turn.number
        if self.clears_so == "fails":
            raise RuntimeError("it goes on playing")

    async def clear(self) -> None:
        await super().clear()
        if self.clears_so == "fails":
            raise VonadError("transport_clear_failed", "it goes on playing", op="clear")
        if self.clears_so == "hangs":
            await asyncio.Event().wait()


class Interleavings(RuleBasedStateMachine):
    """Somebody speaks, a backend answers or does not, things break, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.words = 0
        self.calls = 0
        self.ran: dict[str, tuple[str, int, int]] = {}
        self.twice: list[str] = []
        self.running: dict[str, asyncio.Future[str]] = {}
        self.announced: list[Announcement] = []

    # Its life

    @initialize(
        full_duplex=st.booleans(),
        position=st.booleans(),
        kind=st.sampled_from(sorted(BACKENDS)),
        backends=st.integers(1, 3),
        purpose=st.sampled_from(["listen", "idle", "text", "say"]),
        follow_up=st.sampled_from(["auto", "always"]),
    )
    def opens(
        self, *, full_duplex: bool, position: bool, kind: str, backends: int, purpose: str, follow_up: str
    ) -> None:
        names = ("scripted", "second", "third")[:backends]
        plan = Plan(satellite="desk", backends=names)
        plan = replace(plan, purpose=purpose, follow_up=follow_up, text="words" if purpose == "text" else None)
        self.line = WatchedLine(full_duplex=full_duplex, position=position)
        self.first = ScriptedBackend(BACKENDS[kind])
        self.others = {name: ScriptedBackend() for name in names[1:]}
        self.leave = asyncio.Event()
        opened: asyncio.Future[Conversation] = self.loop.create_future()
        self.life = self.loop.create_task(self._live(plan, opened), name="life")
        self.loop.run_until_complete(asyncio.wait((opened, self.life), return_when=asyncio.FIRST_COMPLETED))
        self.story = opened.result() if opened.done() else self.life.result()

    async def _live(self, plan: Plan, opened: asyncio.Future[Conversation]) -> None:
        def begin(session: Session) -> None:
            self.line.watch(session)
            if plan.purpose == "say":
                session.say(self._announcement(0))

        skills = (self._skill("look", "read"), self._skill("act", "reversible"))
        async with conversation(
            plan=plan, backend=self.first, others=self.others, line=self.line, skills=skills, before=begin
        ) as story:
            opened.set_result(story)
            await self.leave.wait()

    def teardown(self) -> None:
        if not hasattr(self, "story"):
            self.loop.close()
            return
        try:
            self._do(self.clock.advance(400))
            resting = {State.IDLE, State.AWAY, State.CLOSING, State.CLOSED}
            assert self.session.state in resting, f"stuck: {self.session.state} after {self.story.events[-12:]}"
            self.keeps_its_rules()
            self._verb(lambda: self.session.close("user_ended"))
            self._do(self.clock.advance(10))
            assert self.session.state is State.CLOSED
        finally:
            self._verb(lambda: self.session.close("shutdown"))
            self._do(self.clock.advance(10))
            self.leave.set()
            for task in asyncio.all_tasks(self.loop):
                if " backend " in task.get_name():  # one that never closes is left behind, for the house to end
                    task.cancel()
            self.loop.run_until_complete(asyncio.wait_for(self.life, 5))
            left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
            self.loop.close()
        assert left == []
        self.keeps_its_rules()
        self._is_complete()

    # Who is there

    @property
    def session(self) -> Session:
        return self.story.session

    @property
    def clock(self) -> ManualClock:
        return self.story.clock

    def _do(self, work: Coroutine[object, object, object], *, refusals: frozenset[str] = frozenset()) -> None:
        async def done() -> None:
            try:
                await work
            except VonadError as error:
                if error.code not in refusals:
                    raise
            await settle()

        self.loop.run_until_complete(done())

    def _verb(self, verb: Callable[[], object]) -> None:
        async def act() -> None:
            verb()

        self._do(act(), refusals=REFUSALS)

    def _dialogues(self) -> list[ScriptedDialogue]:
        return [dialogue for backend in (self.first, *self.others.values()) for dialogue in backend.dialogues]

    def _emit(self, *items: Reply | VonadError, old: int = 0) -> None:
        dialogues = self.story.bench.get(self.session.view().backend).dialogues if not old else self._dialogues()
        if not dialogues:
            return
        dialogue = dialogues[-1] if not old else dialogues[old % len(dialogues)]
        dialogue.emit(*items)
        self._do(settle())

    def _turn(self, late: int) -> int:
        return max(0, self.story.turn - late)

    def _new_words(self, count: int) -> str:
        """Each of them is said once only."""
        self.words += count
        return " ".join(f"w{number}" for number in range(self.words - count, self.words)) + "."

    def _announcement(self, priority: int, *, interrupt: bool = False) -> Announcement:
        announcement = new_announcement(self._new_words(3), priority=priority, interrupt=interrupt)
        self.announced.append(announcement)
        return announcement

    def _skill(self, name: str, risk: Risk) -> tuple[AnySkill, str]:
        async def run(args: NoArgs, call: Call) -> str:
            if call.id in self.ran:
                self.twice.append(call.id)
            self.ran[call.id] = (name, self.story.turn, self._asked(self.story.turn))
            self.running[call.id] = asyncio.get_running_loop().create_future()
            return await self.running[call.id]

        made = skill(name=name, description="Do it.", risk=risk)(run)
        return made(NoSettings(), ScriptedHost()), "tests"

    # The user

    @rule(text=st.sampled_from([None, "hello"]))
    def wakes_it(self, text: str | None) -> None:
        """A session that admits a wake never refuses it after all, and one that is not over admits it."""
        wake = Wake(satellite="desk", source="mqtt", at=self.clock.monotonic(), text=text)
        assert self.session.admits(wake) is not self.session.over
        if not self.session.over:
            self._do(self._woken(wake))

    async def _woken(self, wake: Wake) -> None:
        if wake.text is None:
            self.session.listen(wake)
        else:
            self.session.preempt(wake.text, wake)

    @rule()
    def writes(self) -> None:
        self._verb(lambda: self.session.ask("hello"))

    @rule(priority=st.integers(0, 2), interrupt=st.booleans())
    def has_it_say_something(self, *, priority: int, interrupt: bool) -> None:
        async def say() -> None:
            if not self.session.over:  # who has sessions asks none that is
                self.session.say(self._announcement(priority, interrupt=interrupt))

        self._do(say(), refusals=REFUSALS)

    @rule(which=st.integers(0, 20))
    def withdraws_an_announcement(self, which: int) -> None:
        async def cancel() -> None:
            if self.announced:
                self.announced[which % len(self.announced)].cancel()

        self._do(cancel())

    @rule(source=st.sampled_from(["stop", "api"]))
    def wants_quiet(self, source: str) -> None:
        self._verb(lambda: self.session.stop(source))

    @rule(loud=st.booleans(), seconds=st.sampled_from([0.1, 0.6, 1.5]))
    def is_heard(self, *, loud: bool, seconds: float) -> None:
        async def hear() -> None:
            for _ in range(round(seconds * 10)):
                if self.session.attentive:
                    await self.story.hear(speech(0.1) if loud else quiet(0.1))

        self._do(hear())

    @rule(mode=st.sampled_from(["queue", "steer", "interrupt"]))
    def is_told_something(self, mode: InjectMode) -> None:
        if not self.session.over:
            event = ContextEvent(source="doorbell", spoken_summary="Somebody is at the door.")
            self._do(self.session.inject(event, mode), refusals=REFUSALS)

    # The backend

    @rule(text=st.sampled_from(["", "turn on", "what time is it", "stop"]), final=st.booleans(), late=st.integers(0, 1))
    def recognises(self, text: str, *, final: bool, late: int) -> None:
        self._emit(Transcript(self._turn(late), text, final=final), old=late)

    @rule(late=st.integers(0, 1), text=st.sampled_from(["stop", "okay", "and what about tomorrow", ""]))
    def overhears(self, late: int, text: str) -> None:
        self._emit(Overheard(self._turn(late), text))

    @rule(kind=st.sampled_from(["began", "ended", "diagnostic"]))
    def notices(self, kind: str) -> None:
        turn = self._turn(0)
        noticed = {
            "began": SpeechStarted(turn),
            "ended": EndOfSpeech(turn, "silence"),
            "diagnostic": Diagnostic(turn, "hm"),
        }
        self._emit(noticed[kind])

    @rule(count=st.integers(1, 6), seconds=st.sampled_from([0.0, 0.3, 3.0]), late=st.integers(0, 2), done=st.booleans())
    def replies(self, count: int, seconds: float, late: int, *, done: bool) -> None:
        turn = self._turn(late)
        sound = [Frame(speech(seconds).samples, 16_000, turn=turn)] if seconds else []
        self._emit(ReplyText(turn, self._new_words(count)), *sound, *[ReplyDone(turn)] * done, old=late)

    @rule(late=st.integers(0, 1), understood=st.booleans())
    def is_done(self, late: int, *, understood: bool) -> None:
        self._emit(ReplyDone(self._turn(late), understood=understood), old=late)

    @rule(late=st.integers(0, 1))
    def fails_to_reply(self, late: int) -> None:
        self._emit(ReplyFailed(self._turn(late), FAILURE), old=late)

    @rule(name=st.sampled_from(["look", "act", "nonsense"]), late=st.integers(0, 1), early=st.booleans())
    def wants_a_skill(self, name: str, late: int, *, early: bool) -> None:
        self.calls += 1
        call = SkillCall(f"call-{self.calls}", name, {})
        self._emit(SkillRequest(self._turn(late), call, early=early), old=late)

    @precondition(lambda self: any(not future.done() for future in self.running.values()))
    @rule(ok=st.booleans())
    def a_skill_ends(self, *, ok: bool) -> None:
        async def end() -> None:
            future = next(future for future in self.running.values() if not future.done())
            if ok:
                future.set_result("Done.")
            else:
                future.set_exception(RuntimeError("it broke"))

        self._do(end())

    @rule(old=st.integers(0, 2))
    def is_lost(self, old: int) -> None:
        self._emit(FAILURE, old=old)

    @rule()
    def hangs_up(self) -> None:
        for dialogue in self._dialogues():
            dialogue.finish()
        self._do(settle())

    @rule(which=st.integers(0, 2), how=st.sampled_from(["fine", "fails", "hangs", "closes badly", "closes never"]))
    def opens_so(self, which: int, how: str) -> None:
        backends = (self.first, *self.others.values())
        backend = backends[which % len(backends)]
        backend.failure = FAILURE if how == "fails" else None
        backend.closing = FAILURE if how == "closes badly" else None
        backend.hang = {"open"} if how == "hangs" else {"close"} if how == "closes never" else set()

    @rule(method=st.sampled_from(METHODS), how=st.sampled_from(["hangs", "fails", "raises"]))
    def does_badly(self, method: str, how: str) -> None:
        for dialogue in self._dialogues()[-1:]:
            if how == "hangs" and method not in PROMPT:
                dialogue.hang.add(method)
            else:
                dialogue.failures[method] = FAILURE if how == "fails" else ConnectionError("gone")  # type: ignore[assignment]

    @rule()
    def has_rested(self) -> None:
        self.story.bench.rest()

    # The line

    @rule(how=st.sampled_from(["", "fails", "hangs"]))
    def clears_so(self, how: str) -> None:
        self.line.clears_so = how

    @rule(broken=st.booleans())
    def takes_sound(self, *, broken: bool) -> None:
        self.line.broken = broken

    @rule(seconds=st.sampled_from([0.0, 0.2, 1.0]))
    def plays_on(self, seconds: float) -> None:
        self.line.hold()
        self.line.heard(seconds)

    @rule()
    def has_played(self) -> None:
        self.line.release()
        self._do(settle())

    # Time, and the end

    @rule(seconds=st.sampled_from([0.05, 0.35, 1.1, 2.5, 6.0, 12.0, 31.0, 61.0]))
    def waits(self, seconds: float) -> None:
        self._do(self.clock.advance(seconds))

    @rule(reason=st.sampled_from(["transport_closed", "user_ended", "policy_ended"]), chance=st.integers(0, 5))
    def is_closed(self, reason: str, chance: int) -> None:
        if chance == 0:
            self._verb(lambda: self.session.close(reason))
            self._verb(lambda: self.session.close("shutdown"))

    # What holds at any time

    @invariant()
    def keeps_its_rules(self) -> None:
        if not hasattr(self, "story"):
            return
        told = self.story.events
        assert not self.line.late, self.line.late
        assert self.twice == []
        changes = [e.data for e in self.story.told("session.state")]
        moves = [(str(change["previous"]), str(change["state"])) for change in changes]
        assert all((State(before), State(after)) in MOVES for before, after in moves), moves
        assert all(one[1] == next_[0] for one, next_ in itertools.pairwise(moves)), moves
        numbers = [event.seq for event in told]
        assert all(one < next_ for one, next_ in itertools.pairwise(numbers))
        self._turns_are_in_order()
        defects = [dict(e.data) for e in told if e.type == "error" and e.data["code"] in DEFECTS]
        assert not defects, defects
        types = [event.type for event in told]
        if "session.closed" in types:
            assert types.index("session.closed") == len(types) - 1, types[types.index("session.closed") :]
        if self.line.shown:
            now = self.session.state
            shown = {COARSE[now]} | ({"listening"} if now is State.FALLING_BACK else set())
            assert self.line.shown[-1][0] in shown
        self._acts_once()

    def _turns_are_in_order(self) -> None:
        began = [event.turn for event in self.story.told("turn.started")]
        ended = [event.turn for event in self.story.told("turn.ended")]
        assert began == sorted(set(began))
        assert len(set(ended)) == len(ended)
        assert set(ended) <= set(began)
        for event in self.story.told("turn.ended"):
            assert event.data["outcome"] in OUTCOMES
            generated, heard = str(event.data["generated_text"]).split(), str(event.data["heard_text"]).split()
            assert _within(heard, generated), (heard, generated)

    def _acts_once(self) -> None:
        """What was begun for a turn is not asked of another backend again."""
        for name, turn, asked_before in self.ran.values():
            if name == "act":
                assert self._asked(turn) == asked_before

    def _asked(self, turn: int) -> int:
        """How often a backend was asked for the answer of this turn."""
        return sum(_asked_in(dialogue.told, turn) for dialogue in self._dialogues())

    def _is_complete(self) -> None:
        assert len(self.story.told("session.closed")) == 1
        began = [event.turn for event in self.story.told("turn.started")]
        assert sorted(event.turn or 0 for event in self.story.told("turn.ended")) == began
        attempts = [event.data["call_id"] for event in self.story.told("skill.attempt")]
        ends = [event.data["call_id"] for event in self.story.events if event.type in TERMINAL]
        assert sorted(map(str, ends)) == sorted(map(str, attempts))
        assert all(announcement.over for announcement in self.announced)
        acknowledged = [str(event.data["id"]) for event in self.story.told("say.finished")]
        assert len(set(acknowledged)) == len(acknowledged)
        assert {announcement.id for announcement in self.announced} <= set(acknowledged)


def _within(part: Iterable[str], whole: Iterable[str]) -> bool:
    """Whether these words occur in those, in this order, each as often at most."""
    rest = iter(whole)
    return all(word in rest for word in part)


def _asked_in(told: list[str], turn: int) -> int:
    count, now = 0, 0
    for said in told:
        if said.startswith("begin "):
            now = int(said.removeprefix("begin "))
        elif said.startswith("say "):
            count += now == turn
    return count


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
