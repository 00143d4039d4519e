"""A session in a bottle: the real session with scripted ends, for tests that tell a conversation as a story."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from vonad.backend import BackendCapabilities, ReplyDone, ReplyText, SkillRequest, Transcript
from vonad.bus import Bus
from vonad.control import Continue, ControlEvent, FallbackReason
from vonad.engine import VoiceActivityDetector
from vonad.errors import VonadError
from vonad.events import EVENTS, Event
from vonad.frame import Frame
from vonad.history import Journal, open_journal
from vonad.plan import Plan, Wake
from vonad.policy import DefaultPolicy, Look, Policy
from vonad.session.means import Cues, Means, Silent
from vonad.session.session import Session
from vonad.skill import AnySkill, Risk, SkillCall
from vonad.skills.catalogue import Catalogue
from vonad.skills.desk import Desk
from vonad.testing import (
    LoudnessDetector,
    ManualClock,
    ScriptedBackend,
    ScriptedDialogue,
    ScriptedLine,
    quiet,
    settle,
    speech,
)


class Hooks:
    """Policy hooks without plugins; a test replaces what it wants to decide.

    risk: of a skill; set once there is a desk.
    """

    def __init__(self) -> None:
        self.risk: Callable[[str], Risk | None] = lambda name: None
        default = DefaultPolicy(lambda wake: Plan(satellite=wake.satellite, backends=("scripted",)), risk=self._risk_of)
        self.own = default
        self.plan: Callable[[Wake], object] = default.plan_session
        self.review: Callable[[SkillCall], object] | None = None
        self.control: Callable[[ControlEvent], object] = lambda event: Continue()
        self.fall_back: Callable[[FallbackReason], object] = default.should_fall_back
        self.user_text: Callable[[str], object] = lambda text: None
        self.reply: Callable[[str], object] = lambda text: None

    def says(self, hook: str) -> Sequence[tuple[str, Callable[..., object]]]:
        asked: dict[str, Callable[..., object]] = {
            "plan_session": lambda wake, active: self.plan(wake),
            "review_skill_call": self._review,
            "review_control_event": lambda event, session: self.control(event),
            "should_fall_back": lambda reason, session: self.fall_back(reason),
            "rewrite_user_text": lambda text, session: self.user_text(text),
            "rewrite_reply": lambda text, session: self.reply(text),
        }
        return [("plugin a test's", asked[hook])]

    def _review(self, call: SkillCall, session: Look) -> object:
        return self.own.review_skill_call(call, session()) if self.review is None else self.review(call)

    def _risk_of(self, name: str) -> Risk | None:
        return self.risk(name)


class Conversation:
    """One running session, and everything it says about itself."""

    def __init__(self, session: Session, line: ScriptedLine | None, bench: "Bench", clock: ManualClock) -> None:
        self.session = session
        self.line = line or ScriptedLine()
        self.bench = bench
        self.backend = bench.voice
        self.clock = clock
        self.events: list[Event] = []
        self._at = clock.monotonic()

    @property
    def dialogue(self) -> ScriptedDialogue:
        """The newest one with the backend that answers now."""
        return self.bench.get(self.session.view().backend).dialogue

    @property
    def states(self) -> list[str]:
        """Every state after `connecting`, in order."""
        return [str(e.data["state"]) for e in self.told("session.state")][1:]

    def told(self, type_: str) -> list[Event]:
        return [event for event in self.events if event.type == type_]

    @property
    def outcomes(self) -> list[str]:
        return [str(event.data["outcome"]) for event in self.told("turn.ended")]

    async def hear(self, *frames: Frame) -> None:
        """Somebody speaks, or does not; time passes accordingly."""
        for frame in frames:
            at = self.clock.monotonic()
            await self.session.hear(Frame(frame.samples, frame.rate, at))
            await self.clock.advance(frame.seconds)
        await settle()

    async def say_command(self, seconds: float = 1.0) -> None:
        """A sentence and the silence behind it, in pieces as a microphone delivers them."""
        await self.hear(*[speech(0.1)] * round(seconds * 10), *[quiet(0.1)] * 9)

    async def understood(self, text: str, reply: str | None = None) -> None:
        """The recogniser understood this; with a reply, the agent answers it."""
        if reply is not None:
            self.answer_with(reply)
        self.dialogue.emit(Transcript(self.turn, text, final=True))
        await settle()

    def answer_with(self, reply: str, seconds: float = 1.0) -> None:
        """Whatever is asked next gets this reply."""

        def answer(_: str) -> None:
            turn = self.turn
            sound = Frame(speech(seconds).samples, 16_000, turn=turn)
            self.dialogue.emit(ReplyText(turn, reply), sound, ReplyDone(turn))

        self.dialogue.on_say = answer

    def call_skill(self, name: str, **arguments: object) -> SkillCall:
        call = SkillCall(f"call-{name}", name, arguments)
        self.dialogue.emit(SkillRequest(self.turn, call))
        return call

    @property
    def turn(self) -> int:
        return self.session.view().turn


@asynccontextmanager
async def conversation(
    *,
    plan: Plan | None = None,
    text_only: bool = False,
    backend: ScriptedBackend | None = None,
    others: dict[str, ScriptedBackend] | None = None,
    capabilities: BackendCapabilities | None = None,
    line: ScriptedLine | None = None,
    skills: tuple[tuple[AnySkill, str], ...] = (),
    hooks: Hooks | None = None,
    database: Path | None = None,
    before: Callable[[Session], None] = lambda session: None,
    cues: Cues | None = None,
) -> AsyncIterator[Conversation]:
    """A session that has opened for its plan (by default: to listen on the satellite `desk`)."""
    clock = ManualClock()
    bus = Bus("test", clock)
    backend = backend or ScriptedBackend(capabilities)
    bench = Bench({"scripted": backend, **(others or {})})
    place = None if text_only else line or ScriptedLine()
    plan = plan or Plan(satellite=None if text_only else "desk", backends=("scripted",))
    async with open_journal(database, clock=clock, retention_days=0) as journal, asyncio.TaskGroup() as group:
        session = Session("s1", "c1", plan, place, means(clock, bus, journal, bench, skills, hooks, group, cues))
        story = Conversation(session, place, bench, clock)
        with bus.subscribe() as subscription:
            listener = asyncio.create_task(_listen(subscription, story.events), name="events")
            before(session)
            run = asyncio.create_task(session.run(), name="session")
            await settle()
            try:
                yield story
            finally:
                session.close("shutdown")
                await asyncio.wait_for(run, 5)
                await settle()
                subscription.close()
                await listener


def means(  # noqa: PLR0917
    clock: ManualClock,
    bus: Bus,
    journal: Journal,
    bench: "Bench",
    skills: tuple[tuple[AnySkill, str], ...],
    hooks: Hooks | None,
    group: asyncio.TaskGroup,
    cues: Cues | None = None,
) -> Means:
    hooks = hooks or Hooks()
    policy = Policy(hooks, lambda hook, error: None, clock=clock)
    catalogue = Catalogue()
    hooks.risk = catalogue.risk
    for skill, plugin in skills:
        catalogue.add(skill, plugin)
    return Means(
        clock=clock,
        publish=bus.publish,
        journal=journal,
        policy=policy,
        desk=Desk(catalogue, policy=policy, journal=journal, clock=clock),
        voice=lambda text, language, style: bench.voice.speak(text, language=language, style=style),
        detector=_detector,
        sentences=lambda: catalogue.sentences,
        backends=bench,
        group=group,
        cues=cues or Silent(),
    )


class Bench:
    """Backends by name, without breakers: one that was lost may be asked again after `rest`.

    voice: the one that speaks the house's own words.
    """

    def __init__(self, backends: dict[str, ScriptedBackend]) -> None:
        self.backends = backends
        self.voice = next(iter(backends.values()))
        self.lost: list[str] = []
        self.answered: list[str] = []

    def get(self, name: str) -> ScriptedBackend:
        if name not in self.backends:
            raise VonadError("backend_unavailable", f"[backends.{name}] does not run", op=name)
        return self.backends[name]

    def rested(self, name: str) -> bool:
        return name not in self.lost

    def failed(self, name: str, why: str = "") -> None:
        self.lost.append(name)

    def succeeded(self, name: str) -> None:
        self.answered.append(name)

    def rest(self) -> None:
        """The cool-off is over."""
        self.lost.clear()


def _detector() -> AbstractAsyncContextManager[VoiceActivityDetector]:
    @asynccontextmanager
    async def lend() -> AsyncIterator[VoiceActivityDetector]:
        yield LoudnessDetector()

    return lend()


async def _listen(events: AsyncIterator[Event], into: list[Event]) -> None:
    async for event in events:
        assert set(event.data) == set(EVENTS[event.type].data), f"{event.type} is told otherwise than it is promised"
        into.append(event)


FAILURE = VonadError("backend_step_failed", "it fell over")
