"""The promises of Agent."""

import asyncio
from collections.abc import Sequence

from vonad.engine import Agent, Exchange, NotUnderstood, Outcome, Request
from vonad.errors import VonadError
from vonad.sentences import Sentences
from vonad.streams import closing
from vonad.testing.agent import ScriptedDesk
from vonad.testing.checks.promise import cancelled, is_stream, nothing_left, promise, soon, streams, together

WHO = "Agent"

FAILED = Outcome("", ok=False, code="skill_failed")

ODD = {"an empty text": "", "nonsense": "colourless green ideas sleep furiously", "a long text": "please " * 2_000}

PAST = (Exchange("hello", "Hello."), Exchange("", "", summary=True))


async def check_agent(
    agent: Agent,
    *,
    language: str = "en",
    sentences: Sentences = Sentences(),  # noqa: B008  (frozen)
    understood: Sequence[str] = (),
    calls: Sequence[str] = (),
) -> None:
    """An open agent. understood: texts it has something to say to; calls: those of them for which it calls a skill."""
    promise(isinstance(agent, Agent), f"it is an Agent: got {type(agent).__name__}")
    at_once = streams(agent, WHO)

    def asked(text: str, past: tuple[Exchange, ...] = ()) -> Request:
        return Request(text=text, language=language, sentences=sentences, history=past)

    async def answered(text: str, desk: ScriptedDesk, past: tuple[Exchange, ...] = ()) -> str | None:
        return await soon(_answered(agent, asked(text, past), desk), f"{WHO}.answer ends for {text[:40]!r}")

    async with nothing_left(WHO):
        for text in ODD.values():
            await answered(text, ScriptedDesk())
        for text in understood:
            for desk in (ScriptedDesk(), ScriptedDesk(Outcome("")), ScriptedDesk(FAILED)):
                said = await answered(text, desk, PAST)
                promise(said is not None, f"{WHO}.answer understands {text!r}: it raised NotUnderstood")
                promise(
                    bool(desk.called) or text not in calls, f"{WHO}.answer calls a skill for {text!r}: it called none"
                )
                for name, arguments in desk.called:
                    promise(
                        bool(name) and all(isinstance(key, str) for key in arguments),
                        f"{WHO}.answer calls skills by name, with arguments by name: got {name!r}, {arguments!r}",
                    )
        await together(*(answered(text, ScriptedDesk()) for text in list(understood)[: min(at_once, 3)]))
        await _check_summary(agent, language)
    for text in calls:
        async with nothing_left(f"{WHO}.answer that was cancelled while a skill ran"):
            hanging, reached = ScriptedDesk(), asyncio.Event()
            hanging.hang = True
            hanging.outcome = FAILED
            work = _answered(agent, asked(text), hanging)
            watch = asyncio.get_running_loop().call_later(0.2, reached.set)
            await cancelled(work, reached, f"{WHO}.answer")
            watch.cancel()
        promise(await answered(text, ScriptedDesk()) is not None, f"{WHO}.answer answers after one was cancelled")


async def _answered(agent: Agent, request: Request, desk: ScriptedDesk) -> str | None:
    """What it says; None: not understood."""
    answer = agent.answer(request, desk)
    is_stream(answer, f"{WHO}.answer")
    said: list[str] = []
    try:
        async with closing(answer) as stream:
            async for piece in stream:
                promise(isinstance(piece, str), f"{WHO}.answer yields pieces of text: got {type(piece).__name__}")
                said.append(piece)
    except NotUnderstood:
        promise(not said, f"{WHO}.answer raises NotUnderstood before its first piece: it had said {''.join(said)!r}")
        promise(not desk.called, f"{WHO}.answer raises NotUnderstood before it calls a skill: it had called one")
        return None
    except VonadError:
        return "".join(said) if said else None
    return "".join(said)


async def _check_summary(agent: Agent, language: str) -> None:
    try:
        summary = await soon(agent.summarise(PAST[:1], language=language), f"{WHO}.summarise ends")
    except VonadError as error:
        promise(
            error.code == "capability_unsupported",
            f"{WHO}.summarise sums up, or raises capability_unsupported: got {error.code}",
        )
    else:
        promise(isinstance(summary, str) and bool(summary), f"{WHO}.summarise is a text: got {summary!r}")
