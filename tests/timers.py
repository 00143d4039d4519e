"""A skill that sets timers, as tests of sessions need one: it keeps what it was told, may fail, or hang."""

import asyncio

from pydantic import BaseModel

from vonad.host import NoSettings
from vonad.skill import AnySkill, Call, Risk, SkillResult, skill
from vonad.testing import ScriptedHost


class Minutes(BaseModel):
    minutes: int = 1


def timer(ran: list[int], risk: Risk = "read", *, hangs: bool = False) -> tuple[AnySkill, str]:
    """Keeps what it was told; a wish for 0 minutes fails."""

    @skill("set a timer", name="timer", description="Sets a timer.", args=Minutes, risk=risk, timeout_s=2.0)
    async def timer(args: Minutes, call: Call) -> SkillResult:
        ran.append(args.minutes)
        if hangs:
            await asyncio.Event().wait()
        if not args.minutes:
            raise LookupError("no time")
        return SkillResult(speech="It runs.", payload={"minutes": args.minutes})

    return timer(NoSettings(), ScriptedHost()), "tests"
