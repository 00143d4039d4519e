"""The gate: refuses wakes that are late, doubled, too many or heard from ourselves. Every refusal has its reason."""

import re
from collections import deque
from datetime import UTC, datetime, timedelta

from vonad.clock import Clock
from vonad.plan import Refusal, Wake

DUPLICATE_S = 60.0
"""For how long the id of a wake is remembered."""

AHEAD_S = 5.0
"""How far a wake's clock may run ahead of ours."""

REMEMBERED = 4_096
"""Ids remembered at most: more than a rate-limited house can send in a minute."""

UNSET_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows less has not been set since the machine booted: it judges nobody's time."""


class Gate:
    """Judges wakes one after the other; an accepted one counts towards its satellite's rate.

    after: the gate before this one, whose memory it takes over when the settings change.
    """

    def __init__(
        self, clock: Clock, *, max_age_s: float, cooldown_s: float, turns_per_minute: int, after: "Gate | None" = None
    ) -> None:
        self._clock = clock
        self._max_age_s = max_age_s
        self._cooldown_s = cooldown_s
        self._turns_per_minute = turns_per_minute
        self._seen: dict[str, float] = after._seen if after is not None else {}
        self._turns: dict[str, deque[float]] = after._turns if after is not None else {}
        self._rested: dict[str, float] = after._rested if after is not None else {}

    def rested(self, satellite: str) -> None:
        """The satellite waits for its wake word again: the cooldown begins."""
        self._rested[satellite] = self._clock.monotonic()

    def check(self, wake: Wake, *, speaking: str = "") -> Refusal | None:
        """Why this wake is refused, or None.

        speaking: what the satellite is saying just now: a detector that hears its own wake word in it is no wake.
        """
        if wake.retained:
            return Refusal("retained", "publish wakes without retain")
        return self._stale(wake) or self.duplicate(wake.id) or self._detected(wake, speaking) or self._rate(wake)

    def count(self, satellite: str) -> None:
        """A turn was admitted."""
        self._turns.setdefault(satellite, deque()).append(self._clock.monotonic())

    def rate(self, satellite: str) -> Refusal | None:
        """Whether the satellite has used up its turns of the last minute."""
        limit = self._turns_per_minute
        turns = self._turns.setdefault(satellite, deque())
        while turns and self._clock.monotonic() - turns[0] > 60.0:
            turns.popleft()
        if limit and len(turns) >= limit:
            return Refusal("rate", f"{len(turns)} turns in a minute; policy.turns_per_minute is {limit}")
        return None

    def _rate(self, wake: Wake) -> Refusal | None:
        return self.rate(wake.satellite)

    def _stale(self, wake: Wake) -> Refusal | None:
        limit = wake.expires_s if wake.expires_s is not None else self._max_age_s
        if wake.age_ms is not None and wake.age_ms / 1000 > limit:
            return Refusal("stale", f"it is {wake.age_ms / 1000:.1f} s old; {limit:g} s are allowed")
        now = self._clock.now()
        if wake.ts is None or now < UNSET_CLOCK:
            return None
        age = now - wake.ts
        if timedelta(seconds=-AHEAD_S) <= age <= timedelta(seconds=limit):
            return None
        return Refusal("stale", f"its clock says {_iso(wake.ts)}, ours says {_iso(now)}; {limit:g} s are allowed")

    def duplicate(self, request_id: str | None) -> Refusal | None:
        """Whether a request with this id came in the last minute; it is remembered from now on."""
        if request_id is None:
            return None
        now = self._clock.monotonic()
        while self._seen and (len(self._seen) > REMEMBERED or now - next(iter(self._seen.values())) > DUPLICATE_S):
            del self._seen[next(iter(self._seen))]
        if request_id in self._seen:
            return Refusal("duplicate", f"id {request_id} was seen {now - self._seen[request_id]:.1f} s ago")
        self._seen[request_id] = now
        return None

    def _detected(self, wake: Wake, speaking: str) -> Refusal | None:
        if wake.explicit:
            return None
        if speaking and _plain(wake.phrase or "") in _plain(speaking):
            return Refusal("playback", f"it was saying {wake.phrase!r} itself")
        rested = self._rested.get(wake.satellite)
        passed = self._clock.monotonic() - rested if rested is not None else None
        if passed is not None and passed < self._cooldown_s:
            return Refusal("cooldown", f"{passed:.1f} s after the last turn; wake.cooldown_s is {self._cooldown_s:g}")
        return None


def _plain(text: str) -> str:
    """Lower-case words with single spaces: "okay_nabu" and "Okay, Nabu!" are the same."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
