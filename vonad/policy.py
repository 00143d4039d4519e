"""Policy: what plugins decide, asked through their hooks. Fails closed: a hook that raises refuses, and is reported."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CoroutineType
from typing import Protocol, TypeGuard, TypeVar, get_args

from vonad.clock import Clock, SystemClock
from vonad.control import Continue, ControlEvent, Decision, FallBack, FallbackReason, Ignore, InjectContext
from vonad.errors import VonadError
from vonad.hookspecs import hookimpl
from vonad.plan import ContextEvent, Plan, Refusal, SessionView, Wake
from vonad.skill import Allow, Confirm, Deny, DenyKind, Risk, SkillCall

SLOW_S = 0.1
"""A hook that takes longer is reported: the whole house waits for it."""

TIMEOUT_S = 5.0
"""An answer that took longer counts as a refusal. Nothing can stop a plain function before it returns."""

REPORT_S = 60.0
"""How often at most the same hook of the same plugin is reported for being slow."""

CONTINUE = Continue()
"""Backends may do what they do: the house's own answer, which every word of every reply waits for."""

LONGEST_TEXT = 20_000
"""Characters that a rewritten text may have."""

FALLS_BACK: frozenset[FallbackReason] = frozenset({"backend_unavailable", "control_rejected", "silence", "interrupted"})
"""Why the next backend takes over, unless a plugin decides otherwise. A skill would fail with the next one too."""

_SENTENCE_END = re.compile(r"[.!?:;]?\s*$|[.!?]\s+|\n")

T = TypeVar("T")


Look = Callable[[], SessionView]
"""How a session stands: looked at only when somebody asks who wants to know, as most who are asked do not."""


class PolicyHooks(Protocol):
    """The hooks of all plugins together."""

    def says(self, hook: str) -> Sequence[tuple[str, Callable[..., object]]]:
        """Who has a say in it, as (who, what to call), in the order of asking.

        It is called with the hook's arguments by name; in place of a `session` with a Look at it.
        """


@dataclass(frozen=True, slots=True)
class InTurn:
    """These, and then those."""

    first: PolicyHooks
    then: PolicyHooks

    def says(self, hook: str) -> Sequence[tuple[str, Callable[..., object]]]:
        """All of them."""
        return [*self.first.says(hook), *self.then.says(hook)]


class DefaultPolicy:
    """The house's own answers, asked last: plan by the settings, have what is sensitive confirmed, change no words.

    risk:  of the skill of this name; None: there is none.
    there: the same in the session of this id, which may have skills of its own.
    does:  what the skill of this name says of itself there; empty: nothing.
    """

    def __init__(
        self,
        plan: Callable[[Wake], Plan],
        *,
        risk: Callable[[str], Risk | None],
        there: Callable[[str, str], Risk | None] = lambda session_id, name: None,
        does: Callable[[str, str], str] = lambda session_id, name: "",
    ) -> None:
        self._plan = plan
        self.risk = risk
        self._there = there
        self._does = does

    @hookimpl(trylast=True)
    def plan_session(self, wake: Wake) -> Plan:
        """As the wake, the satellite's table and the defaults say."""
        return self._plan(wake)

    @hookimpl(trylast=True)
    def review_skill_call(self, call: SkillCall, session: SessionView) -> Allow | Confirm:
        """Skills may run; a sensitive one once the user has said yes to just this."""
        risk = self._there(session.session_id, call.name) or self.risk(call.name)
        if risk != "sensitive":
            return Allow()
        return Confirm(question(call, self._does(session.session_id, call.name)))

    @hookimpl(trylast=True)
    def should_fall_back(self, reason: FallbackReason) -> bool:
        """When the backend is at fault, not when a skill is."""
        return reason in FALLS_BACK


