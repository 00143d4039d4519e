"""A bridge with engines that a test scripts, each behind a real breaker with its streams."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from vonad_bridge import Bridge, Settings

from tests.plugins.fake_host import FakeHost
from vonad import (
    Agent,
    Brief,
    Clock,
    Diagnostic,
    Dialogue,
    Exchange,
    Frame,
    Heard,
    NotUnderstood,
    Outcome,
    Overheard,
    Reply,
    ReplyText,
    Request,
    Role,
    Sentences,
    SkillDesk,
    SkillRequest,
    SpeechToText,
    Style,
    TextToSpeech,
    Transcript,
    VonadError,
    silence,
)
from vonad.resilience import Breaker, Pool
from vonad.testing import ManualClock

DOWN = VonadError("backend_step_failed", "it is down")
PASSING = VonadError("backend_step_failed", "it stumbled", retryable=True)


class Ear(SpeechToText):
    """Hears `text`; tells how many seconds it was given so far.

    failure:  raised by every frame.
    failures: raised by a first frame each, until they are used up.
    """

    streams = 4

    def __init__(self, text: str, *, failure: VonadError | None = None, failures: Sequence[VonadError] = ()) -> None:
        self.text = text
        self.failure = failure
        self.failures = list(failures)
        self.seconds = 0.0
        self.asked: list[Sentences] = []
        self.began = 0
        self.closed = 0

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        self.began += 1
        self.asked.append(sentences)
        try:
            async for frame in frames:
                self.seconds += frame.seconds
                if self.failures:
                    raise self.failures.pop(0)
                if self.failure is not None:
                    raise self.failure
                yield Heard(f"{self.seconds:.1f}")
            yield Heard(self.text, final=True)
        finally:
            self.closed += 1


class Batch(SpeechToText):
    """Makes of each sound how long it was, or what `says` holds next, once `more` lets it; all of them in `sounds`.

    failures: raised by a sound each, until they are used up. left: how many were given up.
    """

    interim = False

    def __init__(self, *says: str, streams: int = 1) -> None:
        self.streams = streams
        self.says = list(says)
        self.failures: list[VonadError] = []
        self.sounds: list[float] = []
        self.more = asyncio.Semaphore(10_000)
        self.left = 0

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        seconds = round(sum([frame.seconds async for frame in frames]), 2)
        self.sounds.append(seconds)
        try:
            await self.more.acquire()
        except asyncio.CancelledError:
            self.left += 1
            raise
        if self.failures:
            raise self.failures.pop(0)
        yield Heard(self.says.pop(0) if self.says else f"{seconds} s", final=True)


class Brain(Agent):
    """Says `pieces`, one each time `more` is released; calls a skill first when it is given one.

    failures: raised at the beginning of an answer each, until they are used up.
    failure:  raised after the pieces.
    tokens:   spent before each answer.
    """

    def __init__(
        self,
        *pieces: str,
        skill: str | None = None,
        knows: bool = True,
        failures: Sequence[VonadError] = (),
        failure: VonadError | None = None,
        tokens: int = 0,
    ) -> None:
        self.pieces = pieces
        self.skill = skill
        self.knows = knows
        self.failures = list(failures)
        self.failure = failure
        self.tokens = tokens
        self.more = asyncio.Semaphore(10_000)
        self.said = 0
        self.requests: list[Request] = []

    async def answer(self, request: Request, desk: SkillDesk) -> AsyncIterator[str]:
        self.requests.append(request)
        if self.failures:
            raise self.failures.pop(0)
        if not self.knows:
            raise NotUnderstood
        if self.tokens:
            request.spend(self.tokens)
        if self.skill is not None:
            yield (await desk.call(self.skill, {"n": 1})).speech
        for piece in self.pieces:
            await self.more.acquire()
            self.said += 1
            yield piece
        if self.failure is not None:
            raise self.failure


class Historian(Brain):
    """One that can sum up."""

    async def summarise(self, history: Sequence[Exchange], *, language: str) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return f"{len(history)} turns in {language}"


class Throat(TextToSpeech):
    """One frame a sentence; `more` lets it go on.

    failure:  raised by every sentence.
    failures: raised by a sentence each, until they are used up.
    """

    streams = 4

    def __init__(self, failure: VonadError | None = None, *, failures: Sequence[VonadError] = ()) -> None:
        self.failure = failure
        self.failures = list(failures)
        self.more = asyncio.Semaphore(10_000)
        self.spoken: list[str] = []
        self.styles: list[Style] = []

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        if self.failures:
            raise self.failures.pop(0)
        if self.failure is not None:
            raise self.failure
        self.spoken.append(text)
        self.styles.append(style)
        await self.more.acquire()
        yield Frame(silence(0.1, 22_050), 22_050)


class PooledHost(FakeHost):
    """Lends engines as the daemon does: a limited number of streams, behind a breaker."""

    def __init__(self, folder: Path, engines: Mapping[Role, Mapping[str, object]], clock: Clock) -> None:
        super().__init__(folder, name="bridge", engines=engines, clock=clock)
        self.breakers: dict[str, Breaker] = {}
        self._pools: dict[str, Pool[object]] = {}
        for parts in engines.values():
            for name, part in parts.items():
                breaker = self.breakers[name] = Breaker(name, clock)
                streams = getattr(part, "streams", 1)
                self._pools[name] = Pool(part, breaker, streams=streams, clock=clock, harmless=(NotUnderstood,))

    def engine(self, role: Role, name: str) -> AbstractAsyncContextManager[object]:  # type: ignore[override]
        if name not in self.engines(role):
            raise VonadError("backend_unavailable", f"no {role} engine {name!r} in this test", retryable=True)
        return self._pools[name]


class Talk:
    """A dialogue, and all that it has said; `take` may be withheld from it for a while."""

    def __init__(self, dialogue: Dialogue, bridge: Bridge, host: PooledHost, clock: ManualClock) -> None:
        self.dialogue = dialogue
        self.bridge = bridge
        self.host = host
        self.clock = clock
        self.said: list[Reply] = []
        self.take = asyncio.Event()
        self.take.set()

    def texts(self) -> list[str]:
        return [reply.text for reply in self.said if isinstance(reply, ReplyText)]

    def finals(self) -> list[str]:
        return [reply.text for reply in self.said if isinstance(reply, Transcript) and reply.final]

    def overheard(self) -> list[str]:
        return [reply.text for reply in self.said if isinstance(reply, Overheard)]

    def wishes(self) -> list[SkillRequest]:
        return [reply for reply in self.said if isinstance(reply, SkillRequest)]

    def told(self) -> list[str]:
        return [reply.message for reply in self.said if isinstance(reply, Diagnostic)]

    def sound(self, *, filler: bool = False) -> list[Frame]:
        return [reply for reply in self.said if isinstance(reply, Frame) and reply.filler == filler]

    async def begin(self, turn: int = 1) -> None:
        await self.dialogue.begin(turn, sentences=Sentences(), history=())

    async def settle_wish(self, speech: str) -> None:
        await self.dialogue.answer(self.wishes()[-1].call.id, Outcome(speech))


@asynccontextmanager
async def talk(
    folder: Path,
    *,
    stt: Mapping[str, SpeechToText] | None = None,
    agent: Mapping[str, Agent] | None = None,
    tts: Mapping[str, TextToSpeech] | None = None,
    fillers: Sequence[str] = ("One moment.", "Let me see."),
    brief: Brief | None = None,
) -> AsyncIterator[Talk]:
    """A dialogue with these engines, in their order; nothing real."""
    engines: dict[Role, Mapping[str, object]] = {
        "stt": stt if stt is not None else {"ear": Ear("hello")},
        "agent": agent if agent is not None else {"brain": Brain("Hi.")},
        "tts": tts if tts is not None else {"throat": Throat()},
    }
    clock = ManualClock()
    host = PooledHost(folder, engines, clock)
    names = {str(role): list(parts) for role, parts in engines.items()}
    bridge = Bridge(Settings.model_validate(names | {"fillers": list(fillers)}), host)
    brief = brief or Brief(session_id="s", satellite="desk", language="en", aloud=True)
    async with bridge, bridge.open(brief) as dialogue:
        story = Talk(dialogue, bridge, host, clock)

        async def read() -> None:
            async for reply in dialogue.replies():
                story.said.append(reply)
                await story.take.wait()

        reading = asyncio.create_task(read())
        try:
            yield story
        finally:
            reading.cancel()
            await asyncio.wait({reading})
