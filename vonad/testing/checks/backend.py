"""The promises of Backend and Dialogue."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from vonad.backend import (
    Backend,
    BackendCapabilities,
    Brief,
    Overheard,
    Reply,
    ReplyDone,
    ReplyFailed,
    ReplyText,
    SkillRequest,
    Transcript,
)
from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import ContextEvent, Style
from vonad.sentences import Sentences
from vonad.streams import closing
from vonad.testing.checks.promise import SHORTLY_S, is_stream, nothing_left, promise, soon, sounding, together
from vonad.testing.checks.talk import DONE, Talk, talk
from vonad.testing.sound import noise, pieces, quiet

NONSENSE = "colourless green ideas sleep furiously"


async def check_backend(
    backend: Backend,
    *,
    text: str = "what time is it",
    language: str = "en",
    sentences: Sentences = Sentences(),  # noqa: B008  (frozen)
    recording: Frame | None = None,
) -> None:
    """An open backend. text: something that it answers; recording: of somebody saying it, 16 kHz."""
    promise(isinstance(backend, Backend), f"it is a Backend: got {type(backend).__name__}")
    can = backend.capabilities
    promise(isinstance(can, BackendCapabilities), f"Backend.capabilities are BackendCapabilities: got {can!r}")

    def open_talk(*, aloud: bool = True, rewrite: Callable[[str], str] = str) -> AbstractAsyncContextManager[Talk]:
        brief = Brief(session_id="s1", satellite="desk", language=language, aloud=aloud, rewrite=rewrite)
        return talk(backend, brief, sentences)

    async with nothing_left("a dialogue that is closed"):
        async with open_talk():
            pass
        async with open_talk() as side:
            await _check_text(side, text)
            await _check_interrupt(side, text)
            await _check_sound(side, text, recording, can)
            await _check_prepared(side, text, can)
            await _check_filler(side, text, can)
            await _check_overheard(side, text, recording, can)
            await _check_the_rest(side, can)
            await _check_text(side, text)
        async with open_talk(aloud=False, rewrite=lambda said: f"{said} indeed") as side:
            await _check_text(side, text, aloud=False, ending=" indeed")
    async with nothing_left("a dialogue that is closed in the middle of a reply"), open_talk() as side:
        side.answers = False
        await side.begin()
        await side.say(text)
        await asyncio.sleep(0)
    async with nothing_left("dialogues at once"), open_talk() as one, open_talk() as other:
        await together(_check_text(one, text), _check_text(other, text))
    await _check_voice(backend, text, language)
    await _check_summary(backend, language)


async def _check_text(side: Talk, text: str, *, aloud: bool = True, ending: str = "") -> None:
    turn = await side.begin()
    await side.say(text)
    replies = await side.over(turn, "a text that it understands")
    _check_reply(replies, aloud=aloud, ending=ending)


def _check_reply(replies: Sequence[Reply], *, aloud: bool = True, ending: str = "") -> None:
    """A turn's replies, the last of which ends it."""
    for failed in (reply for reply in replies if isinstance(reply, ReplyFailed)):
        raise AssertionError(f"a text that it understands is answered: got {failed.error.code}: {failed.error.message}")
    *body, done = replies
    promise(isinstance(done, ReplyDone), f"nothing of a turn comes after its ReplyDone: got {done}")
    promise(
        isinstance(done, ReplyDone) and done.understood, "ReplyDone says that a text that is answered is understood"
    )
    spoken = False
    for reply in body:
        if isinstance(reply, ReplyText):
            spoken = True
            promise(reply.text.endswith(ending), f"every sentence passes through Brief.rewrite: {reply.text!r} did not")
        if isinstance(reply, Frame):
            promise(aloud, "a session of text (Brief.aloud is false) wants none of the sound")
            promise(spoken or reply.filler, "the frames of a sentence follow its ReplyText: one came before")
        if isinstance(reply, SkillRequest):
            promise(not reply.early, "a SkillRequest is early only in an answer that was prepared")
    promise(spoken, f"a text that it understands gets a ReplyText: got {replies}")
    sounds = any(isinstance(reply, Frame) for reply in body)
    promise(sounds or not aloud, "a reply is spoken where Brief.aloud says so: it had no sound")


async def _check_interrupt(side: Talk, text: str) -> None:
    for waits in (0, 1):
        turn = await side.begin()
        await side.say(text)
        await side.until(lambda turn=turn, n=waits: len(side.of(turn)) >= n, "a reply begins")  # type: ignore[misc]  # defaults
        for _ in range(2):
            await soon(side.dialogue.interrupt(), "Dialogue.interrupt returns soon")
        come = len(side.of(turn))
        await soon(side.dialogue.answer("no such call", DONE), "Dialogue.answer ignores an unknown id")
        await asyncio.sleep(SHORTLY_S)
        late = side.of(turn)[come:]
        promise(not late, f"after Dialogue.interrupt nothing more of the turn comes out: there came {late}")
    await _check_text(side, text)


async def _check_sound(side: Talk, text: str, recording: Frame | None, can: BackendCapabilities) -> None:
    if can.turn_detection:
        return  # it decides itself when there is something to answer
    for sound in filter(None, (quiet(0.5), noise(0.0507), recording)):
        turn = await side.begin()
        for frame in pieces(sound):
            await soon(side.dialogue.hear(frame), "Dialogue.hear returns soon")
        await soon(side.dialogue.commit(), "Dialogue.commit returns soon")

        def decided(turn: int = turn) -> bool:
            ends = (ReplyDone, ReplyFailed)
            return any(isinstance(r, ends) or (isinstance(r, Transcript) and r.final) for r in side.of(turn))

        await side.until(decided, "what was heard ends in a final Transcript, a ReplyDone or a ReplyFailed")
        finals = [reply for reply in side.of(turn) if isinstance(reply, Transcript) and reply.final]
        promise(len(finals) <= 1, f"there is one final Transcript a turn: got {finals}")
        if can.hears:
            await side.over(turn, "sound, for a backend that hears")
        elif sound is recording:
            promise(
                bool(finals) and bool(finals[0].text), f"a recording of words has a Transcript: got {side.of(turn)}"
            )
            await side.say(text)
            heard = [
                reply for reply in await side.over(turn, "its own transcript") if not isinstance(reply, Transcript)
            ]
            _check_reply(heard)


