"""What is wrong with a configuration: one Problem per fault, said so that a tired owner can mend it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from vonad.errors import VonadError

ENVIRONMENT = "environment"
"""Stands for the file in problems of environment variables."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault.

    file:    path of the file, or "environment".
    line:    from 1; None where there is none.
    where:   table and key, or the variable; empty for the file as a whole.
    message: what is wrong and what would be right; never the value of a secret.
    fatal:   False where a part is missing through no fault of the configuration: everything else can run.
    """

    file: str
    line: int | None
    where: str
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.where, self.message) if part)


class ConfigProblems(VonadError):  # noqa: N818  (one error, many problems)
    """The configuration cannot be used. problems: all of them, in the order of the files' lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__("invalid_config", "\n".join(map(str, self.problems)), op="config")


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """As a reader meets them: by file and line, then the variables by name."""
    return tuple(sorted(problems, key=_place))


def _place(problem: Problem) -> tuple[bool, str, int, str]:
    environment = problem.file == ENVIRONMENT
    return environment, problem.file, problem.line or 0, problem.where if environment else ""


NAMED_TABLES = ("transports", "backends", "engines", "skills", "frontends", "satellites")
"""Their keys are names of tables."""


def where(place: Sequence[str | int]) -> str:
    """How a place is written: `[mqtt] port`, `[satellites.kitchen]`, `[session] backends[0]`."""
    names: list[str] = []
    for part in place:
        if isinstance(part, int) and names:
            names[-1] += f"[{part}]"
        else:
            names.append(str(part))
    if len(names) == 1 or (len(names) == 2 and names[0] in NAMED_TABLES):
        return f"[{'.'.join(names)}]"
    return f"[{'.'.join(names[:-1])}] {names[-1]}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """`did you mean port?`, else what there is to choose from."""
    choices = sorted(known)
    if near := get_close_matches(name, choices, n=1):
        return f"did you mean {near[0]}?"
    if not choices:
        return "nothing can be set here"
    return f"known here: {', '.join(choices)}"
