"""The command line with a real daemon: `vonad run` as a process, spoken to by every other command."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.cli_run import Cli, directories

READY_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    directories(tmp_path, monkeypatch)
    (tmp_path / "vonad.toml").write_text(
        f"[web]\nport = {free_port()}\n[mqtt]\nenabled = false\n[transports.local]\nenabled = false\n"
        # An unpaced microphone hears a minute of silence in no time, and then waits like everybody.
        '[transports.desk]\nkind = "wav"\nrealtime = false\n[session]\nno_speech_s = 120\n'
    )
    monkeypatch.setenv("VONAD_CONFIG", str(tmp_path / "vonad.toml"))
    return Cli(tmp_path, capsys)


@pytest.fixture
def daemon(cli):
    with (cli.directory / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "vonad", "run"], stderr=log, env=os.environ.copy())
    deadline = time.monotonic() + READY_S
    while cli("satellites", "--json").out.find("desk") < 0:
        assert process.poll() is None, (cli.directory / "log").read_text()
        assert time.monotonic() < deadline, (cli.directory / "log").read_text()
        time.sleep(0.05)
    yield process
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0, (cli.directory / "log").read_text()


def test_a_question_is_answered_kept_and_forgotten(cli, daemon):
    asked = cli("ask", "what time is it")
    assert asked.status == 0, asked.err
    assert asked.out.strip()
    aloud = cli("ask", "what's the date today", "--satellite", "desk", "--json").json
    assert aloud["outcome"] == "completed"
    assert aloud["heard"] == aloud["reply"]
    rows = cli("history", "--json").json
    assert [(row["transcript"], row["satellite"], row["outcome"]) for row in rows] == [
        ("what time is it", None, "completed"),
        ("what's the date today", "desk", "completed"),
    ]
    assert rows[0]["reply"] == asked.out.strip()
    assert rows[0]["skills"] == ["clock"]
    why = cli("why", "--json").json
    assert (why["turn_id"], why["outcome"]) == (rows[1]["turn_id"], "completed")
    assert why["slowest"]["took_ms"] > 0
    assert [one["name"] for one in why["attempts"]] == ["clock"]
    assert f"turn {rows[0]['turn_id']} · text only · text" in cli("why", rows[0]["turn_id"]).out
    assert cli("why", "s9-1").status == 1
    assert cli("say", "dinner is ready", "--wait").status == 0
    assert cli("say", "dinner is ready", "--wait", "--preannounce", "--durable").status == 0
    assert cli("ask", "what time is it", "--satellite", "desk", "--queue").status == 0
    assert cli("listen").out == "desk is listening\n"
    assert cli("history", "--wakes", "--json").json[-1]["accepted"] is True
    assert "desk" in cli("stop").out
    assert "clock" in cli("skills").out
    assert {one["name"] for one in cli("plugins", "--json").json if one["running"]} >= {"clock", "bridge"}
    assert any(one["satellite"] == "desk" for one in cli("sessions", "--json").json)
    assert cli("history", "delete", "--all", "--yes").status == 0
    assert cli("history", "--json").json == []


def test_a_second_daemon_ends_with_75(cli, daemon):
    second = subprocess.run(
        [sys.executable, "-m", "vonad", "run"], capture_output=True, text=True, check=False, timeout=20
    )
    assert second.returncode == 75
    assert f"already running (pid {daemon.pid})" in second.stderr
