"""Policy: what plugins decide, asked through their hooks. Fails closed: a hook that raises refuses, and is reported."""

from collections.abc import Callable, Sequence
from typing import Protocol

from vonad.errors import VonadError
from vonad.hookspecs import hookimpl
from vonad.plan import Plan, Refusal, SessionView, Wake
from vonad.skill import Allow, Deny, SkillCall


class PolicyHooks(Protocol):
    """The hooks of all plugins together, first answer wins."""

    def plan_session(self, *, wake: Wake, active: Sequence[SessionView]) -> object: ...
    def review_skill_call(self, *, call: SkillCall, session: SessionView) -> object: ...
    def rewrite_user_text(self, *, text: str, session: SessionView) -> object: ...
    def rewrite_reply(self, *, text: str, session: SessionView) -> object: ...


class DefaultPolicy:
    """The house's own answers, asked last: plan by the settings, let skills run, change no words."""

    def __init__(self, plan: Callable[[Wake], Plan]) -> None:
        self._plan = plan

    @hookimpl(trylast=True)
    def plan_session(self, wake: Wake) -> Plan:
        """As the wake, the satellite's table and the defaults say."""
        return self._plan(wake)

    @hookimpl(trylast=True)
    def review_skill_call(self) -> Allow:
        """Skills may run."""
        return Allow()


class Policy:
    """Asks the hooks and checks what they answer.

    report: told (hook, error) of each hook that raised or answered nonsense.
    """

    def __init__(self, hooks: PolicyHooks, report: Callable[[str, Exception], None]) -> None:
        self._hooks = hooks
        self._report = report

    def plan(self, wake: Wake, active: Sequence[SessionView]) -> Plan | Refusal:
        """What a wake becomes."""
        try:
            answer = self._hooks.plan_session(wake=wake, active=active)
            if isinstance(answer, Plan | Refusal):
                return answer
            raise _unexpected("plan_session", "a Plan or a Refusal", answer)
        except Exception as error:  # a plugin's fault must not become the house's
            self._report("plan_session", error)
            return Refusal("hook_denied", f"plan_session failed: {error}")

    def review(self, call: SkillCall, session: SessionView) -> Allow | Deny:
        """Whether a skill may run."""
        try:
            answer = self._hooks.review_skill_call(call=call, session=session)
            if isinstance(answer, Allow | Deny):
                return answer
            raise _unexpected("review_skill_call", "Allow or Deny", answer)
        except Exception as error:  # as above
            self._report("review_skill_call", error)
            return Deny(f"review_skill_call failed: {error}")

    def user_text(self, text: str, session: SessionView) -> str:
        """What is answered in place of what was said. Raises hook_denied."""
        return self._rewritten(
            "rewrite_user_text", text, lambda: self._hooks.rewrite_user_text(text=text, session=session)
        )

    def reply(self, text: str, session: SessionView) -> str:
        """What is spoken in place of what was generated. Raises hook_denied."""
        return self._rewritten("rewrite_reply", text, lambda: self._hooks.rewrite_reply(text=text, session=session))

    def _rewritten(self, hook: str, text: str, ask: Callable[[], object]) -> str:
        try:
            answer = ask()
            if answer is None:
                return text
            if isinstance(answer, str):
                return answer
            raise _unexpected(hook, "a text or None", answer)
        except Exception as error:  # as above
            self._report(hook, error)
            raise VonadError("hook_denied", f"{hook} failed: {error}", op=hook) from error


def _unexpected(hook: str, wanted: str, got: object) -> TypeError:
    return TypeError(f"{hook} must return {wanted}: got {got!r:.200}")
