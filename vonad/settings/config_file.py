"""One TOML file from the disk: its values, where they stand, and everything that is wrong with the file itself."""

import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vonad.settings.problem import ConfigProblems, Problem
from vonad.settings.toml_lines import Place, lines_of

LIMIT = 1 << 20
"""Bytes; a configuration is a few thousand."""

_AT = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")
_KEY = re.compile(r"\s*\[{0,2}\s*([\w.\"'-]+)\s*[=\]]")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that could be parsed. open_to_others: every user of the machine can read it."""

    path: Path
    values: Mapping[str, object]
    lines: Mapping[Place, int]
    open_to_others: bool
    problems: tuple[Problem, ...]

    def __repr__(self) -> str:  # the values may hold secrets
        return f"ConfigFile({str(self.path)!r})"


def read_config_file(path: Path) -> ConfigFile:
    """Read and parse. Raises ConfigProblems with the one thing that keeps it from being parsed."""
    raw, mode = _bytes(path)
    text, problems = _text(path, raw)
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ConfigProblems([Problem(str(path), None, "", "its lists or tables are nested too deeply")]) from None
    except ValueError as error:
        raise ConfigProblems([_syntax(path, text, str(error))]) from None
    return ConfigFile(path, values, lines_of(text), bool(mode & stat.S_IROTH), tuple(problems))


def _bytes(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            raw = file.read(LIMIT + 1)
    except FileNotFoundError:
        what = "no such file"
    except IsADirectoryError:
        what = f"is a directory; the file in it would be {path / 'vonad.toml'}"
    except PermissionError:
        what = "vonad may not read it; it must belong to the user or group vonad runs as"
    except (OSError, ValueError) as error:
        what = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    else:
        if len(raw) <= LIMIT:
            return raw, mode
        what = f"is larger than {LIMIT // 1024} KiB, so it is no configuration"
    raise ConfigProblems([Problem(str(path), None, "", what)])


def _text(path: Path, raw: bytes) -> tuple[str, list[Problem]]:
    """Decoded well enough to find everything else that is wrong, too."""
    problems: list[Problem] = []
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigProblems([Problem(str(path), 1, "", "is UTF-16; save it as UTF-8")])
    if raw.startswith(b"\xef\xbb\xbf"):
        problems.append(Problem(str(path), 1, "", "begins with a byte order mark (BOM); save it as UTF-8 without one"))
        raw = raw[3:]
    try:
        return raw.decode(), problems
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(Problem(str(path), line, "", f"is not UTF-8 (byte 0x{raw[error.start]:02x}); save it as UTF-8"))
        return raw.decode("latin-1"), problems


def _syntax(path: Path, text: str, message: str) -> Problem:
    """What the parser said. Of the line itself only the key is shown: its value may be a secret."""
    at = _AT.search(message)
    line = int(at[1]) if at and at[1] else text.rstrip("\n").count("\n") + 1
    said = message[: at.start()] if at else message
    source = text.splitlines()[line - 1 : line]
    key = _KEY.match(source[0]) if source else None
    if said == "Cannot overwrite a value" or said.startswith("Cannot declare"):
        return Problem(str(path), line, "", f"{key[1] if key else 'this'} is there twice; keep one of them")
    if said == "Invalid value":
        return Problem(str(path), line, key[1] if key else "", "not a TOML value; text needs quotes")
    if said.startswith("Exceeds the limit"):
        said = "a number too long to be one"
    return Problem(str(path), line, "", f"not TOML: {said}")
