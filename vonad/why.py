"""Why a turn took as long as it did: its stages in order, what each took, and whose time that was."""

from dataclasses import dataclass, replace

from vonad.history import FallbackRun, SkillRun, TurnDetail

OWNERS = {
    "wake": "opening",
    "speech": "the user",
    "endpoint": "endpointing",
    "stt": "stt",
    "agent_first_token": "agent",
    "skill": "skill",
    "tts_first_audio": "tts",
    "playback_started": "transport",
    "playback_finished": "the reply itself",
}
"""Stage → whose time passes until it is reached."""

ORDER = tuple(OWNERS)
"""Stages that are reached in the same millisecond, in the order of their causes."""

PREPARED = frozenset({"skill", "agent_first_token", "tts_first_audio"})
"""Stages that a prepared answer reaches before the user's words have ended."""

UNBLAMED = frozenset({"the user", "the reply itself"})
"""Whose time is not waited for: somebody speaks, or is listened to."""


@dataclass(frozen=True, slots=True)
class Step:
    """From one stage to the next. at_ms: when it was reached, from the start of the turn; owner: whose time it was.

    The wake's is the time from it to the turn that it led to; with one, at_ms counts from there.
    """

    stage: str
    at_ms: float
    took_ms: float
    owner: str


@dataclass(frozen=True, slots=True)
class Why:
    """Where a turn's time went.

    endpoint: why the user's words were taken to have ended; None where there were none to hear.
    slowest:  what was waited for longest; None when nothing was.
    attempts: the skills it tried to run. fallbacks: the backends it was taken from.
    """

    turn_id: str
    session_id: str
    satellite: str | None
    ts: str
    source: str
    outcome: str | None
    transcript: str | None
    backend: str | None
    degraded: bool
    audio_gap: bool
    endpoint: str | None
    first_audio_ms: float | None
    total_ms: float
    steps: tuple[Step, ...]
    slowest: Step | None
    attempts: tuple[SkillRun, ...]
    fallbacks: tuple[FallbackRun, ...]


def why(turn: TurnDetail) -> Why:
    """Explain a turn."""
    steps = _steps(turn)
    waited = [step for step in steps if step.owner not in UNBLAMED and step.took_ms > 0]
    return Why(
        turn_id=turn.turn_id,
        session_id=turn.session_id,
        satellite=turn.satellite,
        ts=turn.ts,
        source=turn.source,
        outcome=turn.outcome,
        transcript=turn.transcript,
        backend=turn.backend,
        degraded=turn.degraded,
        audio_gap=turn.audio_gap,
        endpoint=turn.endpoint,
        first_audio_ms=turn.first_audio_ms,
        total_ms=max((step.at_ms for step in steps), default=0.0),
        steps=steps,
        slowest=max(waited, key=lambda step: step.took_ms, default=None),
        attempts=tuple(turn.attempts),
        fallbacks=tuple(turn.fallbacks),
    )


def _steps(turn: TurnDetail) -> tuple[Step, ...]:
    reached = dict(turn.stages)
    waited = 0.0 - reached.pop("wake", 0.0)
    ended = reached.get("endpoint")
    if ended is not None:
        reached["speech"] = _end_of_speech(turn, ended)
    steps: list[Step] = []
    before = 0.0
    for stage, at_ms in sorted(reached.items(), key=lambda item: (item[1], _place(item[0]))):
        if ended is not None and at_ms < ended and stage in PREPARED:  # beside the user's words: nobody waited for it
            steps.append(Step(stage, at_ms, 0.0, f"{_owner(stage, turn)}, prepared"))
            continue
        steps.append(Step(stage, at_ms, round(at_ms - before, 1), _owner(stage, turn)))
        before = at_ms
    if "wake" in turn.stages:
        steps = [replace(step, at_ms=round(step.at_ms + waited, 1)) for step in steps]
        steps.insert(0, Step("wake", waited, waited, OWNERS["wake"]))
    return tuple(steps)


def _end_of_speech(turn: TurnDetail, endpoint_ms: float) -> float:
    """When the user fell silent: the wait for the first sound began then. Unknown where nothing sounded."""
    started = turn.stages.get("playback_started")
    if started is None or turn.first_audio_ms is None:
        return endpoint_ms
    return round(min(max(0.0, started - turn.first_audio_ms), endpoint_ms), 1)


def _owner(stage: str, turn: TurnDetail) -> str:
    owner = OWNERS.get(stage, stage)
    if owner == "skill" and turn.attempts:
        slowest = max(turn.attempts, key=lambda attempt: attempt.duration_ms or 0.0)
        return f"skill {slowest.name}"
    if owner in {"stt", "agent", "tts"} and turn.backend:
        return f"{turn.backend}: {owner}"
    if owner == "transport" and turn.satellite:
        return f"satellite {turn.satellite}"
    return owner


def _place(stage: str) -> int:
    return ORDER.index(stage) if stage in ORDER else len(ORDER)