class Policy:
    """Asks the hooks, the first answer that is not None counts, and checks what they answer.

    Most houses have nobody who has a say in what every word and every reply waits for: that is looked at first.

    report: told (hook, error) of each hook that raised, answered nonsense or was slow; the error names the plugin.
    """

    def __init__(
        self, hooks: PolicyHooks, report: Callable[[str, VonadError], None], *, clock: Clock | None = None
    ) -> None:
        self._hooks = hooks
        self._report = report
        self._clock = clock or SystemClock()
        self._slow: dict[tuple[str, str], float] = {}

    def after(self, hooks: PolicyHooks) -> "Policy":
        """The same, but these are asked before all others."""
        return Policy(InTurn(hooks, self._hooks), self._report, clock=self._clock)

    def plan(self, wake: Wake, active: Sequence[SessionView]) -> Plan | Refusal:
        """What a wake becomes."""
        hook = "plan_session"
        try:
            return self._decided(hook, "a Plan or a Refusal", _is_plan, wake=wake, active=active)
        except VonadError as error:
            self._report(hook, error)
            return Refusal("hook_denied", error.message)

    def review(self, call: SkillCall, session: Look) -> Allow | Deny | Confirm:
        """Whether a skill may run."""
        hook = "review_skill_call"
        try:
            return self._decided(hook, "Allow, Deny or Confirm", _is_verdict, call=call, session=session)
        except VonadError as error:
            self._report(hook, error)
            return Deny(error.message, "timeout" if error.code == "hook_timeout" else "error")

    def control(self, event: ControlEvent, session: Look) -> Decision:
        """What becomes of something that a backend did: it goes on, unless a plugin objects, or fails to decide."""
        hook = "review_control_event"
        if not self._hooks.says(hook):
            return CONTINUE
        try:
            return self._asked(hook, "a Decision", _is_decision, event=event, session=session) or CONTINUE
        except VonadError as error:
            self._report(hook, VonadError("control_rejected", error.message, op=hook))
            return Ignore()

    def should_fall_back(self, reason: FallbackReason, session: Look) -> bool:
        """Whether the next backend takes over."""
        hook = "should_fall_back"
        try:
            return self._decided(hook, "True or False", _is_bool, reason=reason, session=session)
        except VonadError as error:
            self._report(hook, error)
            return False

    def user_text(self, text: str, session: Look) -> str:
        """What is answered in place of what was said. Raises hook_denied."""
        hook = "rewrite_user_text"
        return self._rewritten(hook, text, session) if self._hooks.says(hook) else text

    def reply(self, text: str, session: Look) -> str:
        """What is spoken in place of what was generated. Raises hook_denied."""
        hook = "rewrite_reply"
        return self._rewritten(hook, text, session) if self._hooks.says(hook) else text

    def _rewritten(self, hook: str, text: str, session: Look) -> str:
        try:
            answer = self._asked(hook, f"a text of at most {LONGEST_TEXT}", _is_text, text=text, session=session)
        except VonadError as error:
            self._report(hook, error)
            raise VonadError("hook_denied", error.message, op=hook) from error
        return text if answer is None else answer

    def _decided(self, hook: str, wanted: str, fits: Callable[[object], TypeGuard[T]], **about: object) -> T:
        answer = self._asked(hook, wanted, fits, **about)
        if answer is None:
            raise VonadError("plugin_error", f"nobody answered {hook}: not even vonad's own policy", op=hook)
        return answer

    def _asked(self, hook: str, wanted: str, fits: Callable[[object], TypeGuard[T]], **about: object) -> T | None:
        """The first answer. Raises plugin_error, hook_timeout, naming the plugin."""
        for who, say in self._hooks.says(hook):
            begun = self._clock.monotonic()
            try:
                answer = say(**about)
                fitting = answer if answer is not None and fits(answer) else None
                if fitting is None and answer is not None:
                    if isinstance(answer, CoroutineType):
                        answer.close()
                    raise TypeError(f"it must return {wanted}, or None: got {answer!r:.200}")
            # A plugin's fault must not become the house's, nor its end.
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                message = f"{hook} of {who} failed, which counts as no: {type(error).__name__}: {error}"
                raise VonadError("plugin_error", message, op=hook) from error
            self._timed(hook, who, self._clock.monotonic() - begun)
            if fitting is not None:
                return fitting
        return None

    def _timed(self, hook: str, who: str, took_s: float) -> None:
        if took_s <= SLOW_S:
            return
        took = f"{hook} of {who} took {took_s:.1f} s"
        if took_s > TIMEOUT_S:
            raise VonadError("hook_timeout", f"{took}, which counts as no: the limit is {TIMEOUT_S:g} s", op=hook)
        now = self._clock.monotonic()
        if now - self._slow.get((hook, who), now - REPORT_S) >= REPORT_S:
            self._slow[hook, who] = now
            message = f"{took}: everything waits for a hook; answer within {SLOW_S * 1000:g} ms"
            self._report(hook, VonadError("plugin_error", message, op=hook))


def question(call: SkillCall, description: str = "") -> str:
    """What is asked before a sensitive skill runs: what the skill does, and all that it is told to do.

    description: the skill's own, of which the first sentence is said; without one it is its name.
    """
    told = ", ".join(f"{name} {value}".replace("_", " ") for name, value in call.arguments.items())
    does = _SENTENCE_END.split(description.strip(), maxsplit=1)[0]
    if does:
        return f"{': '.join(part for part in (f'{does:.120}', told) if part):.200}. Shall I do this?"
    return f"Shall I do this: {', '.join(part for part in (call.name.replace('_', ' '), told) if part):.200}?"


def _is_plan(answer: object) -> TypeGuard[Plan | Refusal]:
    return isinstance(answer, Plan | Refusal)


def _is_verdict(answer: object) -> TypeGuard[Allow | Deny | Confirm]:
    if isinstance(answer, Confirm):
        return isinstance(answer.prompt, str) and bool(answer.prompt.strip())
    if isinstance(answer, Deny):
        return isinstance(answer.reason, str) and answer.kind in get_args(DenyKind)
    return isinstance(answer, Allow)


def _is_decision(answer: object) -> TypeGuard[Decision]:
    if isinstance(answer, InjectContext):
        return isinstance(answer.event, ContextEvent)
    return isinstance(answer, Ignore | Continue | FallBack)


def _is_bool(answer: object) -> TypeGuard[bool]:
    return isinstance(answer, bool)


def _is_text(answer: object) -> TypeGuard[str]:
    return isinstance(answer, str) and len(answer) <= LONGEST_TEXT
