"""The dependency rule, and what else holds the house together. A new module says here on which floor it stands."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import vonad
from vonad import CODES

ROOT = Path(__file__).parent.parent
CORE, PLUGINS = ROOT / "vonad", ROOT / "plugins"

FLOORS: tuple[dict[str, str], ...] = (
    {"words": "backoff cancellation errors frame events interjections plan sentences mailbox clock wav streams"},
    {"contracts": "transport backend control skill engine frontend host hookspecs __init__"},
    {
        "bus": "bus",
        "policy": "policy",
        "settings": "settings directories identity",
        "plugins": "plugins",
        "resilience": "resilience",
        "resampling": "resampling",
        "output": "output",
        "history": "history",
    },
    {"session": "session", "skills": "skills", "wake": "wake"},
    {
        "runtime": "runtime admission announcing brought component_voice ear equipment lines opened part part_host "
        "parts plans reaper reception roster seats sessions sounds wake_words"
    },
    {"service": "service health session_service views why"},
    {"mqtt": "mqtt", "web": "web"},
    {"composition": "systemd daemon garbage instance process reload cli __main__", "testing": "testing"},
)
"""Lowest first: room → the modules and packages in it. A room sees itself and the floors below, not its neighbours."""

FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
ROOM = {module: room for floor in FLOORS for room, modules in floor.items() for module in modules.split()}
NEIGHBOURS = {("session", "skills"), ("composition", "testing")}
SEES = {
    "mqtt": {"words", "contracts", "bus", "settings", "service"},
    "web": {"words", "contracts", "bus", "settings", "service"},
    "testing": {"words", "contracts"},
}
"""Rooms that see less than all that is below."""

COMPOSED = ("vonad/testing/assistant.py", "vonad/testing/pytest_plugin.py")
"""A whole house for a test: modules that compose, outside of their room."""

CONFINED = {
    "aiomqtt": "vonad/mqtt/",
    "paho": "vonad/mqtt/",
    "amqtt": "vonad/mqtt/",
    "aiosqlite": "vonad/history/",
    "sqlite3": "vonad/history/",
    "jsonschema": "vonad/output.py",
    "referencing": "vonad/output.py",
    "pluggy": ("vonad/plugins/", "vonad/hookspecs.py"),
    "sounddevice": "plugins/vonad_local_audio",
}
LATE = ("plugins/", "vonad/cli/", "vonad/daemon.py", "vonad/mqtt/embedded.py", "vonad/testing/pytest_plugin.py")
"""Where a function may import: what is heavy waits until it is needed."""


def modules(*tops: Path) -> Iterator[tuple[str, ast.Module]]:
    """(path from the root, its tree)"""
    for path in sorted(path for top in tops for path in top.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imports(path: str, tree: ast.AST) -> Iterator[str]:
    """Full names of the modules that are imported, and of what is taken from a package."""
    package = path.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str | None:
    """The room of an imported name; None for what is not ours."""
    top, _, rest = name.partition(".")
    module = rest.partition(".")[0]
    return ROOM.get(module, "contracts") if top == "vonad" else None


@pytest.mark.parametrize(("path", "tree"), [pytest.param(*module, id=module[0]) for module in modules(CORE)])
def test_a_module_sees_only_what_is_below_it(path: str, tree: ast.Module) -> None:
    name = path.removeprefix("vonad/").removesuffix(".py").partition("/")[0]
    assert name in ROOM, f"{path}: say in FLOORS where it stands"
    room = "composition" if path in COMPOSED else ROOM[name]
    seen = SEES.get(room, {other for other in FLOOR if FLOOR[other] < FLOOR[room]})
    for imported in imports(path, tree):
        other = room_of(imported)
        allowed = other is None or other == room or other in seen or (room, other) in NEIGHBOURS
        assert allowed, f"{path} ({room}) must not import {imported} ({other})"
        assert not imported.startswith("vonad_"), f"{path}: the core knows no plugin ({imported})"


def test_words_need_only_the_standard_library_and_numpy() -> None:
    allowed = sys.stdlib_module_names | {"numpy", "vonad"}
    for path, tree in modules(CORE):
        if ROOM.get(path.removeprefix("vonad/").removesuffix(".py")) == "words":
            assert {name.partition(".")[0] for name in imports(path, tree)} <= allowed, path


def test_plugins_see_only_the_facade() -> None:
    for path, tree in modules(PLUGINS):
        own = path.split("/")[1].removesuffix(".py")
        for name in imports(path, tree):
            top, _, rest = name.partition(".")
            assert top != "vonad" or rest in vonad.__all__, f"{path}: {name} is not in the facade"
            assert not top.startswith("vonad_") or top == own, f"{path}: plugins do not know each other ({name})"


@pytest.mark.parametrize("library", CONFINED)
def test_a_library_stays_where_it_is_wrapped(library: str) -> None:
    for path, tree in modules(CORE, PLUGINS):
        if any(name.split(".")[0] == library for name in imports(path, tree)):
            assert path.startswith(CONFINED[library]), f"{path} must not import {library}"


def test_types_are_imported_as_everything_else_is() -> None:
    for path, tree in modules(CORE, PLUGINS):
        assert not any(
            "TYPE_CHECKING" in (getattr(node, "id", ""), getattr(node, "attr", "")) for node in ast.walk(tree)
        ), path


def test_functions_import_only_where_something_is_heavy() -> None:
    for path, tree in modules(CORE):
        functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        assert path.startswith(LATE) or not any(list(imports(path, function)) for function in functions), path


def test_importing_vonad_loads_no_heavy_library() -> None:
    heavy = (
        "aiomqtt paho amqtt sqlite3 aiosqlite fastapi starlette uvicorn httpx sounddevice numpy pydantic pluggy asyncio"
    )
    program = f"import sys, vonad; print(*sorted(set({heavy.split()}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.split() == []


def test_the_facade_offers_exactly_what_type_checkers_are_told() -> None:
    stub = ast.parse((CORE / "__init__.pyi").read_text())
    told = {
        alias.asname: (node.module, alias.name)
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told.keys() | {"__version__"} == set(vonad.__all__)
    for name, (module, original) in told.items():
        assert module
        assert name == original
        assert getattr(vonad, name) is getattr(import_module(module), name)


def raised() -> dict[str, str]:
    """Error code → a place that raises it."""
    codes = {}
    for path, tree in modules(CORE, PLUGINS):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            named = ast.unparse(call.func)
            if call.args and (named.endswith("Error") or named == "super().__init__"):
                literals = (node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant))
                codes |= {code: path for code in literals if isinstance(code, str) and code in CODES}
    return codes


def test_every_error_code_is_raised_somewhere() -> None:
    unraised = sorted(CODES.keys() - raised().keys())
    assert not unraised, f"nothing raises {', '.join(unraised)}: a code exists once something does"
