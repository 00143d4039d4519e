"""Why a turn took as long as it did: its stages in order, what each took, and whose time that was."""

from dataclasses import dataclass, replace
from datetime import datetime

from vonad.history import FallbackRun, SkillRun, TurnDetail

GIVEN_UP = "given_up"
"""In place of the stage that was never reached: an apology began, or the turn was over."""

OWNERS = {
    "wake": "opening",
    "speech": "the user",
    "endpoint": "endpointing",
    "stt": "stt",
    "agent_first_token": "agent",
    "skill": "skill",
    "tts_first_audio": "tts",
    GIVEN_UP: "whoever was waited for",
    "playback_started": "transport",
    "playback_finished": "the reply itself",
}
"""Stage → whose time passes until it is reached."""

ORDER = tuple(OWNERS)
"""Stages that are reached in the same millisecond, in the order of their causes."""

PREPARED = frozenset({"skill", "agent_first_token", "tts_first_audio"})
"""Stages that a prepared answer reaches before the user's words have ended."""

BROKEN_OFF = frozenset({"interrupted", "superseded", "failed", "not_understood", "budget_exceeded"})
"""Outcomes of turns that may have ended while a stage was waited for."""

ITS_OWN = frozenset({"say", "greeting"})
"""Sources of turns in which nobody asks anything of an agent, or hears of it if it has no answer."""

NOBODY = "nobody spoke"

UNBLAMED = frozenset({"the user", NOBODY, "the reply itself"})
"""Whose time is not waited for: somebody speaks, or could, or is listened to."""


@dataclass(frozen=True, slots=True)
class Step:
    """From one stage to the next. at_ms: when it was reached, from the start of the turn; owner: whose time it was.

    The wake's is the time from it to the turn that it led to; with one, at_ms counts from there.
    stage: GIVEN_UP for the time of one that was waited for until it was wanted no more.
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
        total_ms=max((step.at_ms for step in steps), default=_lasted(turn) or 0.0),
        steps=steps,
        slowest=max(waited, key=lambda step: step.took_ms, default=None),
        attempts=tuple(turn.attempts),
        fallbacks=tuple(turn.fallbacks),
    )


def _steps(turn: TurnDetail) -> tuple[Step, ...]:
    reached = dict(turn.stages)
    waited = 0.0 - reached.pop("wake", 0.0)
    ended = reached.get("endpoint")
    if ended is not None and not _unspoken(turn):
        reached["speech"] = _end_of_speech(turn, ended)
    missed = _given_up(turn)
    if missed is not None:
        reached[GIVEN_UP] = missed[0]
    steps: list[Step] = []
    before = 0.0
    for stage, at_ms in sorted(reached.items(), key=lambda item: (item[1], _place(item[0]))):
        if ended is not None and at_ms < ended and stage in PREPARED:  # beside the user's words: nobody waited for it
            steps.append(Step(stage, at_ms, 0.0, f"{_owner(stage, turn)}, prepared"))
            continue
        owner = missed[1] if missed is not None and stage == GIVEN_UP else _owner(stage, turn)
        steps.append(Step(stage, at_ms, round(at_ms - before, 1), owner))
        before = at_ms
    if "wake" in turn.stages:
        steps = [replace(step, at_ms=round(step.at_ms + waited, 1)) for step in steps]
        steps.insert(0, Step("wake", waited, waited, OWNERS["wake"]))
    return tuple(steps)


def _given_up(turn: TurnDetail) -> tuple[float, str] | None:
    """When a stage that was waited for was wanted no more, and whose it was; None: nothing is missing."""
    stages, lasted = turn.stages, _lasted(turn)
    if turn.outcome not in BROKEN_OFF:
        return None
    if not _answered(turn) and "playback_started" in stages:
        until = stages["playback_started"]  # of an apology
    elif lasted is not None and "playback_finished" not in stages:
        until = max(lasted, *stages.values(), 0.0)
    else:
        return None
    return until, _missing(turn, until)


def _missing(turn: TurnDetail, until_ms: float) -> str:
    """Whose stage should have come next."""
    stages = turn.stages
    running = [attempt for attempt in turn.attempts if _runs(attempt, turn, until_ms)]
    if running:
        return f"skill {running[-1].name}"
    if turn.source in {"voice", "follow_up"} and "endpoint" not in stages:
        return "the user"
    if _answered(turn) and "playback_started" in stages:
        return "the reply itself"
    if _answered(turn) and turn.satellite is not None:
        return _owner("playback_started" if "tts_first_audio" in stages else "tts_first_audio", turn)
    heard = turn.source not in {"voice", "follow_up"} or "stt" in stages
    return _owner("agent_first_token" if heard else "stt", turn)


def _answered(turn: TurnDetail) -> bool:
    """Whether there was something to say, or to go on saying."""
    unheard = turn.outcome == "not_understood" and "stt" in turn.stages and not turn.transcript
    return unheard or turn.source in ITS_OWN or not {"agent_first_token", "tts_first_audio"}.isdisjoint(turn.stages)


def _runs(attempt: SkillRun, turn: TurnDetail, at_ms: float) -> bool:
    """Whether a skill was running then."""
    began = _between(turn.ts, attempt.ts)
    return began <= at_ms and (attempt.duration_ms is None or began + attempt.duration_ms >= at_ms)


def _lasted(turn: TurnDetail) -> float | None:
    """Milliseconds; None: it is not over."""
    return _between(turn.ts, turn.ended) if turn.ended is not None else None


def _between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds() * 1000


def _unspoken(turn: TurnDetail) -> bool:
    """Whether the microphone was open, and nobody said a word."""
    heard = turn.transcript or turn.endpoint in {"silence", "semantic", "max_length"}
    return not heard and turn.outcome in {"empty", "interrupted"}


def _end_of_speech(turn: TurnDetail, endpoint_ms: float) -> float:
    """When the user fell silent: the wait for the first sound began then. Unknown where nothing sounded."""
    started = turn.stages.get("playback_started")
    if started is None or turn.first_audio_ms is None:
        return endpoint_ms
    return round(min(max(0.0, started - turn.first_audio_ms), endpoint_ms), 1)


def _owner(stage: str, turn: TurnDetail) -> str:
    if stage == "endpoint" and _unspoken(turn):
        return NOBODY
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
