"""The gate: refuses wakes that are late, doubled, doubtful, too many or heard from ourselves, each with its reason."""

import re
from collections import deque
from datetime import UTC, datetime

from vonad.clock import Clock
from vonad.plan import Refusal, Wake
from vonad.settings import Settings
from vonad.wake.earshot import Earshot
from vonad.wake.machine import CONFIRM_S, WakeMachine

DUPLICATE_S = 60.0
"""For how long the id of a wake is remembered."""

AHEAD_S = 5.0
"""How far a wake's clock may run ahead of ours."""

REMEMBERED = 4_096
"""Ids remembered at most: more than a rate-limited house can send in a minute."""

CLAIM_S = 0.7
"""For how long a wake word belongs to the satellite that was first: others hear it later, from further away."""

HEARD = frozenset({"busy", "playback"})
"""Reasons for which a wake word is refused that was said all the same: no other satellite in earshot is meant by it."""

UNSET_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows less has not been set since the machine booted: it judges nobody's time."""


class Gate:
    """Judges wakes one after the other; an accepted one counts towards its satellite's rate.

    after: the gate before this one, whose memory it takes over when the settings change.
    """

    def __init__(self, clock: Clock, settings: Settings, *, after: "Gate | None" = None) -> None:
        self._clock = clock
        self._settings = settings.wake
        self._turns_per_minute = settings.policy.turns_per_minute
        self._earshot = Earshot(settings.satellites)
        self._seen: dict[str, float] = after._seen if after is not None else {}
        self._turns: dict[str, deque[float]] = after._turns if after is not None else {}
        self._claims: deque[tuple[float, str, str]] = after._claims if after is not None else deque()

    def check(self, wake: Wake, machine: WakeMachine, *, speaking: str = "", listening: bool = False) -> Refusal | None:
        """Why this wake is refused, or None.

        machine:   its satellite's.
        speaking:  what the satellite is saying just now: a detector that hears its own wake word in it is no wake.
        listening: whether the microphone is open, or about to be.
        """
        refusal = self._late(wake) or self.duplicate(wake.id) or self._private(wake, machine)
        if not wake.explicit:
            refusal = refusal or self._elsewhere(wake, machine) or self._playback(wake, machine, speaking)
            if listening:
                refusal = refusal or Refusal("busy", f"the microphone of {wake.satellite} is open already")
            if refusal is not None and refusal.reason in HEARD:
                self._claim(wake)
            refusal = refusal or self._cooldown(machine) or self._doubtful(wake, machine)
        return refusal or self.rate(wake.satellite)

    def admitted(self, wake: Wake) -> None:
        """It was accepted: a turn, and its satellite's."""
        self.count(wake.satellite)
        self._claim(wake)

    def _claim(self, wake: Wake) -> None:
        """For a while no other satellite in earshot wakes by the same word."""
        while self._claims and self._clock.monotonic() - self._claims[0][0] > CLAIM_S:
            self._claims.popleft()
        if wake.phrase is not None:
            self._claims.append((self._clock.monotonic(), _plain(wake.phrase), wake.satellite))

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

    def _late(self, wake: Wake) -> Refusal | None:
        if wake.retained:
            return Refusal("retained", "publish wakes without retain")
        limit = wake.expires_s if wake.expires_s is not None else self._settings.max_age_s
        if wake.age_ms is not None and not wake.age_ms / 1000 <= limit:
            return Refusal("stale", f"it is {wake.age_ms / 1000:.1f} s old; {limit:g} s are allowed")
        now = self._clock.now()
        if wake.ts is None or now < UNSET_CLOCK:
            return None
        age_s = (now - wake.ts.astimezone(UTC)).total_seconds()  # one without an offset is this machine's
        if -AHEAD_S <= age_s <= limit:
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

    def _private(self, wake: Wake, machine: WakeMachine) -> Refusal | None:
        return Refusal("privacy", f"the microphone of {wake.satellite} is switched off") if machine.muted else None

    # What only detectors have to pass

    def _elsewhere(self, wake: Wake, machine: WakeMachine) -> Refusal | None:
        """Whether another satellite was nearer: it heard the same word first."""
        phrase, now = _plain(wake.phrase or ""), self._clock.monotonic()
        for at, claimed, other in self._claims:
            another = other != wake.satellite and self._earshot.shared(other, wake.satellite)
            if another and claimed == phrase and now - at <= CLAIM_S:
                machine.forget()
                return Refusal("duplicate", f"{other} heard {wake.phrase!r} {now - at:.1f} s before, and is in earshot")
        return None

    def _playback(self, wake: Wake, machine: WakeMachine, speaking: str) -> Refusal | None:
        phrase = _plain(wake.phrase or "")
        if any(said and phrase in _plain(said) for said in (speaking, machine.echo)):
            return Refusal("playback", f"it was saying {wake.phrase!r} itself")
        return None

    def _cooldown(self, machine: WakeMachine) -> Refusal | None:
        limit = self._settings.cooldown_s
        passed = machine.cooling_s(limit)
        if passed is None:
            return None
        return Refusal("cooldown", f"{passed:.1f} s after the last turn; wake.cooldown_s is {limit:g}")

    def _doubtful(self, wake: Wake, machine: WakeMachine) -> Refusal | None:
        """Whether the detector was too unsure of the word, or of who said it. One that tells no score judged itself.

        Limits are what has to be reached: a score that is no number reaches none.
        """
        limits, score = self._settings, wake.score
        accept = limits.accept if wake.cutoff is None else wake.cutoff
        whose = "wake.accept" if wake.cutoff is None else "the detector's own limit"
        if score is not None and not score >= accept:
            if not score >= limits.candidate:
                return Refusal("below_threshold", f"its score is {score:.2f}; {whose} is {accept:g}")
            if not machine.heard(_plain(wake.phrase or "")):
                why = f"its score is {score:.2f}; {whose} is {accept:g}: less is believed if it comes again at once"
                return Refusal("below_threshold", f"{why}, within {CONFIRM_S:g} s")
        if wake.speaker_score is not None and not wake.speaker_score >= limits.speaker:
            why = f"the speaker's score is {wake.speaker_score:.2f}; wake.speaker is {limits.speaker:g}"
            return Refusal("speaker_rejected", why)
        return None


def _plain(text: str) -> str:
    """Lower-case words with single spaces: "okay_nabu" and "Okay, Nabu!" are the same."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
