"""Commands that talk to a daemon: what they ask it, what they print, how they end."""

import os
import socket
import subprocess
import sys
import time

import pytest

from tests.cli_run import Cli, directories
from tests.web_house import served, view

ALL = [
    ("ask", "what time is it"),
    ("say", "hello"),
    ("listen",),
    ("stop",),
    ("satellites",),
    ("sessions",),
    ("skills",),
]
"""Every command that needs a daemon."""


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    directories(tmp_path, monkeypatch)
    return Cli(tmp_path, capsys)


@pytest.fixture
async def web(tmp_path):
    async with served(tmp_path) as world:
        yield world


async def test_ask_prints_the_reply_and_leaves_no_session(cli, web):
    ended = await cli.beside("ask", "what", "time", "is", "it")
    assert (ended.status, ended.out, ended.err) == (0, "It is noon.\n", "")
    assert web.sessions.asked == [("s2", "what time is it")]
    assert "s2" not in web.sessions.views


async def test_ask_as_json_has_the_keys_that_are_promised(cli, web):
    ended = await cli.beside("ask", "what time is it", "--json", "--satellite", "desk")
    assert set(ended.json) == {"turn_id", "session_id", "transcript", "reply", "heard", "outcome"}


async def test_ask_has_nobody_wonder_how_to_answer_a_question(cli, web):
    ended = await cli.beside("ask", "open", "the", "lock")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("vonad: Unlocks a door. Shall I do this? (nothing was done, as nobody is at a terminal")
    assert "s2" not in web.sessions.views


async def test_ask_reads_the_answer_to_a_question_from_the_terminal(cli, web, monkeypatch):
    questions = []
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or "yes")
    ended = await cli.beside("ask", "open", "the", "lock")
    assert (ended.status, ended.out, ended.err) == (0, "It is noon.\n", "")
    assert questions == ["Unlocks a door. Shall I do this? (yes/no) "]
    assert web.sessions.asked == [("s2", "open the lock"), ("s2", "yes")]


async def test_ask_says_why_it_got_no_reply(cli, web):
    web.sessions.slow = True
    ended = await cli.beside("ask", "hello", "--timeout", "0.5")
    assert ended.status == 1
    assert ended.err == "vonad: turn s2-1 is not over after 0.5 s\n"
    assert "s2" not in web.sessions.views


async def test_say_listen_and_stop_find_the_only_satellite(cli, web):
    assert (await cli.beside("say", "dinner", "is", "ready", "--wait")).status == 0
    assert web.house.said == ["dinner is ready"]
    assert (await cli.beside("listen")).out == "desk is listening\n"
    assert web.house.woken[-1].satellite == "desk"
    assert (await cli.beside("stop")).out == "stopped: desk\n"


async def test_an_announcement_may_chime_and_endure(cli, web):
    assert (await cli.beside("say", "dinner", "--preannounce", "--durable", "--satellite", "attic")).status == 0
    assert {**web.house.say_options, "preannounce": True, "durable": True} == web.house.say_options
    assert web.house.kept == 1
    failed = await cli.beside("say", "unheard", "--wait")
    assert (failed.status, "the speaker is gone" in failed.err) == (1, True)


async def test_ask_may_wait_for_the_turn_that_runs(cli, web):
    refused = await cli.beside("ask", "busy", "--satellite", "desk")
    told = "vonad: desk is busy with a turn: `vonad stop --satellite desk` ends it, --queue waits for it\n"
    assert (refused.status, refused.err) == (1, told)
    assert (await cli.beside("ask", "busy", "--satellite", "desk", "--queue")).out == "It is noon.\n"


async def test_several_satellites_must_be_told_apart(cli, web):
    (desk,) = web.house.satellites()
    web.house.satellites = lambda: [desk, type(desk)(**vars(desk) | {"id": "hall"})]
    ended = await cli.beside("listen")
    assert ended.status == 1
    assert "--satellite desk|hall" in ended.err


async def test_without_a_satellite_it_is_said_why(cli, web):
    web.house.satellites = list
    remedy = "no satellite is connected: connect a sound device, or set up a transport in vonad.toml\n"
    assert (await cli.beside("listen")).err == f"vonad: {remedy}"
    assert (await cli.beside("satellites")).out == remedy
    parts = {"[transports.local]": "no sound device", "[engines.espeak]": "no"}
    web.house.health = lambda: {"ok": False, "ready": True, "parts": parts}
    why = "no satellite is connected: [transports.local] does not run: no sound device\n"
    assert (await cli.beside("listen")).err == f"vonad: {why}"
    assert (await cli.beside("satellites")).out == why
    assert (await cli.beside("satellites", "--json")).json == []


