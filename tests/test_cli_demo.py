"""`vonad demo`, as a newcomer runs it: everything real."""

import os
import subprocess
import sys

from vonad import read_wav
from vonad.cli.demo.account import Account


def test_the_demo_keeps_every_promise_and_leaves_only_the_replies(tmp_path):
    home, temporary, work = (tmp_path / name for name in ("home", "tmp", "work"))
    for directory in (home, temporary, work):
        directory.mkdir()
    environ = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary)}
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        environ.pop(name, None)
    ended = subprocess.run(
        [sys.executable, "-m", "vonad", "demo"],
        cwd=work,
        env=environ | {"VONAD_CONFIG": "/nonexistent.toml"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    for words in ("“what time is it”", "“what's the date today”", "/state listening", "/state responding", "vonad.db"):
        assert words in ended.stdout
    assert "last word → first sound" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert [path.name for path in work.iterdir()] == ["vonad-demo.wav"]
    assert read_wav((work / "vonad-demo.wav").read_bytes()).seconds > 1
    assert not list(home.iterdir())
    assert not list(temporary.iterdir())


def test_a_place_that_cannot_be_written_to_is_told_before_anything_starts(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "vonad", "demo", "-o", str(tmp_path / "nowhere" / "x.wav")],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert ended.returncode == 1
    assert "no such directory" in ended.stderr


def test_the_demo_counts_from_the_wake_on(capsys):
    Account().latency({"wake": -1.3, "endpoint": 1000.0, "stt": 1010.0}, None)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["0.001", "s", "woken", "+1.3", "ms"]
    assert lines[1][:2] == ["1.001", "s"]
    assert lines[2][:2] == ["1.011", "s"]
