"""What breaks a promise is caught, and the message names the promise: one broken implementation for each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from vonad.backend import BackendCapabilities, ReplyDone
from vonad.clock import SystemClock
from vonad.engine import Detection, Heard, NotUnderstood
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.testing import (
    EchoSkill,
    LoudnessDetector,
    ScriptedAgent,
    ScriptedBackend,
    ScriptedDialogue,
    ScriptedFrontend,
    ScriptedHost,
    ScriptedLine,
    ScriptedSpeechToText,
    ScriptedTextToSpeech,
    ScriptedTransport,
    ScriptedTurnDetector,
    ScriptedWakeWordDetector,
    check_agent,
    check_backend,
    check_component,
    check_frontend,
    check_skill,
    check_speech_to_text,
    check_text_to_speech,
    check_transport,
    check_turn_detector,
    check_voice_activity_detector,
    check_wake_word_detector,
    pieces,
    quiet,
    speech,
    tone,
)
from vonad.testing.checks import promise as promises

kept_alive: list[asyncio.Task[None]] = []


@pytest.fixture(autouse=True)
async def _impatient(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What hangs is found out sooner; what is left behind is taken away."""
    monkeypatch.setattr(promises, "PATIENCE_S", 0.3)
    yield
    for task in kept_alive:
        task.cancel()
    await asyncio.gather(*kept_alive, return_exceptions=True)
    kept_alive.clear()


def forget() -> None:
    """A task that nobody ends."""
    kept_alive.append(asyncio.create_task(asyncio.sleep(3600), name="forgotten"))


# Recognisers


class TwoFinals(ScriptedSpeechToText):
    async def listen(self, frames, *, language, sentences):
        async for _ in frames:
            pass
        yield Heard("", final=True)
        yield Heard("", final=True)


class NoFinal(ScriptedSpeechToText):
    async def listen(self, frames, *, language, sentences):
        async for _ in frames:
            pass
        yield Heard("")


class Hasty(ScriptedSpeechToText):
    async def listen(self, frames, *, language, sentences):
        yield Heard("", final=True)
        async for _ in frames:
            pass


class Imaginative(ScriptedSpeechToText):
    async def listen(self, frames, *, language, sentences):
        async for _ in frames:
            pass
        yield Heard("thanks for watching", final=True)


class Leaking(ScriptedSpeechToText):
    async def listen(self, frames, *, language, sentences):
        forget()
        async for heard in super().listen(frames, language=language, sentences=sentences):
            yield heard


class Stubborn(ScriptedSpeechToText):
    async def listen(self, frames, *, language, sentences):
        with contextlib.suppress(asyncio.CancelledError):
            async for _ in frames:
                pass
        yield Heard("", final=True)


class NotAStream(ScriptedSpeechToText):
    async def listen(self, frames, *, language, sentences):
        return Heard("", final=True)


class Crashing(ScriptedSpeechToText):
    async def listen(self, frames, *, language, sentences):
        sounds = [frame.samples[0] async for frame in frames if len(frame.samples) < 2]
        yield Heard("", final=not sounds or bool(sounds[100]))


class NoStreams(ScriptedSpeechToText):
    streams = 0


class Talkative(NoFinal):
    def __init__(self):
        super().__init__(interim=False)


class Unstoppable(ScriptedSpeechToText):
    def __init__(self):
        super().__init__(interim=False)

    async def listen(self, frames, *, language, sentences):
        seconds = sum([frame.seconds async for frame in frames])
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05 if seconds >= 1.0 else 0)
        yield Heard("", final=True)


class Undecided(ScriptedSpeechToText):
    def __init__(self):
        super().__init__(interim="sometimes")


