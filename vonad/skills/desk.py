"""The desk: runs one skill call from request to outcome. Whatever a skill does, the answer is an Outcome."""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from pydantic import ValidationError

from vonad.clock import Clock
from vonad.engine import Outcome
from vonad.errors import VonadError
from vonad.history import Journal
from vonad.plan import SessionView
from vonad.policy import Policy
from vonad.skill import Call, Confirm, Deny, Risk, SkillCall, SkillResult
from vonad.skills.attempt import ENDS, Attempt, Settled, Tell
from vonad.skills.catalogue import Catalogue, Entry
from vonad.skills.pending import Waiting

log = logging.getLogger(__name__)

LONGEST_SPEECH = 20_000
"""Characters a skill may have spoken: over twenty minutes of speech is a defect, not an answer."""

STORE_S = 5.0
"""How long the begin of an action may take to be on disk, before it is not begun at all."""

GRACE_S = 1.0
"""What a skill that is called off may take to end, before nobody waits for it any more."""


class Allowance(Protocol):
    """What a turn may still spend."""

    def skill_call(self) -> None:
        """One more attempt. Raises budget_exceeded."""


class Desk:
    """Validates, asks policy, audits, and runs skills within their time.

    Every call is an Attempt, and has one End, whatever comes of it.
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
        self._waiting = Waiting()
        self._attempts = itertools.count(1)
        self._running: set[asyncio.Task[str | SkillResult]] = set()

    def risk(self, name: str) -> Risk | None:
        """Of the skill of this name; None: there is none."""
        return self._catalogue.risk(name)

    def description(self, name: str) -> str:
        """Of the skill of this name; empty: there is none."""
        entry = self._catalogue.find(name)
        return entry.skill.description if entry is not None else ""

    def timeout_s(self, name: str) -> float:
        """How long the skill of this name may run; 0: there is none."""
        return self._catalogue.timeout_s(name)

    async def run(
        self,
        call: SkillCall,
        *,
        turn_id: str,
        text: str,
        previous_reply: str,
        session: SessionView,
        language: str,
        tell: Tell,
        budget: Allowance | None = None,
        confirmed: bool = False,
        may_ask: bool = True,
    ) -> Settled:
        """Run a call for a turn.

        tell:      publishes (event type, data) of that turn.
        budget:    None: there is no limit.
        confirmed: the user has said yes to this call, the `call` of a Pending. Policy is asked again, and may deny; it
                   is not believed for a call that the user was not asked about.
        may_ask:   the user can be asked now; else a call that needs a yes is called off.
        """
        begun = self._clock.monotonic()
        agreed = confirmed and self._waiting.take(call, session, begun)
        attempt = self._attempt(call, tell)
        call, started = attempt.call, attempt.begin(turn_id)
        settled, refusal = Settled(Outcome("", ok=False, code="cancelled"), end="cancelled"), None
        try:
            if budget is not None:
                budget.skill_call()
            entry = self._catalogue.get(call.name)
            arguments = _arguments(entry, call)
            prompt = self._reviewed(call, session, agreed=agreed)
            if prompt and may_ask:
                settled = self._ask(call, prompt, session)
            elif not prompt:
                await self._on_disk(entry, started)
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
        except VonadError as error:
            refusal = error
            settled = Settled(Outcome("", ok=False, code=error.code), end=ENDS.get(error.code, "rejected"))
            log.warning("skill %s: %s", call.name, error.message)
        finally:
            elapsed = round((self._clock.monotonic() - begun) * 1000, 1)
            attempt.over(settled, refusal, elapsed)
        return settled

    def refuse(
        self,
        call: SkillCall,
        *,
        turn_id: str,
        why: VonadError,
        tell: Tell,
    ) -> None:
        """A call that is not even tried is an attempt, too, and was refused."""
        attempt = self._attempt(call, tell)
        attempt.begin(turn_id)
        attempt.over(Settled(Outcome("", ok=False, code=why.code), end="rejected"), why, 0.0)

    def _attempt(self, call: SkillCall, tell: Tell) -> Attempt:
        return Attempt(call, next(self._attempts), catalogue=self._catalogue, journal=self._journal, tell=tell)

    def _reviewed(self, call: SkillCall, session: SessionView, *, agreed: bool) -> str:
        """What the user is to be asked first; empty: nothing. Raises skill_rejected."""
        verdict = self._policy.review(call, lambda: session)
        if isinstance(verdict, Deny):
            raise VonadError("skill_rejected", verdict.reason, op=call.name, details={"kind": verdict.kind})
        return verdict.prompt if isinstance(verdict, Confirm) and not agreed else ""

    def _ask(self, call: SkillCall, prompt: str, session: SessionView) -> Settled:
        # The id is one that no model could have made up.
        pending = self._waiting.add(call, secrets.token_hex(8), prompt, session, self._clock.monotonic())
        waits = {"done": False, "waits_for": "the user's yes to this question"}
        return Settled(Outcome(prompt, payload=waits), follow_up=True, confirm=pending, end="asked")

    async def _on_disk(self, entry: Entry, started: asyncio.Future[bool]) -> None:
        """An action does not begin before its audit says so: after a crash somebody can tell. Raises store_error."""
        if entry.skill.risk == "read" or not self._journal.enabled:
            return
        written = False
        with suppress(TimeoutError):
            async with self._clock.deadline(STORE_S):
                written = await asyncio.shield(started)
        if not written:
            name = entry.skill.name
            raise VonadError("store_error", f"{name} was not begun: its audit could not be written", op=name)

    async def _within(self, entry: Entry, arguments: object, call: Call) -> Settled:
        skill = entry.skill
        work = asyncio.create_task(
            _shielded_from(entry, lambda: skill.run(arguments, call)), name=f"skill {skill.name}"
        )
        self._running.add(work)
        work.add_done_callback(self._over_at_last)
        try:
            async with self._clock.deadline(skill.timeout_s):
                await asyncio.wait((work,))
        except TimeoutError:
            limit = f"{skill.timeout_s:g} s"
            raise VonadError(
                "skill_timeout", f"{skill.name} ({entry.plugin}) took longer than its {limit}", op=skill.name
            ) from None
        finally:
            if not work.done():
                await self._call_off(entry, work)
        if work.cancelled():
            raise VonadError("skill_failed", f"{skill.name} ({entry.plugin}) was cancelled by itself", op=skill.name)
        result = work.result()
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

    async def _call_off(self, entry: Entry, work: asyncio.Task[str | SkillResult]) -> None:
        """Have it end; one that does not let itself be cancelled is left behind."""
        work.cancel()
        with suppress(TimeoutError):
            async with self._clock.deadline(GRACE_S):
                await asyncio.wait((work,))
        if not work.done():
            log.error(
                "skill %s (%s) goes on though it was cancelled, and is left behind", entry.skill.name, entry.plugin
            )

    def _over_at_last(self, work: asyncio.Task[str | SkillResult]) -> None:
        self._running.discard(work)
        if not work.cancelled():
            work.exception()  # nobody may be waiting any more


async def _shielded_from(entry: Entry, run: Callable[[], Awaitable[str | SkillResult]]) -> str | SkillResult:
    """The spawn boundary of foreign code: a skill that wants to end the process ends its own call."""
    try:
        return await run()
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
    except Exception as error:  # a validator of the skill's own
        why = f"{call.name} ({entry.plugin}) could not check its arguments: {type(error).__name__}: {error}"
        raise VonadError("skill_failed", why, op=call.name) from error
