"""Settings from environment variables: VONAD_MQTT__HOST and the like."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from vonad.settings.problem import ENVIRONMENT, Problem, suggestion
from vonad.settings.toml_lines import Place

PREFIX = "VONAD_"
NOT_SETTINGS = ("VONAD_CONFIG", "VONAD_TEST_")
"""A variable, and the beginning of others."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable that is a setting. values: its part of the tree; its own value is in no repr."""

    name: str
    place: Place
    values: Mapping[str, object]

    def __repr__(self) -> str:
        return f"Variable({self.name!r})"


def variable_name(place: Place) -> str:
    """What the variable of a setting is called."""
    return PREFIX + "__".join(place).upper()


def variables(
    settings: type[BaseSettings], environ: Mapping[str, str], components: frozenset[str]
) -> tuple[list[Variable], list[Problem]]:
    """The variables that are settings, and what is wrong with the others. An empty one counts as not set.

    components: the tables whose keys only plugins know; there a value that is no list or table stays text.
    """
    source = EnvSettingsSource(
        settings, case_sensitive=False, env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True
    )
    found: list[Variable] = []
    problems: list[Problem] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == NOT_SETTINGS[0] or name.startswith(NOT_SETTINGS[1]):
            continue
        place = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if place[0] not in settings.model_fields:
            hint = suggestion(place[0], settings.model_fields)
            problems.append(Problem(ENVIRONMENT, None, name, f"unknown setting: no table {place[0]!r}; {hint}"))
        elif environ[name] != "":
            # One variable at a time: the source stops at the first that it cannot read.
            source.env_vars = {name.lower(): environ[name]}
            try:
                values = source()
            except SettingsError:
                problems.append(Problem(ENVIRONMENT, None, name, _unreadable(place)))
                continue
            if place[0] in components and len(place) > 2:
                values = _own_setting(place, values, environ[name])
            found.append(Variable(name, place, values))
    return found, problems


def _own_setting(place: Place, values: dict[str, object], text: str) -> dict[str, object]:
    """Undo that `1234` became a number: it may be a PIN. `kind` and `enabled` are vonad's own."""
    if place[2:] in {("kind",), ("enabled",)} or text[:1] in {"[", "{"}:
        return values
    tree: object = text
    for part in reversed(place):
        tree = {part: tree}
    return tree if isinstance(tree, dict) else values


def _unreadable(place: Place) -> str:
    if len(place) == 1:
        return f"must be a table, written as JSON; or set its keys one by one: {variable_name(place)}__KEY"
    return 'must be a list or table, written as JSON, such as ["first", "second"]'