@pytest.mark.parametrize(
    ("engine", "broken"),
    [
        (TwoFinals, "yields nothing after the final text"),
        (NoFinal, "yields exactly one final text: got none for an empty stream"),
        (Hasty, "yields the final text when the frames have ended, not before"),
        (Imaginative, "hears no words in an empty stream: got 'thanks for watching'"),
        (Leaking, "SpeechToText leaves no task behind: there is still forgotten"),
        (Stubborn, "listen lets a cancellation through: it became AssertionError"),
        (NotAStream, "listen returns an asynchronous iterator"),
        (Crashing, "raises nothing but VonadError: got IndexError"),
        (NoStreams, "streams is a whole number of at least 1: got 0"),
        (Talkative, "yields partial texts only where `interim` says so"),
        (Unstoppable, "listen swallows its cancellation"),
        (Undecided, "interim is True or False: got 'sometimes'"),
    ],
    ids=lambda part: part.__name__ if isinstance(part, type) else "",
)
async def test_a_broken_recogniser_is_caught(engine: type[ScriptedSpeechToText], broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        await check_speech_to_text(engine())


async def test_a_recogniser_that_hears_something_else_is_caught() -> None:
    with pytest.raises(AssertionError, match="hears 'what time is it' in a recording of it: got 'nothing'"):
        await check_speech_to_text(ScriptedSpeechToText(*["nothing"] * 20), recordings={"what time is it": speech(1)})


# Voices


class Mute(ScriptedTextToSpeech):
    async def speak(self, text, *, language, style):
        yield quiet(1.0)


class Wordless(ScriptedTextToSpeech):
    async def speak(self, text, *, language, style):
        for _ in ():
            yield quiet(1.0)


class TwoRates(ScriptedTextToSpeech):
    async def speak(self, text, *, language, style):
        yield tone(0.5)
        yield tone(0.5, rate=8_000)


class Endless(ScriptedTextToSpeech):
    async def speak(self, text, *, language, style):
        while not text:
            await asyncio.sleep(0)
        yield tone(1.0)


@pytest.mark.parametrize(
    ("engine", "broken"),
    [
        (Mute, "can be heard: its loudest sample is 0"),
        (Wordless, "yields the sound of a sentence: got no frame"),
        (TwoRates, r"yields one rate for all of a sentence: got \[8000, 16000\]"),
        (Endless, "speak ends for an empty text: it has not after 0.3 s"),
    ],
    ids=lambda part: part.__name__ if isinstance(part, type) else "",
)
async def test_a_broken_voice_is_caught(engine: type[ScriptedTextToSpeech], broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        await check_text_to_speech(engine())


# Agents


class SecondThoughts(ScriptedAgent):
    async def answer(self, request, desk):
        yield "Well, "
        raise NotUnderstood(request.text)


class Thoughtless(ScriptedAgent):
    async def answer(self, request, desk):
        yield str(int(request.text or "0"))


@pytest.mark.parametrize(
    ("agent", "broken"),
    [
        (SecondThoughts(), "raises NotUnderstood before its first piece: it had said 'Well, '"),
        (Thoughtless(), "raises nothing but VonadError: got ValueError"),
        (ScriptedAgent({"lamp": "It is on."}), "calls a skill for 'lamp': it called none"),
        (ScriptedAgent(), "understands 'lamp': it raised NotUnderstood"),
    ],
)
async def test_a_broken_agent_is_caught(agent: ScriptedAgent, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        await check_agent(agent, understood=["lamp"], calls=["lamp"])


# Detectors


class Shared(LoudnessDetector):
    """One stream for everybody."""

    def stream(self):
        self.only = getattr(self, "only", None) or super().stream()
        return self.only


class Forgetful(LoudnessDetector):
    """Loses what does not fill a window."""

    def stream(self):
        inner = super().stream()
        window = self.window

        class Stream(type(inner)):
            def push(self, samples):
                return super().push(samples[: len(samples) - len(samples) % window])

        return Stream(window)


class Confident(LoudnessDetector):
    def stream(self):
        inner = super().stream()
        push = inner.push
        inner.push = lambda samples: [2.0 for _ in push(samples)]
        return inner


class Slow(LoudnessDetector):
    def stream(self):
        import time

        inner = super().stream()
        push = inner.push
        inner.push = lambda samples: time.sleep(0.03) or push(samples)
        return inner


@pytest.mark.parametrize(
    ("detector", "broken"),
    [
        (Shared, "gives a fresh stream each time"),
        (Forgetful, "push gives the same for the same sound, in whatever pieces"),
        (Confident, "probabilities are 0..1"),
        (Slow, "push of 32 ms takes less than 20 ms"),
    ],
    ids=lambda part: part.__name__ if isinstance(part, type) else "",
)
async def test_a_broken_voice_activity_detector_is_caught(detector: type[LoudnessDetector], broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        await check_voice_activity_detector(detector())


async def test_a_broken_turn_detector_is_caught() -> None:
    class Yes(ScriptedTurnDetector):
        def judge(self, words, *, sentences, language):
            return "yes"

    class Agreeing(ScriptedTurnDetector):
        def judge(self, words, *, sentences, language):
            return "complete"

    with pytest.raises(AssertionError, match="answers one of complete, open, partial, unknown: got 'yes'"):
        await check_turn_detector(Yes())
    with pytest.raises(AssertionError, match="takes no nonsense for a whole sentence"):
        await check_turn_detector(Agreeing())
    with pytest.raises(AssertionError, match="finds 'turn on the lamp' whole: got unknown"):
        await check_turn_detector(ScriptedTurnDetector(), whole=["turn on the lamp"])


async def test_a_broken_wake_word_detector_is_caught() -> None:
    class Trusting(ScriptedWakeWordDetector):
        def stream(self, words):
            return super().stream([word for word in words if word in self.words()])

    class Chattering(ScriptedWakeWordDetector):
        def stream(self, words):
            inner = super().stream(words)
            push = inner.push
            inner.push = lambda samples: push(samples) or (Detection("okay_nabu", 1.0) if samples.any() else None)
            return inner

    with pytest.raises(AssertionError, match="raises invalid_config for a word it does not know"):
        await check_wake_word_detector(Trusting())
    with pytest.raises(AssertionError, match="finds no wake word in noise"):
        await check_wake_word_detector(Chattering())


# Backends


class Answering(ScriptedBackend):
    def __init__(self, *, dialogue: Callable[[ScriptedDialogue], None] = lambda _: None, **can: bool) -> None:
        super().__init__(BackendCapabilities(**can), replies=lambda text: f"You said {text}.", words="hello")
        self._change = dialogue

    def _answering(self, dialogue, replies):
        super()._answering(dialogue, replies)
        self._change(dialogue)


def talks_on(dialogue: ScriptedDialogue) -> None:
    dialogue.on_interrupt = lambda: dialogue.answer_text("And another thing.")


def is_hasty(dialogue: ScriptedDialogue) -> None:
    dialogue.on_prepare = dialogue.on_say


def says_nothing(dialogue: ScriptedDialogue) -> None:
    dialogue.on_say = lambda _: dialogue.emit(ReplyDone(dialogue.turn))


def never_ends(dialogue: ScriptedDialogue) -> None:
    dialogue.on_say = lambda _: None


def forgets_the_turn(dialogue: ScriptedDialogue) -> None:
    dialogue.on_say = lambda _: dialogue.emit(ReplyDone(0))


def fills_like_a_reply(dialogue: ScriptedDialogue) -> None:
    dialogue.on_fill = lambda: dialogue.emit(Frame(tone(0.1).samples, 16_000, turn=dialogue.turn))


def ignores_the_rewriting(dialogue: ScriptedDialogue) -> None:
    dialogue.brief = type(dialogue.brief)(session_id="s", satellite=None, language="en", aloud=dialogue.brief.aloud)


def leaks(dialogue: ScriptedDialogue) -> None:
    forget()


class Injectable(Answering):
    """Takes context, and does not say so."""

    def _answering(self, dialogue, replies):
        super()._answering(dialogue, replies)

        async def inject(event):
            return

        dialogue.inject = inject


class Structured(Answering):
    """Answers in JSON, and does not say so."""

    def _answering(self, dialogue, replies):
        super()._answering(dialogue, replies)

        async def structure(text, output):
            dialogue.answer_structured("{}")

        dialogue.structure = structure


def speaks_json(dialogue):
    dialogue.on_structure = lambda text: dialogue.answer_text("{}")


class Monotonous(Answering):
    async def speak(self, text, *, language, style):
        yield tone(1.0)


class Boastful(Answering):
    async def summarise(self, history, *, language):
        return "They talked."


@pytest.mark.parametrize(
    ("backend", "broken"),
    [
        (lambda: Answering(dialogue=talks_on), "after Dialogue.interrupt nothing more of the turn comes out"),
        (lambda: Answering(dialogue=is_hasty, prepares=True), "only early SkillRequests come out of what is prepared"),
        (lambda: Answering(dialogue=says_nothing), "a text that it understands gets a ReplyText"),
        (lambda: Answering(dialogue=never_ends), "a turn ends with ReplyDone or ReplyFailed"),
        (lambda: Answering(dialogue=forgets_the_turn), "a turn ends with ReplyDone or ReplyFailed"),
        (lambda: Answering(dialogue=fills_like_a_reply, fills=True), "the frames of a filler are flagged as filler"),
        (lambda: Answering(dialogue=ignores_the_rewriting), "every sentence passes through Brief.rewrite"),
        (lambda: Answering(dialogue=leaks), "a dialogue that is closed leaves no task behind"),
        (
            lambda: Monotonous(style_conditioning=True),
            "capabilities.style_conditioning says a Style is heard: every pace takes 1 s",
        ),
        (Injectable, "inject refuses where capabilities.context_injection is false"),
        (Structured, "structure refuses where capabilities.structured_output is false"),
        (lambda: Answering(dialogue=speaks_json, structured_output=True), "a reply in JSON has no sound"),
        (Boastful, "summarise refuses where capabilities.summarises is false"),
    ],
)
async def test_a_broken_backend_is_caught(
    backend: Callable[[], ScriptedBackend], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vonad.testing.checks.talk.PATIENCE_S", 0.3)
    with pytest.raises(AssertionError, match=broken):
        await check_backend(backend())


async def test_a_backend_that_hangs_when_it_closes_is_caught() -> None:
    backend = Answering()
    backend.hang.add("close")
    with pytest.raises(AssertionError, match=r"a dialogue closes: it has not after 0\.3 s"):
        await check_backend(backend)


# Transports


class Deaf(ScriptedLine):
    async def clear(self) -> None:
        return


class Pensive(ScriptedLine):
    def hush(self) -> str:  # type: ignore[override]
        return "in a moment"


class Hasty(ScriptedLine):
    """What it throws away because somebody interrupts, it takes for heard."""

    def hush(self) -> None:
        lost_s = self._lost_s
        super().hush()
        self._lost_s = lost_s


class Boasting(ScriptedLine):
    @property
    def played(self) -> float:
        return 2 * super().played


class Lingering(ScriptedLine):
    def hang_up(self) -> None:
        return


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        (lambda: Deaf(pace=SystemClock()), "drained returns once everything was cleared"),
        (lambda: Pensive(pace=SystemClock()), "hush is called, not awaited"),
        (lambda: Hasty(pace=SystemClock()), "played does not count what was cleared"),
        (Boasting, "played counts what was heard|played is what was heard"),
        (lambda: ScriptedLine("Living Room"), "Line.satellite is an id"),
        (Lingering, "frames ends when the transport has closed"),
    ],
)
async def test_a_broken_line_is_caught(line: Callable[[], ScriptedLine], broken: str) -> None:
    def connected() -> ScriptedTransport:
        transport = ScriptedTransport()
        place = transport.connect(line())
        for frame in pieces(speech(0.2, at=SystemClock().monotonic() - 0.2)):
            place.captured.put(frame)
        return transport

    with pytest.raises(AssertionError, match=broken):
        await check_transport(connected)


@pytest.mark.parametrize("at", [0.0, 1_800_000_000.0], ids=["no time", "the calendar's"])
async def test_a_line_that_does_not_say_when_it_heard_something_is_caught(at: float) -> None:
    def connected() -> ScriptedTransport:
        transport = ScriptedTransport()
        place = transport.connect()
        for frame in pieces(speech(0.2, at=at)):
            place.captured.put(frame)
        return transport

    with pytest.raises(AssertionError, match="captured frames say when"):
        await check_transport(connected)


# Skills, components, frontends


class Silent(EchoSkill):
    async def run(self, args, call):
        return None


class Quitting(EchoSkill):
    async def run(self, args, call):
        raise SystemExit(1)


class Dawdling(EchoSkill):
    timeout_s = 0.05

    async def run(self, args, call):
        await asyncio.sleep(3600)


class Loose(EchoSkill):
    class Args(BaseModel):
        word: str = ""


class Misspelt(EchoSkill):
    sentences = ("echo {wrod}",)


class Unbalanced(EchoSkill):
    sentences = ("echo (one|two",)


class Nameless(EchoSkill):
    name = "Echo!"


class Mistaken(EchoSkill):
    """Its sentences supply what its Args do not take."""

    lists: ClassVar = {"word": range(1, 4)}
    sentences = ("echo {word:number}",)


@pytest.mark.parametrize(
    ("skill", "broken"),
    [
        (Silent, "returns str or SkillResult: got NoneType"),
        (Quitting, "ends its own call, not the process: got SystemExit"),
        (Dawdling, "answers within its timeout_s: it has not after 0.05 s"),
        (Loose, "Args refuses keys it does not have"),
        (Misspelt, r"there is no list \{wrod\}; the skill has: word"),
        (Unbalanced, "a bracket is never closed"),
        (Nameless, "must be lower case letters"),
        (Mistaken, "Args takes what its sentences supply: 'echo 1' gives {'number': 1}"),
    ],
    ids=lambda part: part.__name__ if isinstance(part, type) else "",
)
async def test_a_broken_skill_is_caught(skill: type[EchoSkill], broken: str, tmp_path: Path) -> None:
    async with skill(NoSettings(), ScriptedHost(tmp_path)) as opened:
        with pytest.raises(AssertionError, match=broken):
            await check_skill(opened)


async def test_a_skill_that_raises_is_fine(tmp_path: Path) -> None:
    class Raising(EchoSkill):
        async def run(self, args, call):
            raise ValueError("no")

    async with Raising(NoSettings(), ScriptedHost(tmp_path)) as opened:
        await check_skill(opened)


async def test_a_broken_component_is_caught(tmp_path: Path) -> None:
    class Wordless(EchoSkill):
        async def __aenter__(self):
            return None

    class Swallowing(EchoSkill):
        async def __aexit__(self, *_):
            return True

    class Slow(EchoSkill):
        async def __aexit__(self, *_):
            await asyncio.sleep(3600)

    for skill, broken in (
        (Wordless, "opening a component yields it"),
        (Swallowing, "what is true swallows errors"),
        (Slow, "a component closes: it has not after 0.3 s"),
    ):
        with pytest.raises(AssertionError, match=broken):
            await check_component(lambda skill=skill: skill(NoSettings(), ScriptedHost(tmp_path)))


async def test_a_broken_frontend_is_caught() -> None:
    class Brief(ScriptedFrontend):
        async def serve(self) -> None:
            return

    with pytest.raises(AssertionError, match="serves until it is cancelled: it has returned"):
        await check_frontend(Brief())
