"""The command line as a newcomer meets it: help, examples, suggestions, the reference."""

import subprocess
import sys

import pytest

from tests.cli_run import Cli
from vonad import __version__
from vonad.cli.app import HOMES
from vonad.cli.reference import commands, reference

PROMISED = set("run demo check plugins ask say listen stop satellites sessions skills history transcribe speak".split())  # noqa: SIM905


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    return Cli(tmp_path, capsys)


def test_every_promised_command_is_there():
    assert {name for name in commands() if " " not in name} == set(HOMES)
    assert set(commands()) >= PROMISED
    assert {"plugins list", "history list", "history export", "history delete"} <= set(commands())


@pytest.mark.parametrize("name", ["", *commands()])
def test_every_command_has_help_with_an_example(cli, name):
    ended = cli(*name.split(), "--help")
    assert ended.status == 0
    assert f"Example: vonad {name}".strip() in ended.out


def test_the_reference_has_every_command_with_its_options_and_example():
    text = reference()
    for name in commands():
        assert f"## `vonad {name}`\n" in text
    for words in ("`--limit, -n N`", "`TEXT...`", "`--last`", "vonad transcribe what_time_is_it.wav", "| 69 |"):
        assert words in text
    assert "None" not in text


def test_a_misspelt_command_gets_the_nearest_one(cli):
    ended = cli("histroy")
    assert ended.status == 2
    assert "'history'" in ended.err


def test_without_arguments_the_help_is_shown(cli):
    ended = cli()
    assert "Commands" in ended.out + ended.err


def test_the_version_is_told_by_the_module_too():
    told = subprocess.run([sys.executable, "-m", "vonad", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"vonad {__version__}\n"


def test_talking_to_the_daemon_loads_nothing_heavy():
    heavy = "fastapi starlette uvicorn httpx numpy aiomqtt aiosqlite sqlite3 pydantic_settings pluggy rich.console"
    program = (
        "import sys; from vonad.cli import main\n"
        "try: main(['ask', 'hello'])\n"
        f"except SystemExit: print(*sorted(set({heavy.split()}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"RUNTIME_DIRECTORY": "/nonexistent", "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.split() == []
