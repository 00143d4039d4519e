"""Settings: the packaged defaults, the owner's file and the environment become one value, or a list of all problems."""

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from vonad.directories import config_files
from vonad.settings.config_file import read_config_file
from vonad.settings.credentials import fill_in
from vonad.settings.environment import variable_name, variables
from vonad.settings.problem import ConfigProblems, Problem
from vonad.settings.sources import Sources
from vonad.settings.tables import (
    ComponentTable,
    History,
    Log,
    Mqtt,
    Name,
    Node,
    Policy,
    Satellite,
    SatelliteStyle,
    SessionDefaults,
    Sounds,
    WakeDefaults,
    Web,
)
from vonad.settings.validation import findings

__all__ = [
    "COMPONENTS",
    "ComponentTable",
    "ConfigProblems",
    "History",
    "Loaded",
    "Log",
    "Mqtt",
    "Node",
    "Policy",
    "Problem",
    "Satellite",
    "SatelliteStyle",
    "SessionDefaults",
    "Settings",
    "Sounds",
    "Sources",
    "WakeDefaults",
    "Web",
    "load",
    "survey",
]

DEFAULTS = Path(__file__).with_name("defaults.toml")
COMPONENTS = ("transports", "backends", "engines", "skills", "frontends")
"""The tables whose kinds and keys come from plugins."""

Components = dict[Name, ComponentTable]


class Settings(BaseSettings):
    """Everything that can be set. Without arguments: the models' defaults, no component."""

    model_config = SettingsConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, validate_default=True
    )

    node: Node = Node()
    mqtt: Mqtt = Mqtt()
    web: Web = Web()
    history: History = History()
    session: SessionDefaults = SessionDefaults()
    wake: WakeDefaults = WakeDefaults()
    policy: Policy = Policy()
    sounds: Sounds = Sounds()
    log: Log = Log()
    transports: Components = Field(default={}, description="Where sound comes from and goes.")
    backends: Components = Field(default={}, description="What answers.")
    engines: Components = Field(default={}, description="What a cascade of a backend is built from.")
    skills: Components = Field(default={}, description="What vonad can do.")
    frontends: Components = Field(default={}, description="Other faces of the house.")
    satellites: dict[Name, Satellite] = Field(default={}, description="What single satellites do differently.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over: it reads file and environment itself, to know where each value stands."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and where they came from. path: the file in use, absolute; None: there is none."""

    settings: Settings
    path: Path | None = None
    lines: Sources = field(default_factory=Sources)


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the configuration.

    path: the file; None: `$VONAD_CONFIG`, else the first of the usual places that is there, else none.
    Raises ConfigProblems: a file that cannot be parsed alone, otherwise everything that is wrong.
    """
    loaded, problems = survey(path, environ)
    if problems:
        raise ConfigProblems(problems) from None
    return loaded


def survey(path: Path | None, environ: Mapping[str, str]) -> tuple[Loaded, list[Problem]]:
    """Read the configuration as `load` does: what of it can be used, and everything that is wrong with the rest.

    Raises ConfigProblems for a file that cannot be parsed.
    """
    path = _chosen(path, environ)
    file = read_config_file(path) if path else None
    found, problems = variables(Settings, environ, frozenset(COMPONENTS))
    sources = Sources(file, tuple(found))
    if file:
        problems += file.problems
    defaults = tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))
    values = defaults
    for layer in (file.values if file else {}, *(variable.values for variable in found)):
        values = _merged(values, layer)
    if isinstance(mqtt := values.setdefault("mqtt", {}), dict):
        problems += fill_in(mqtt, sources, environ)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += _wrong(values, error, sources)
        settings = _usable(values, error) or Settings.model_validate(defaults)
    return Loaded(settings, path, sources), problems


def _usable(values: Mapping[str, object], error: ValidationError) -> Settings | None:
    """What is left without the keys that are at fault; None where that is nothing."""
    places = {tuple(part for part in place if isinstance(part, str)) for place, _ in findings(Settings, values, error)}
    left = _without(values, places)
    try:
        return Settings.model_validate(left)
    except ValidationError:  # one fault hid another
        return None


def _without(values: Mapping[str, object], places: Collection[tuple[str, ...]]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for key, value in values.items():
        inner = {place[1:] for place in places if place[:1] == (key,)}
        if () not in inner:
            kept[key] = _without(value, inner) if isinstance(value, Mapping) and inner else value
    return kept


def _chosen(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is None and (named := environ.get("VONAD_CONFIG")):
        path = Path(named)
    if path is not None:
        return path.absolute()
    return next((file for file in config_files(environ) if file.exists()), None)


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Table by table; anything that is no table is replaced."""
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, Mapping) else value
    return result


def _wrong(values: Mapping[str, object], error: ValidationError, sources: Sources) -> Iterable[Problem]:
    for place, message in findings(Settings, values, error):
        if sources.variable(place) and message.startswith("unknown") and len(place) == 2:
            yield sources.problem(place, _in_variables(message, str(place[0])))
        else:
            yield sources.problem(place, message)


def _in_variables(message: str, table: str) -> str:
    """`did you mean host?` → `did you mean VONAD_MQTT__HOST?`"""
    said, near, name = message.partition("did you mean ")
    return f"{said}{near}{variable_name((table, name))}" if near else message
