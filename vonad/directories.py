"""Where vonad keeps what: systemd's directories first, then the desktop's (XDG). Only names: nothing is made here."""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "vonad"
SYSTEM_CONFIG = Path("/etc/vonad")
SYSTEM_RUNTIME = Path("/run/vonad")


@dataclass(frozen=True, slots=True)
class Directories:
    """config: vonad.toml, plugins/, wake/; state: database, identity; runtime: vonad.sock; cache: can be made again."""

    config: Path
    state: Path
    runtime: Path
    cache: Path


def directories(environ: Mapping[str, str], config_path: Path | None) -> Directories:
    """All four. config_path: the file in use; its folder is the configuration directory."""
    state = _own(environ, "STATE_DIRECTORY") or _xdg(environ, "XDG_STATE_HOME", ".local/state")
    return Directories(
        config=_config(environ, config_path),
        state=state,
        runtime=_runtime(environ) or state,
        cache=_own(environ, "CACHE_DIRECTORY") or _xdg(environ, "XDG_CACHE_HOME", ".cache"),
    )


def config_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the configuration is looked for when nobody names a file, first to last."""
    return (_xdg(environ, "XDG_CONFIG_HOME", ".config") / "vonad.toml", SYSTEM_CONFIG / "vonad.toml")


def home(environ: Mapping[str, str]) -> Path:
    """The user's; the root directory for a user without one."""
    if given := environ.get("HOME"):
        return Path(given)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")


def _config(environ: Mapping[str, str], config_path: Path | None) -> Path:
    if config_path is not None:
        return config_path.absolute().parent
    return _own(environ, "CONFIGURATION_DIRECTORY") or _xdg(environ, "XDG_CONFIG_HOME", ".config")


def _runtime(environ: Mapping[str, str]) -> Path | None:
    if own := _own(environ, "RUNTIME_DIRECTORY"):
        return own
    if SYSTEM_RUNTIME.is_dir():
        return SYSTEM_RUNTIME
    base = environ.get("XDG_RUNTIME_DIR", "")
    return Path(base) / NAME if base.startswith("/") else None


def _own(environ: Mapping[str, str], variable: str) -> Path | None:
    """A directory that systemd made for the service; of several, the first."""
    first = environ.get(variable, "").split(":")[0]
    return Path(first) if first.startswith("/") else None


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """The specification says to ignore a relative path."""
    base = environ.get(variable, "")
    return (Path(base) if base.startswith("/") else home(environ) / default) / NAME