async def _check_prepared(side: Talk, text: str, can: BackendCapabilities) -> None:
    if not can.prepares:
        return
    turn = await side.begin()
    for words in (NONSENSE, text):
        await soon(side.dialogue.prepare(words), "Dialogue.prepare returns soon")
    await asyncio.sleep(SHORTLY_S)
    early = side.of(turn)
    for reply in early:
        promise(
            isinstance(reply, SkillRequest) and reply.early,
            f"only early SkillRequests come out of what is prepared, before `confirm`: there came {reply}",
        )
    await soon(side.dialogue.confirm(), "Dialogue.confirm returns soon")
    _check_reply((await side.over(turn, "a prepared answer that was confirmed"))[len(early) :])
    turn = await side.begin()
    await soon(side.dialogue.prepare(NONSENSE), "Dialogue.prepare returns soon")
    await side.say(text)
    replies = await side.over(turn, "a text, after another was prepared")
    _check_reply([r for r in replies if not (isinstance(r, SkillRequest) and r.early)])
    turn = await side.begin()
    await soon(side.dialogue.prepare(text), "Dialogue.prepare returns soon")
    await soon(side.dialogue.interrupt(), "Dialogue.interrupt returns soon")
    come = len(side.of(turn))
    await asyncio.sleep(SHORTLY_S)
    promise(len(side.of(turn)) == come, f"`interrupt` throws what was prepared away: there came {side.of(turn)}")


async def _check_filler(side: Talk, text: str, can: BackendCapabilities) -> None:
    if not can.fills:
        return
    turn = await side.begin()
    await soon(side.dialogue.fill(), "Dialogue.fill returns soon")
    await side.until(lambda: bool(side.of(turn)), "Dialogue.fill makes a sound")
    await side.say(text)
    replies = await side.over(turn, "a text, after a filler")
    fillers = [reply for reply in replies if isinstance(reply, Frame) and reply.filler]
    promise(bool(fillers), "the frames of a filler are flagged as filler")
    _check_reply([reply for reply in replies if reply not in fillers])


async def _check_overheard(side: Talk, text: str, recording: Frame | None, can: BackendCapabilities) -> None:
    if not can.overhears:
        return
    await _check_text(side, text)
    for frame in pieces(recording or noise(0.5)):
        await soon(side.dialogue.overhear(frame), "Dialogue.overhear returns soon")
    if recording is not None:
        await side.until(
            lambda: any(isinstance(reply, Overheard) for reply in side.of(side.turn)),
            "what is said while a reply plays comes out as Overheard",
        )
    stray = [reply for reply in side.of(side.turn) if isinstance(reply, Transcript)]
    promise(not stray, f"what is overheard is no Transcript of the user's turn: got {stray}")


async def _check_the_rest(side: Talk, can: BackendCapabilities) -> None:
    await soon(side.dialogue.ping(), "Dialogue.ping returns when the other end is alive")
    await side.begin()
    event = ContextEvent(source="check", payload={"door": "open"}, spoken_summary="The door is open.")
    try:
        await soon(side.dialogue.inject(event), "Dialogue.inject returns soon")
    except VonadError as error:
        promise(
            not can.context_injection, f"capabilities.context_injection says it takes ContextEvents: got {error.code}"
        )
        promise(
            error.code == "capability_unsupported",
            f"Dialogue.inject raises capability_unsupported where capabilities say no: got {error.code}",
        )
    else:
        promise(can.context_injection, "Dialogue.inject refuses where capabilities.context_injection is false")


async def _check_voice(backend: Backend, text: str, language: str) -> None:
    async def speak() -> list[Frame]:
        answer: AsyncIterator[Frame] = backend.speak(text, language=language, style=Style())
        is_stream(answer, "Backend.speak")
        async with closing(answer) as stream:
            return [sounding(frame, "Backend.speak") async for frame in stream]

    async with nothing_left("Backend.speak"):
        try:
            frames = await soon(speak(), "Backend.speak ends")
        except VonadError as error:
            promise(
                error.code == "capability_unsupported",
                f"Backend.speak speaks, or raises capability_unsupported: got {error.code}",
            )
        else:
            promise(bool(frames), "Backend.speak yields the sound of a text: got none")


async def _check_summary(backend: Backend, language: str) -> None:
    # capabilities are looked at afterwards: some learn only now that they cannot
    past = [Exchange("hello", "Hello."), Exchange("how are you", "Fine.")]
    try:
        summary = await soon(backend.summarise(past, language=language), "Backend.summarise ends")
    except VonadError as error:
        promise(not backend.capabilities.summarises, f"capabilities.summarises says it sums up: got {error.code}")
        promise(
            error.code == "capability_unsupported",
            f"Backend.summarise raises capability_unsupported where capabilities say no: got {error.code}",
        )
    else:
        promise(backend.capabilities.summarises, "Backend.summarise refuses where capabilities.summarises is false")
        promise(isinstance(summary, str) and bool(summary), f"a summary is a text: got {summary!r}")
