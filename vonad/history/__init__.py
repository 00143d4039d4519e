"""History: one SQLite database of what was said, done and refused, written by one task, read beside it."""

from vonad.history.journal import Journal
from vonad.history.opening import open_journal
from vonad.history.records import (
    FallbackRecord,
    FallbackRun,
    SessionRecord,
    SkillRun,
    TurnDetail,
    TurnRecord,
    TurnView,
    UnknownAction,
    WakeRecord,
    WakeView,
)

__all__ = [
    "FallbackRecord",
    "FallbackRun",
    "Journal",
    "SessionRecord",
    "SkillRun",
    "TurnDetail",
    "TurnRecord",
    "TurnView",
    "UnknownAction",
    "WakeRecord",
    "WakeView",
    "open_journal",
]
