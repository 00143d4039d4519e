"""A skill call that waits for the user's yes: what it is bound to, and how long it holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vonad.plan import SessionView
from vonad.skill import SkillCall

CONFIRM_S = 20.0
"""How long a yes is waited for."""

MOST = 100
"""Calls that may wait at once, in all sessions together: one a session, and those whose users walked away."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Nothing of it was done yet.

    call:   as it would run: under an id of its own.
    prompt: what the user is asked.
    until:  monotonic; a yes after that is none.
    sealed: the arguments as they were when the user was asked.
    """

    call: SkillCall
    prompt: str
    session_id: str
    satellite: str | None
    until: float
    sealed: str

    def covers(self, call: SkillCall, session: SessionView, now: float) -> bool:
        """Whether a yes to this is a yes to that: the same skill, arguments, session and satellite, and in time."""
        same = (call.name, sealed(call.arguments)) == (self.call.name, self.sealed)
        here = (session.session_id, session.satellite) == (self.session_id, self.satellite)
        return bool(self.sealed) and same and here and now <= self.until


class Waiting:
    """The calls that wait. Each can be taken once."""

    def __init__(self) -> None:
        self._calls: dict[str, Pending] = {}

    def add(self, call: SkillCall, call_id: str, prompt: str, session: SessionView, now: float) -> Pending:
        """A call that the user is about to be asked about."""
        self._calls = {key: other for key, other in self._calls.items() if now <= other.until}
        while len(self._calls) >= MOST:
            del self._calls[next(iter(self._calls))]
        own = SkillCall(call_id, call.name, MappingProxyType(dict(call.arguments)))
        pending = Pending(own, prompt, session.session_id, session.satellite, now + CONFIRM_S, sealed(call.arguments))
        self._calls[call_id] = pending
        return pending

    def take(self, call: SkillCall, session: SessionView, now: float) -> bool:
        """Whether the user was asked about exactly this call, and has not answered before."""
        pending = self._calls.pop(call.id, None)
        return pending is not None and pending.covers(call, session, now)


def sealed(arguments: Mapping[str, object]) -> str:
    """Arguments as a text that is another one when anything in them is; empty: they cannot be told."""
    try:
        return json.dumps(dict(arguments), default=repr, ensure_ascii=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError):  # no JSON: keys that are no words, a circle, too deep
        return ""
