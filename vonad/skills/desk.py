"""The desk: runs one skill call from request to outcome. Whatever a skill does, the answer is an Outcome."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from vonad.clock import Clock
from vonad.engine import Outcome
from vonad.errors import VonadError
from vonad.history import Journal
from vonad.plan import SessionView
from vonad.policy import Policy
from vonad.skill import Call, Deny, Risk, SkillCall, SkillResult
from vonad.skills.catalogue import Catalogue, Entry

log = logging.getLogger(__name__)

SUMMARY = 200
"""Characters of a call's arguments that the audit keeps."""

LONGEST_SPEECH = 20_000
"""Characters a skill may have spoken: over twenty minutes of speech is a defect, not an answer."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A call that is over. follow_up: the skill's own wish, None when it has none."""

    outcome: Outcome
    follow_up: bool | None = None


class Desk:
    """Validates, asks policy, audits, and runs skills within their time.

    Every attempt has exactly one terminal row: done, failed, timeout, rejected or cancelled.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        policy: Policy,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._policy = policy
        self._journal = journal
        self._clock = clock

    def risk(self, name: str) -> Risk | None:
        """What a skill may do; None: no such skill runs."""
        return next((entry.skill.risk for entry in self._catalogue if entry.skill.name == name), None)

    async def run(
        self,
        call: SkillCall,
        *,
        turn_id: str,
        text: str,
        previous_reply: str,
        session: SessionView,
        language: str,
        tell: Callable[[str, Mapping[str, object]], None],
    ) -> Settled:
        """Run a call for a turn. tell: publishes (event type, data) of that turn."""
        summary = json.dumps(dict(call.arguments), default=str, ensure_ascii=False)[:SUMMARY]
        tell("skill.attempt", {"call_id": call.id, "name": call.name, "args_summary": summary})
        begun = self._clock.monotonic()
        end, detail, settled = "cancelled", "", Settled(Outcome("", ok=False, code="cancelled"))
        risk = next((entry.skill.risk for entry in self._catalogue if entry.skill.name == call.name), "read")
        started = self._journal.skill_started(call.id, turn_id, call.name, risk, summary)
        try:
            entry = self._catalogue.get(call.name)
            verdict = self._policy.review(call, session)
            if isinstance(verdict, Deny):
                raise VonadError("skill_rejected", verdict.reason, op=call.name)
            arguments = _arguments(entry, call)
            if risk != "read" and not await started:
                raise VonadError(
                    "store_error", f"{call.name} was not begun: its audit could not be written", op=call.name
                )
            circumstances = Call(
                id=call.id,
                text=text,
                satellite=session.satellite,
                session_id=session.session_id,
                language=language,
                previous_reply=previous_reply,
                host=entry.skill.host,
            )
            settled = await self._within(entry, arguments, circumstances)
            end = "done"
        except VonadError as error:
            end = {"skill_timeout": "timeout", "skill_failed": "failed"}.get(error.code, "rejected")
            detail = error.message
            settled = Settled(Outcome("", ok=False, code=error.code))
            log.warning("skill %s: %s", call.name, error.message)
        finally:
            elapsed = round((self._clock.monotonic() - begun) * 1000, 1)
            self._journal.skill_ended(call.id, end, elapsed, detail)
            if end == "rejected":
                tell("skill.rejected", {"call_id": call.id, "name": call.name, "reason": detail})
            elif end == "timeout":
                budget = round(self._catalogue.get(call.name).skill.timeout_s * 1000)
                tell("skill.timeout", {"call_id": call.id, "name": call.name, "budget_ms": budget})
            else:
                done = {"call_id": call.id, "name": call.name, "success": end == "done", "duration_ms": elapsed}
                tell("skill.result", done)
        return settled

    async def _within(self, entry: Entry, arguments: object, call: Call) -> Settled:
        skill = entry.skill
        try:
            async with self._clock.deadline(skill.timeout_s):
                result = await _shielded_from(entry, skill.run(arguments, call))
        except TimeoutError:
            limit = f"{skill.timeout_s:g} s"
            raise VonadError(
                "skill_timeout", f"{skill.name} ({entry.plugin}) took longer than its {limit}", op=skill.name
            ) from None
        if isinstance(result, str):
            result = SkillResult(speech=result)
        if not isinstance(result, SkillResult) or len(result.speech) > LONGEST_SPEECH:
            got = f"{len(result.speech)} characters" if isinstance(result, SkillResult) else type(result).__name__
            raise VonadError(
                "skill_failed",
                f"{skill.name} ({entry.plugin}) must return at most {LONGEST_SPEECH} characters: got {got}",
                op=skill.name,
            )
        return Settled(Outcome(result.speech, payload=result.payload), result.follow_up)


async def _shielded_from(entry: Entry, work: Awaitable[str | SkillResult]) -> str | SkillResult:
    """The spawn boundary of foreign code: a skill that wants to end the process ends its own call."""
    try:
        return await work
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        log.debug("skill %s failed", entry.skill.name, exc_info=True)
        raise VonadError(
            "skill_failed",
            f"{entry.skill.name} ({entry.plugin}) failed: {type(error).__name__}: {error}",
            op=entry.skill.name,
        ) from error


def _arguments(entry: Entry, call: SkillCall) -> object:
    """An instance of the skill's Args. Raises skill_schema_violation naming the argument."""
    extra = sorted(set(call.arguments) - set(entry.skill.Args.model_fields))
    if extra:
        raise VonadError("skill_schema_violation", f"{call.name} takes no argument {', '.join(extra)}", op=call.name)
    try:
        return entry.skill.Args.model_validate(dict(call.arguments))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "arguments"
        raise VonadError("skill_schema_violation", f"{call.name}: {where}: {first['msg']}", op=call.name) from None
