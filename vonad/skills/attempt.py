"""An attempt at a skill call, as the audit and the events tell it: begun once, over once, with one End."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from vonad.engine import Outcome
from vonad.errors import VonadError
from vonad.history import Journal
from vonad.skill import DenyKind, SkillCall
from vonad.skills.catalogue import Catalogue
from vonad.skills.pending import Pending, sealed

SUMMARY = 200
"""Characters of a call's arguments that the audit keeps."""

End = Literal["done", "failed", "timeout", "rejected", "asked", "cancelled"]
"""How an attempt ends: it did it, raised, took too long, was refused, waits for the user's yes, was called off."""

ENDS: Mapping[str, End] = {"skill_timeout": "timeout", "skill_failed": "failed"}
"""Error code → end; any other is a refusal."""

KINDS: Mapping[str, DenyKind] = {
    "skill_not_found": "schema",
    "skill_schema_violation": "schema",
    "store_error": "error",
    "budget_exceeded": "policy",
    "control_rejected": "policy",
}
"""Error code → why the call was refused, where policy does not say."""

Tell = Callable[[str, Mapping[str, object]], None]
"""Publishes (event type, data) of a turn."""


@dataclass(frozen=True, slots=True)
class Settled:
    """An attempt that is over.

    outcome:   of one that waits for a yes: the question, and that nothing was done.
    follow_up: the skill's own wish, None when it has none.
    confirm:   what runs if the user says yes.
    """

    outcome: Outcome
    follow_up: bool | None = None
    confirm: Pending | None = None
    end: End = "done"


class Attempt:
    """Exactly one row in the audit, and that has exactly one End; `unknown` if a crash came between.

    call: under an id of the attempt's own, there, in events and for the skill: models number their calls anew in each
          turn, or not at all.
    """

    def __init__(self, call: SkillCall, number: int, *, catalogue: Catalogue, journal: Journal, tell: Tell) -> None:
        self.call = SkillCall(f"{call.id}-{number}", call.name, call.arguments)
        self._catalogue = catalogue
        self._journal = journal
        self._tell = tell

    def begin(self, turn_id: str) -> asyncio.Future[bool]:
        """Tell that it is made; whether its row is on disk."""
        call, summary = self.call, sealed(self.call.arguments)[:SUMMARY]
        self._tell("skill.attempt", {"call_id": call.id, "name": call.name, "args_summary": summary})
        risk = self._catalogue.risk(call.name) or "read"
        return self._journal.skill_started(call.id, turn_id, call.name, risk, summary)

    def over(self, settled: Settled, refusal: VonadError | None, elapsed_ms: float) -> None:
        """Its terminal row, and its event. refusal: the error that ended it, if one did."""
        call, detail = self.call, refusal.message if refusal is not None else ""
        more: dict[str, object]
        match settled.end:
            case "asked":
                detail = settled.outcome.speech
                type_, more = "skill.confirm", {"prompt": detail}
            case "rejected":
                assert refusal is not None
                kind = refusal.details.get("kind") or KINDS.get(refusal.code, "error")
                type_, more = "skill.rejected", {"reason": detail, "kind": kind}
                detail = f"{kind}: {detail}"
            case "timeout":
                budget_ms = round(self._catalogue.timeout_s(call.name) * 1000)
                type_, more = "skill.timeout", {"budget_ms": budget_ms}
                detail = f"budget_ms {budget_ms}: {detail}"
            case "done" | "failed" | "cancelled":
                type_, more = "skill.result", {"success": settled.end == "done", "duration_ms": elapsed_ms}
                more |= {"code": settled.outcome.code, "reason": detail}
        self._journal.skill_ended(call.id, settled.end, elapsed_ms, detail)
        self._tell(type_, {"call_id": call.id, "name": call.name, **more})
