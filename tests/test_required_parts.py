"""A test that needs a real part says so, and one that leaves something behind fails."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

NEEDS_A_BROKER = """
import shutil

import pytest

shutil.which = lambda *_, **__: None  # nothing is installed here

@pytest.mark.real("mosquitto")
def test_it(): pass
"""
NEEDS_A_DRAGON = NEEDS_A_BROKER.replace("mosquitto", "dragon")
LEAVES_THINGS_BEHIND = """
import asyncio, subprocess, threading

kept = []

def test_child(): kept.append(subprocess.Popen(["sleep", "60"]))

def test_thread():
    threading.Thread(target=threading.Event().wait, args=(2.5,), name="stray").start()

async def test_task(): kept.append(asyncio.create_task(asyncio.sleep(60), name="stray"))

async def test_tidy():
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.to_thread(lambda: None)
    task.cancel()
"""


def run(directory: Path, program: str, *, required: str = "") -> tuple[int, str]:
    """Exit status and output of pytest on one file, by our rules."""
    file = directory / "test_it.py"
    file.write_text(program)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", str(file)]
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "VONAD_TEST_REQUIRE": required, "HOME": str(directory)}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"], check=False, capture_output=True, text=True, env=environ, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_a_missing_part_skips_with_the_reason(tmp_path: Path) -> None:
    status, output = run(tmp_path, NEEDS_A_BROKER)

    assert status == 0, output
    assert "1 skipped" in output
    assert "needs mosquitto, and this machine has no mosquitto (.ci/run installs it)" in output


def test_a_missing_part_that_is_required_fails(tmp_path: Path) -> None:
    status, output = run(tmp_path, NEEDS_A_BROKER, required="systemd,mosquitto")

    assert status == 1, output
    assert "this machine has no mosquitto; VONAD_TEST_REQUIRE asks for it" in output


def test_an_unknown_part_is_named(tmp_path: Path) -> None:
    status, output = run(tmp_path, NEEDS_A_DRAGON)
    assert status != 0
    assert "'dragon'" in output
    assert "mosquitto, audio, systemd" in output

    status, output = run(tmp_path, NEEDS_A_BROKER, required="mosquito")
    assert status != 0
    assert "no such part: mosquito; there are mosquitto, audio, systemd" in output


def test_whatever_is_left_behind_fails_the_test_that_left_it(tmp_path: Path) -> None:
    status, output = run(tmp_path, LEAVES_THINGS_BEHIND)

    assert status == 1, output
    assert "left behind: child process" in output
    assert "sleep 60" in output
    assert "left behind: thread stray" in output
    assert "left behind: <Task pending name='stray'" in output
    assert "4 passed, 3 errors" in output
