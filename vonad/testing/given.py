"""Plugins that a test gives to a house, beside those that are installed."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from vonad.hookspecs import Registrar, hookimpl
from vonad.testing.recorded import SATELLITE
from vonad.testing.transport import ScriptedTransport

GIVEN = "given"
DESK = "vonad_given"
"""The module over which drop-ins reach what a test gives; the drop-in of the skills given alone."""

Given = ModuleType | type
"""A module with @hookimpl functions, or a skill's class, one without settings."""


@contextmanager
def dropped_in(folder: Path, given: Sequence[Given], transport: ScriptedTransport) -> Iterator[Mapping[str, str]]:
    """The given ones as drop-ins, so that they come in as every plugin does: name → what it stands for."""
    skills = [one for one in given if not isinstance(one, ModuleType)]
    modules = [one for one in given if isinstance(one, ModuleType)]
    own = ModuleType(GIVEN)

    @hookimpl
    def register_transports(registrar: Registrar) -> None:
        registrar.add(SATELLITE, lambda settings, host: transport)

    @hookimpl
    def register_skills(registrar: Registrar) -> None:
        for skill in skills:
            registrar.add(skill)

    vars(own).update(register_transports=register_transports, register_skills=register_skills)
    names = {GIVEN: ", ".join(skill.__name__ for skill in skills) or SATELLITE}
    names |= {f"given_{module.__name__.replace('.', '_')}": module.__name__ for module in modules}
    given_by_name = dict(zip(names, [own, *modules], strict=True))
    desk = ModuleType(DESK)
    vars(desk).update({name: _public(module) for name, module in given_by_name.items()})
    sys.modules[DESK] = desk
    try:
        for name in names:
            file = folder / f"{name}.py"
            file.write_text(f"import {DESK}\n\nglobals().update({DESK}.{name})\n")
            file.chmod(0o600)
        yield names
    finally:
        del sys.modules[DESK]


def _public(module: ModuleType) -> dict[str, object]:
    """What is in it, but for what Python says about the module itself."""
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}
