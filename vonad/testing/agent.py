"""An agent that says what a test says it says, and a desk at which nothing is really done."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from vonad.engine import Agent, Exchange, NotUnderstood, Outcome, Request, SkillDesk
from vonad.errors import VonadError

Answer = str | Sequence[str] | VonadError | tuple[str, Mapping[str, object]]

DONE = Outcome("Done.")


class ScriptedAgent(Agent):
    """Answers from a mapping of text to what it does; NotUnderstood for every other.

    An answer is a text, a list of pieces, an error to raise, or (skill, arguments): the desk's answer is passed on.

    requests: everything it was asked.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers = dict(answers or {})
        self.requests: list[Request] = []

    async def answer(self, request: Request, desk: SkillDesk) -> AsyncIterator[str]:
        self.requests.append(request)
        if request.text not in self.answers:
            raise NotUnderstood(request.text)
        answer = self.answers[request.text]
        if isinstance(answer, VonadError):
            raise answer
        if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Mapping):
            outcome = await desk.call(str(answer[0]), answer[1])
            if outcome.speech:
                yield outcome.speech
            return
        for piece in [answer] if isinstance(answer, str) else answer:
            yield str(piece)

    async def summarise(self, history: Sequence[Exchange], *, language: str) -> str:
        return f"They talked {len(history)} times."


class ScriptedDesk(SkillDesk):
    """Keeps what is called, and answers every call alike.

    outcome: of every call; or what makes one of (name, arguments).
    hang:    set it, and calls do not return.
    """

    def __init__(self, outcome: Outcome | Callable[[str, Mapping[str, object]], Outcome] = DONE) -> None:
        self.outcome = outcome
        self.called: list[tuple[str, dict[str, object]]] = []
        self.hang = False

    async def call(self, name: str, arguments: Mapping[str, object]) -> Outcome:
        self.called.append((name, dict(arguments)))
        if self.hang:
            await asyncio.Event().wait()
        return self.outcome(name, arguments) if callable(self.outcome) else self.outcome