async def test_nothing_is_asked_or_said_without_words(cli, web):
    for command in ("ask", "say"):
        ended = await cli.beside(command, "", " ")
        assert (ended.status, ended.err) == (2, "vonad: there are no words in it\n")
    assert (web.sessions.created, web.house.said) == ([], [])


async def test_a_question_that_nobody_can_answer_here_says_where_it_can_be(cli, web):
    web.sessions.reply = "Unlock the door?"
    ended = await cli.beside("ask", "unlock", "the", "door")
    assert (ended.status, ended.out) == (0, "Unlock the door?\n")
    assert ended.err == "vonad: this cannot be answered here: ask with --satellite ID\n"


async def test_the_daemon_s_refusals_are_told_in_its_words(cli, web):
    ended = await cli.beside("listen", "--satellite", "moon")
    assert ended.status == 1
    assert ended.err == "vonad: moon: no satellite of this name is connected\n"


async def test_what_is_there_is_listed(cli, web):
    assert "desk" in (await cli.beside("satellites")).out
    assert (await cli.beside("satellites", "--json")).json[0]["id"] == "desk"
    web.sessions.views["s1"] = view("s1", satellite="desk")
    assert "s1" in (await cli.beside("sessions")).out
    web.sessions.views["s1"] = view("s1", state="closed", reason="idle_timeout", degraded=True)
    listed = (await cli.beside("sessions")).out
    assert "closed: idle_timeout" in listed
    assert "bridge (degraded)" in listed
    skills = (await cli.beside("skills")).out
    assert "what time is it" in skills
    assert "offline" in skills
    plugins = await cli.beside("plugins", "--json")
    assert set(plugins.json[0]) == {"name", "origin", "version", "location", "offers", "running", "reason"}


async def test_the_history_is_read_through_the_daemon(cli, web):
    (row,) = (await cli.beside("history", "--json")).json
    keys = ["turn_id", "session_id", "satellite", "ts", "transcript", "reply", "heard", "outcome", "skills"]
    assert list(row) == keys
    assert "It is noon." in (await cli.beside("history", "list", "--limit", "3")).out
    assert (await cli.beside("history", "delete", "--before", "2025-01-31", "--yes")).out == "3 turns deleted\n"
    assert web.house.deleted["before"].year == 2025
    assert (await cli.beside("history", "export", str(cli.directory / "x.jsonl"))).out.startswith("3 turns")
    assert (cli.directory / "x.jsonl").read_text().count("größer") == 3


async def test_control_characters_of_others_do_not_reach_the_terminal(cli, web):
    web.house.skills = lambda: [
        {"name": "a\x1b[2Jb", "description": "", "sentences": ["x\ny"], "risk": "read", "timeout_s": 1, "plugin": "p"}
    ]
    out = (await cli.beside("skills")).out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize("command", ALL, ids=lambda command: command[0])
def test_without_a_daemon_a_command_ends_soon_with_69_and_says_so(cli, command):
    began = time.monotonic()
    ended = cli(*command)
    assert time.monotonic() - began < 2
    assert ended.status == 69
    assert "no daemon is running" in ended.err
    assert "vonad run" in ended.err
    assert ended.out == ""


def test_a_stale_socket_is_no_daemon(cli):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(cli.directory / "vonad.sock"))
    dead.close()
    assert cli("satellites").status == 69


def test_a_daemon_that_is_stuck_is_noticed_before_a_long_question(cli):
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(str(cli.directory / "vonad.sock"))
        stuck.listen()
        began = time.monotonic()
        ended = cli("ask", "hello", "-s", "desk")
    assert time.monotonic() - began < 3
    assert ended.status == 69
    assert "does not answer" in ended.err


def test_a_defect_is_told_shortly_and_without_values(cli, monkeypatch):
    monkeypatch.setattr("vonad.cli.house.Daemon", lambda: 1 / 0)
    ended = cli("satellites")
    assert ended.status == 1
    assert "ZeroDivisionError" in ended.err
    assert "please report it" in ended.err
    assert len(ended.err.splitlines()) < 15


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_reader_who_has_gone_is_no_defect(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "vonad", "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert ended.stderr == ""
