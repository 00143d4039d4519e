"""What a dialogue does where its backend's capabilities say so, and refuses where they do not."""

import asyncio

from vonad.backend import BackendCapabilities, EndOfSpeech, Overheard, ReplyDone, ReplyFailed, SkillRequest, Transcript
from vonad.engine import Output
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import ContextEvent
from vonad.testing.checks.promise import SHORTLY_S, promise, soon
from vonad.testing.checks.reply import check_reply, check_text
from vonad.testing.checks.talk import Talk
from vonad.testing.sound import noise, pieces, quiet

NONSENSE = "colourless green ideas sleep furiously"


async def check_sound(side: Talk, text: str, recording: Frame | None, can: BackendCapabilities) -> None:
    if can.turn_detection:
        await _check_turn_detection(side, recording, can)
        return
    for sound in filter(None, (quiet(0.5), noise(0.0507), recording)):
        turn = await side.begin()
        for frame in pieces(sound):
            await soon(side.dialogue.hear(frame), "Dialogue.hear returns soon")
        for on in (True, False, True):
            await soon(side.dialogue.pause(on=on), "Dialogue.pause returns soon")
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
            check_reply(heard)


async def _check_turn_detection(side: Talk, recording: Frame | None, can: BackendCapabilities) -> None:
    """It decides itself when there is something to answer: only a recording of words tells."""
    if recording is None:
        return
    turn = await side.begin()
    for frame in (*pieces(recording), *pieces(quiet(2.0))):
        await soon(side.dialogue.hear(frame), "Dialogue.hear returns soon")
        await asyncio.sleep(0)
    words = "a backend with turn detection finds the end of a turn itself"
    await side.until(lambda: any(isinstance(reply, EndOfSpeech) for reply in side.of(turn)), words)
    if can.hears:
        await side.over(turn, "sound, for a backend that hears and finds the end of the turn")


async def check_prepared(side: Talk, text: str, can: BackendCapabilities) -> None:
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
    check_reply((await side.over(turn, "a prepared answer that was confirmed"))[len(early) :])
    turn = await side.begin()
    await soon(side.dialogue.prepare(NONSENSE), "Dialogue.prepare returns soon")
    await side.say(text)
    replies = await side.over(turn, "a text, after another was prepared")
    check_reply([r for r in replies if not (isinstance(r, SkillRequest) and r.early)])
    turn = await side.begin()
    await soon(side.dialogue.prepare(text), "Dialogue.prepare returns soon")
    await soon(side.dialogue.interrupt(), "Dialogue.interrupt returns soon")
    come = len(side.of(turn))
    await asyncio.sleep(SHORTLY_S)
    promise(len(side.of(turn)) == come, f"`interrupt` throws what was prepared away: there came {side.of(turn)}")


async def check_filler(side: Talk, text: str, can: BackendCapabilities) -> None:
    if not can.fills:
        return
    turn = await side.begin()
    await soon(side.dialogue.fill(), "Dialogue.fill returns soon")
    await side.until(lambda: bool(side.of(turn)), "Dialogue.fill makes a sound")
    await side.say(text)
    replies = await side.over(turn, "a text, after a filler")
    fillers = [reply for reply in replies if isinstance(reply, Frame) and reply.filler]
    promise(bool(fillers), "the frames of a filler are flagged as filler")
    check_reply([reply for reply in replies if reply not in fillers])


async def check_overheard(side: Talk, text: str, recording: Frame | None, can: BackendCapabilities) -> None:
    if not can.overhears:
        return
    await check_text(side, text)
    for frame in pieces(recording or noise(0.5)):
        await soon(side.dialogue.overhear(frame), "Dialogue.overhear returns soon")
    if recording is not None:
        await side.until(
            lambda: any(isinstance(reply, Overheard) for reply in side.of(side.turn)),
            "what is said while a reply plays comes out as Overheard",
        )
    stray = [reply for reply in side.of(side.turn) if isinstance(reply, Transcript)]
    promise(not stray, f"what is overheard is no Transcript of the user's turn: got {stray}")


async def check_structured(side: Talk, text: str, can: BackendCapabilities) -> None:
    """Whether what comes is JSON, and fits, the session judges."""
    turn = await side.begin()
    for asked, output in enumerate(
        (Output(schema={"type": "string"}), Output(schema={}, before="{", fault="$: no JSON"))
    ):
        try:
            await soon(side.dialogue.structure(text, output), "Dialogue.structure returns soon")
        except VonadError as error:
            refused = error.code == "capability_unsupported" and not can.structured_output
            promise(
                refused, f"Dialogue.structure raises capability_unsupported, where capabilities say no: got {error}"
            )
            return
        promise(can.structured_output, "Dialogue.structure refuses where capabilities.structured_output is false")

        def done(times: int = asked + 1) -> bool:
            return sum(isinstance(reply, ReplyDone) for reply in side.of(turn)) == times

        await side.until(done, "a text that is answered in JSON ends with one ReplyDone, each time it is asked")
        sounds = [reply for reply in side.of(turn) if isinstance(reply, Frame)]
        promise(not sounds, "a reply in JSON has no sound")


async def check_context(side: Talk, can: BackendCapabilities) -> None:
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
