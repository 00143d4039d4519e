"""What the ancestors promise in sessions, row by row, and how a test's name says which of them it holds vonad to."""

import re
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).parent

Row = tuple[str, ...]
"""A table and its row; or a fault alone."""

ROWS: dict[str, tuple[str, ...]] = {
    "Vona": (
        "SessionConfig",
        "SpeechStyleProfile",
        "driver loop",
        "states",
        "close reasons",
        "metrics",
        "interruption",
        "control events",
        "RuntimeDecision",
        "SessionPolicy",
        "FallbackReason",
        "bridge fallback",
        "FillerStrategy",
        "ExternalContextEvent",
        "Skill, SkillRegistry",
        "skill validation",
        "AuditSink",
        "BackendCapabilities",
        "realtime backend",
        "latency marks",
        "sidecar",
        "wake gate",
        "streaming STT defaults",
        "test harness",
        "published targets",
    ),
    "CyberVerse": (
        "two pipelines",
        "session manager",
        "idle and duration limits",
        "PipelineSeq / PipelineDone",
        "TurnSeq",
        "preemption",
        "history insert",
        "dialog context",
        "startup greeting",
        "persistence",
        "background tasks",
        "fan-out",
    ),
    "Beluga": (
        "states",
        "start, stop",
        "providers",
        "error recovery",
        "circuit breaker",
        "provider fall-back",
        "timeout",
        "keep-alive",
        "interruption",
        "preemptive generation",
        "long utterances",
        "turn detection",
        "VAD",
        "away",
        "Say handle",
        "streaming agent",
        "claims",
    ),
    "Meerkat": (
        "create_session",
        "start_turn",
        "interrupt",
        "read, list, archive",
        "subscribe",
        "error codes",
        "build options",
        "budgets",
        "hooks",
        "compaction",
        "checkpointer",
        "usage",
    ),
}
"""Every row of these tables that is about sessions. What a satellite sees, records, measures and traces is not."""

ELSEWHERE: dict[tuple[str, str], str] = {
    ("Vona", "sidecar"): "sidecars",
    ("Vona", "streaming STT defaults"): "engines",
    ("CyberVerse", "background tasks"): "skills",
}
"""Rows that wait for other parts of vonad, and for which."""

BUGS = (
    "chunking",
    "resurrection",
    "lost interrupt",
    "unreaped session",
    "state callback under lock",
    "late output saved as heard",
    "half-open breaker",
)
"""Faults of the ancestors that are known."""


def slug(words: str) -> str:
    """As it stands in the name of a test: `AuditSink` is audit_sink, `fan-out` is fan_out."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words)
    return "_".join(re.findall(r"[a-z0-9]+", apart.lower()))


def beginnings(row: Row) -> list[str]:
    """What the names of a row's tests begin with: with all of it or, where it is several things, with one of them."""
    if len(row) == 1:
        return [f"test_regression_{slug(row[0])}_"]
    table, words = row
    parts = dict.fromkeys((words, *re.split(r", | / ", words)))
    return [f"test_{table.lower()}_{slug(part)}_" for part in parts]


def covered(row: Row, names: Iterable[str]) -> bool:
    """Whether tests stand for the whole row, or for each of its parts."""
    whole, *parts = (any(name.startswith(beginning) for name in names) for beginning in beginnings(row))
    return whole or (bool(parts) and all(parts))


def tests() -> dict[Row, dict[str, str]]:
    """Each row and fault → its tests, of which it is the one that most of their name says → the file each is in."""
    rows: list[Row] = [(table, row) for table, of in ROWS.items() for row in of]
    told: dict[Row, dict[str, str]] = {row: {} for row in (*rows, *((bug,) for bug in BUGS))}
    known = {beginning: row for row in told for beginning in beginnings(row)}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", path.read_text(), re.M):
            if said := max(filter(name.startswith, known), key=len, default=""):
                told[known[said]][name] = path.relative_to(TESTS.parent).as_posix()
    return told
