"""Where plugins come from: vonad's own entry points, those of other distributions, files dropped into a folder."""

import importlib
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Literal

from vonad.errors import VonadError
from vonad.hookspecs import GROUP

Origin = Literal["bundled", "installed", "drop-in"]
ORDER: tuple[Origin, ...] = ("bundled", "installed", "drop-in")
"""Of loading. Of policy hooks the one loaded last is asked first, so the owner's drop-ins come before all others."""

DROP_IN_MODULE = "vonad_drop_in_"
"""Drop-ins are imported under their name with this in front: a file `numpy.py` must not become numpy."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that was found. distribution: what is installed, with its version; empty for a drop-in."""

    name: str
    origin: Origin
    source: EntryPoint | Path
    distribution: str = ""
    version: str = ""

    def __str__(self) -> str:
        if isinstance(self.source, Path):
            return f"{self.name} (drop-in {self.source})"
        return f"{self.name} ({self.origin}, {self.distribution} {self.version})"

    @property
    def module_name(self) -> str:
        """What it is imported as."""
        return f"{DROP_IN_MODULE}{self.name}" if isinstance(self.source, Path) else self.source.module

    def module(self, *, again: bool = False) -> ModuleType:
        """Import it; a drop-in always from its file. Raises plugin_error, and whatever its code raises.

        again: read the files of an installed one, too, even if they have been.
        """
        if isinstance(self.source, Path):
            _check_ownership(self.source)
            return self._run(self.source)
        if again:
            self._forget()
        module: object = self.source.load()
        if not isinstance(module, ModuleType):
            raise VonadError("plugin_error", f"its entry point {self.source.value!r} must name a module")
        return module

    def _forget(self) -> None:
        importlib.invalidate_caches()
        top = self.module_name.split(".")[0]
        for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
            del sys.modules[name]

    def _run(self, path: Path) -> ModuleType:
        spec = spec_from_file_location(self.module_name, path, loader=_FreshLoader(self.module_name, str(path)))
        if spec is None or spec.loader is None:
            raise VonadError("plugin_error", f"{path} cannot be imported")
        module = module_from_spec(spec)
        sys.modules[self.module_name] = module  # dataclasses and pydantic look their module up there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[self.module_name]
            raise
        return module


def candidates(drop_ins: Path | None) -> list[Candidate]:
    """Every plugin there is, in the order of loading; within an origin by name."""
    found = [*_installed(), *_dropped_in(drop_ins)]
    return sorted(found, key=lambda candidate: (ORDER.index(candidate.origin), candidate.name))


class _FreshLoader(SourceFileLoader):
    """Compiles the file each time: bytecode is kept by second and size, so a quick edit could be missed."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _installed() -> Iterator[Candidate]:
    for entry in entry_points(group=GROUP):
        name = entry.dist.name if entry.dist else ""
        version = entry.dist.version if entry.dist else ""
        yield Candidate(entry.name, "bundled" if name == GROUP else "installed", entry, name, version)


def _dropped_in(folder: Path | None) -> Iterator[Candidate]:
    if folder is None or not folder.is_dir():
        return
    for path in folder.glob("*.py"):
        if not path.name.startswith(("_", ".")):
            yield Candidate(path.stem, "drop-in", path)


def _check_ownership(path: Path) -> None:
    """Whoever can change the file, or put another in its place, could run code as vonad."""
    writable: list[Path] = []
    for part in dict.fromkeys((path.parent, path, path.resolve().parent, path.resolve())):
        found = part.stat()
        if found.st_uid not in {0, os.geteuid()}:
            raise VonadError(
                "plugin_error",
                f"{part} belongs to another user, who could run anything as vonad: chown {_user()} {part}",
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            writable.append(part)
    if writable:
        paths = " ".join(map(str, writable))
        raise VonadError("plugin_error", f"others may change it and so run anything as vonad: chmod go-w {paths}")


def _user() -> str:
    return "root" if os.geteuid() == 0 else str(os.geteuid())
