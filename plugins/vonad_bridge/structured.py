"""A reply that must be JSON: made by an agent, whole; one that does not know schemas is told of it in words."""

from collections.abc import Mapping
from dataclasses import replace

from vonad import Agent, ContextEvent, Output, Request, SkillDesk, closing

LONGEST = 1 << 17
"""Characters after which an agent is listened to no more: nobody would take so much."""


async def structured_reply(agent: Agent, request: Request, desk: SkillDesk) -> str:
    """All that the agent says. Raises what it raises."""
    assert request.output is not None
    if not agent.structured:
        request = replace(request, context=(*request.context, _in_words(request.output)))
    pieces, size = [], 0
    async with closing(agent.answer(request, desk)) as answer:
        async for piece in answer:
            pieces.append(piece)
            size += len(piece)
            if size > LONGEST:
                break
    return "".join(pieces)


def _in_words(output: Output) -> ContextEvent:
    wanted: Mapping[str, object] = {
        "answer_with": "JSON that fits this JSON Schema, and nothing around it: no words, no code fence",
        "json_schema": output.schema,
    }
    again: Mapping[str, object] = {"your_reply_before": output.before, "what_is_wrong_with_it": output.fault}
    return ContextEvent(source="vonad", payload={**wanted, **(again if output.fault else {})})
