"""Whether a plugin's `VONAD_API` accepts this vonad's: the few version specifiers that such a statement needs."""

import re

from vonad.hookspecs import API_VERSION

Version = tuple[int, ...]

_CLAUSE = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?")


def api_fault(stated: object) -> str:
    """Why a plugin's `VONAD_API` keeps it from running; empty when nothing does, or it states none."""
    if stated is None:
        return ""
    ours = ".".join(map(str, API_VERSION))
    if not isinstance(stated, str):
        return f"VONAD_API must be a text like '>=1,<2', not {stated!r}"
    try:
        fits = accepts(stated, API_VERSION)
    except ValueError as error:
        return f"VONAD_API: {error}"
    return "" if fits else f"VONAD_API = {stated!r}, but this vonad's is {ours}: install versions that fit"


def accepts(specifier: str, version: Version) -> bool:
    """Whether `>=1,<2` and the like hold for a version. Raises ValueError for what is no such specifier."""
    clauses = [_CLAUSE.fullmatch(clause.strip()) for clause in specifier.split(",")]
    return all([_holds(clause, specifier, version) for clause in clauses])  # noqa: C419  (a later clause may be wrong)


def _holds(clause: re.Match[str] | None, specifier: str, version: Version) -> bool:
    operator, stated, wildcard = clause.groups() if clause else ("", "", None)
    wanted = tuple(int(part) for part in stated.split(".")) if stated else ()
    if not wanted or (wildcard and operator not in {"==", "!="}) or (operator == "~=" and len(wanted) < 2):
        raise ValueError(f"{specifier!r} is no version specifier; write it like '>=1,<2'")
    if operator == "~=":
        return _compare(version, wanted) >= 0 and version[: len(wanted) - 1] == wanted[:-1]
    if wildcard:
        return (_padded(version, len(wanted))[: len(wanted)] == wanted) is (operator == "==")
    order = _compare(version, wanted)
    return {"==": order == 0, "!=": order != 0, "<=": order <= 0, ">=": order >= 0, "<": order < 0, ">": order > 0}[
        operator
    ]


def _compare(one: Version, other: Version) -> int:
    length = max(len(one), len(other))
    left, right = _padded(one, length), _padded(other, length)
    return (left > right) - (left < right)


def _padded(version: Version, length: int) -> Version:
    return version + (0,) * (length - len(version))
