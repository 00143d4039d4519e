"""The documents say what the code does: topics, states, errors, commands, licences; and their links lead somewhere."""

import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from typer.main import get_command

import vonad
from tests import ancestors
from tests.licences import PERMISSIVE, installed, licence
from tests.pages import ALL, DOCS, PAGES, ROOT, anchors, blocks, coded, named, prose, rows, section
from tools.documents import CLI, written
from vonad import process
from vonad.cli.app import build
from vonad.cli.demo.account import STAGES
from vonad.cli.demo.promises import STATES
from vonad.cli.demo.story import SAID
from vonad.cli.reference import commands
from vonad.daemon import DATABASE, SOCKET
from vonad.events import COARSE, EVENTS
from vonad.identity import FILE
from vonad.instance import LOCK
from vonad.mqtt import publisher, topics
from vonad.mqtt.broker import PORT_FILE
from vonad.mqtt.commands import decode_inject, decode_say, decode_stop, decode_text, decode_wake
from vonad.plugins import Plugins
from vonad.session.machine import TRANSITIONS, State, Trigger
from vonad.session.means import PHRASES, Limits
from vonad.session.turn import Outcome, Source
from vonad.settings import Settings, load
from vonad.settings.component_check import check_components
from vonad.wake import machine

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README, MQTT, SESSIONS, OPERATIONS = (
    path.read_text() for path in (PAGES[0], DOCS / "mqtt.md", DOCS / "sessions.md", DOCS / "operations.md")
)
every_page = pytest.mark.parametrize("page", ALL, ids=lambda page: page.relative_to(ROOT).as_posix())


# What is made from the code


@pytest.mark.parametrize("path", written(), ids=lambda path: path.name)
def test_what_comes_from_the_code_is_as_the_code_is(path: Path):
    assert path.read_text() == written()[path], "run: .venv/bin/python -m tools.documents"


def test_every_command_has_its_place():
    text = CLI.read_text()
    assert all(f"\n## `vonad {name}`\n" in text for name in commands())


# MQTT


def test_the_topics_are_those_there_are():
    told = {coded(row[0])[0] for row in rows(section(MQTT, "Topics"))}
    satellite = (*topics.COMMANDS, *topics.STATE, *topics.WORDS, "event")
    known = {*topics.NODE, *(f"satellite/<id>/{leaf}" for leaf in satellite)}
    session = {f"session/<id>/{leaf}" for leaf in (*topics.SESSION_COMMANDS, "state", "event/<type>")}
    assert told == known | session


@every_page
def test_no_topic_is_named_that_does_not_exist(page: Path):
    house = topics.Topics("vonad", "home")
    named = re.findall(r"(?:vonad/home|…)/((?:satellite|session)/[^\s'\"`#]+)(?!#)\b", page.read_text())
    for topic in (name.rstrip("/") for name in named):
        if not topic.endswith(("satellite", "session")):
            house.parse(f"{house.base}/{topic}")


def test_what_is_published_in_the_examples_can_be_read():
    decode = {
        "wake": lambda payload: decode_wake("desk", payload, at=0.0, retained=False),
        "text": decode_text,
        "say": decode_say,
        "stop": decode_stop,
        "inject": decode_inject,
    }
    lines = [line for text in (README, MQTT) for block in blocks(text, "sh") for line in block.splitlines()]
    published = [shlex.split(line, comments=True) for line in lines if line.startswith("mosquitto_pub")]
    assert len(published) >= 8
    for words in published:
        leaf = words[words.index("-t") + 1].rpartition("/")[2]
        decode[leaf](words[words.index("-m") + 1].encode() if "-m" in words else b"")


def test_the_events_of_a_satellite_are_those_it_is_told():
    told = {publisher._NAMES.get(name, name.replace(".", "_")): name for name in publisher._TOLD}
    listed = {coded(row[0])[0]: row[1].split(", ") for row in rows(section(MQTT, "Events of a satellite"))}
    assert listed == {said: list(EVENTS[name].data) for said, name in told.items()}


# Sessions


def test_every_state_is_there_with_its_word_on_mqtt():
    assert [(coded(a)[0], coded(b)[0]) for a, b, _ in rows(section(SESSIONS, "States"))] == [
        (str(state), COARSE[state]) for state in State
    ]


def test_the_transitions_are_those_of_the_machine():
    told: dict[tuple[State, Trigger], frozenset[State]] = {}
    for origin, trigger, _, to in rows(section(SESSIONS, "Transitions")):
        states = {State(name) for name in coded(origin)}
        if origin.startswith("any but"):
            states = set(State) - states
        for state in states:
            told[state, Trigger(coded(trigger)[0])] = frozenset(State(name) for name in coded(to))
    assert told == TRANSITIONS


def test_the_rows_of_waking_are_those_of_the_wake_machine():
    told = {
        (machine.Wakefulness(state), machine.Stimulus(coded(stimulus)[0])): machine.Wakefulness(coded(to)[0])
        for origin, stimulus, _, to in rows(section(SESSIONS, "Waking"))
        for state in coded(origin)
    }
    assert told == machine.TRANSITIONS


@pytest.mark.parametrize("words", [get_args(Outcome), get_args(Source)], ids=["outcomes", "sources"])
def test_the_words_of_turns_are_explained(words: tuple[str, ...]):
    assert set(words) <= set(named(section(SESSIONS, "Turns")))


def test_the_house_says_of_itself_what_the_pages_say():
    told = " ".join(" ".join(path.read_text() for path in PAGES).split())
    assert [words for words in PHRASES["en"].values() if words not in told] == []


def test_every_stage_and_every_ending_is_explained():
    code = "".join(path.read_text() for path in (ROOT / "vonad").rglob("*.py"))
    stages, endings = set(re.findall(r"mark\(turn, \"(\w+)\"\)", code)), set(re.findall(r"close\(\"(\w+)\"", code))
    assert len(stages) >= 7
    assert stages <= set(named(section(SESSIONS, "Turns")))
    assert len(endings) >= 7
    assert endings <= set(named(section(SESSIONS, "Endings")))


def test_the_limits_are_those_that_hold():
    settings = Settings()
    told = {coded(limit)[0]: float(seconds) for limit, seconds, _ in rows(section(SESSIONS, "Limits"))}
    for name, seconds in told.items():
        table, _, key = name.rpartition(".")
        assert getattr(getattr(settings, table) if table else Limits(), key) == seconds, name
    assert set(Limits.__slots__) <= {name.removeprefix("session.") for name in told}


def test_every_row_of_the_ancestors_has_tests_whose_names_say_so():
    """Which they are stands in the document, made by `tools.documents`."""
    told = ancestors.tests()
    waiting = [row for row in told if row in ancestors.ELSEWHERE]
    assert len(waiting) == len(ancestors.ELSEWHERE)
    assert [row for row in waiting if told[row]] == []
    assert [row for row in told if row not in waiting and not ancestors.covered(row, told[row])] == []


# Operations


def test_exit_statuses_are_those_of_the_process():
    told = {int(row[0]) for row in rows(section(OPERATIONS, "Starting and stopping")) if row[0].isdecimal()}
    assert told == {0, process.EXIT_FAILED, process.EXIT_ALREADY_RUNNING, process.EXIT_BAD_CONFIGURATION}


def test_files_are_called_as_they_are():
    told = set(named(section(OPERATIONS, "Files")))
    assert told >= {DATABASE, SOCKET, FILE, LOCK, PORT_FILE, "vonad.toml"}


# README


def test_licences_are_those_of_what_is_installed():
    told = {coded(row[0])[0]: row[1] for row in rows(section(README, "Licences"))}
    wanted = list(dict.fromkeys(Requirement(text).name for text in PROJECT["dependencies"]))
    assert list(told) == wanted
    for name in wanted:
        assert told[name] == licence(name) or (not licence(name) and told[name].startswith("none stated")), name
    assert "GPL-3.0" in told["espeakng-loader"]


def test_a_licence_that_asks_for_more_is_named():
    for name in installed("vonad", set()) - {"vonad", "numpy", "espeakng-loader"}:
        stated = licence(name)
        if not set(re.split(r" (?:AND|OR) ", stated)) <= PERMISSIVE:
            assert f"`{name}`" in section(README, "Licences"), (name, stated)
            assert stated in section(README, "Licences"), (name, stated)


def test_every_bundled_plugin_is_introduced():
    assert set(named(section(README, "What is in it"))) == set(PROJECT["entry-points"]["vonad"])


def test_the_transcript_of_the_demo_is_of_a_real_run():
    [block] = re.findall(r"<!-- demo:begin -->\n```\n(.*?)\n```\n<!-- demo:end -->", README, re.S)
    expected = [
        r"\$ vonad demo",
        rf"vonad {re.escape(vonad.__version__)}: a daemon of its own",
        r"  daemon .* online after",
    ]
    for recording, said in SAID.items():
        expected += [rf"Somebody says “{said}” \({recording}\)", r" → \S*satellite/demo/wake {"]
        expected += [rf" ← \S*satellite/demo/state {state}$" for state in STATES]
        expected += [rf"  heard +“{said}”", r"  replied +“(It is|Today is) .*\.”"]
        expected += [
            STAGES["endpoint"][:20],
            STAGES["playback_finished"],
            r"last word .*first sound of the reply:? \d+ ms$",
        ]
    expected += [r"vonad\.db \(SQLite\) remembers", *(rf"· {said} · .* · clock · completed" for said in SAID.values())]
    expected += [r"wake · mqtt · accepted"] * len(SAID)
    expected += [r"offline, exit status 0", r"replies .*\.wav \(\d", r"All of it really happened\."]
    lines = iter(block.splitlines())
    for pattern in expected:
        assert any(re.search(pattern, line) for line in lines), f"{pattern}: run: .venv/bin/python -m tools.transcript"


# Every page


@every_page
def test_links_lead_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if "://" not in link:
            name, _, anchor = link.partition("#")
            target = Path(os.path.normpath(page.parent / name)) if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target.read_text()), link


def test_every_page_can_be_reached_from_the_index():
    linked = {(DOCS / name).resolve() for name in re.findall(r"\]\(([\w/-]+\.md)\)", (DOCS / "index.md").read_text())}
    assert linked == set(DOCS.glob("*.md")) - {DOCS / "index.md"}


@every_page
def test_examples_of_configuration_are_valid(page: Path, tmp_path: Path):
    plugins = Plugins(drop_ins=None)
    plugins.load()
    for number, block in enumerate(blocks(page.read_text(), "toml")):
        if "[project" in block:
            continue
        path = tmp_path / f"{number}.toml"
        path.write_text(block)
        path.chmod(0o600)
        problems = check_components(load(path, {}), plugins.offers.values(), plugins.statuses)
        # What an example brings along is no plugin here.
        assert [problem for problem in problems if "no plugin offers" not in problem.message] == []


@every_page
def test_settings_that_are_named_exist(page: Path):
    text = page.read_text()
    found = re.findall(r"`\[(\w+)\] (\w+)", text)
    dotted = re.findall(r"`(node|mqtt|web|history|session|wake|policy|log)\.(\w+)( =|`)", text)
    if page.name != "architecture.md":  # where these are modules
        found += [(table, key) for table, key, _ in dotted if f"{table}.{key}" not in EVENTS and key != "json"]
    for table, key in found:
        assert key in type(getattr(Settings(), table)).model_fields, f"{table}.{key}"


def shown_commands(text: str) -> Iterator[str]:
    """The arguments of each `vonad` that is shown."""
    lines = chain.from_iterable(block.splitlines() for block in blocks(text, "sh"))
    for line in chain(lines, re.findall(r"`([^`]+)`", prose(text))):
        found = re.match(r"(?:sudo (?:\w+=\S+ )?)?(?:\S*/bin/)?vonad ([a-z]+(?: .*)?)$", " ".join(line.split()))
        if found:
            yield found[1]


@every_page
def test_commands_that_are_shown_exist(page: Path):
    for line in shown_commands(page.read_text()):
        words = shlex.split(line, comments=True)
        command = get_command(build())
        while words and words[0] in (below := getattr(command, "commands", {})):
            command = below[words.pop(0)]
        assert not getattr(command, "commands", {}) or words[:1] == [] or words[0].startswith("-"), f"vonad {line}"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= known | {"--help", "-"}, f"vonad {line}"


@every_page
def test_make_targets_that_are_shown_exist(page: Path):
    targets = set(re.findall(r"^([a-z]+)(?: [a-z]+)*:", (ROOT / "Makefile").read_text(), re.M)) | {"run", "demo"}
    assert set(re.findall(r"(?:^|`)make (?:\w+=\S+ )?([a-z]+)", page.read_text(), re.M)) <= targets


def test_the_plugins_in_the_text_run(tmp_path: Path):
    whole = [block for block in blocks((DOCS / "skills.md").read_text(), "python") if "@hookimpl" in block]
    assert len(whole) == 2
    for number, block in enumerate(whole):
        path = tmp_path / f"example_{number}.py"
        path.write_text(block)
        path.chmod(0o644)
    plugins = Plugins(drop_ins=tmp_path)
    plugins.load()
    found = [status for status in plugins.statuses if status.origin == "drop-in"]
    assert [status.reason for status in found] == ["", ""]
    assert [status.offers for status in found] == [("skill:lamp",), ("skill:joke",)]


@every_page
def test_pages_are_readable_as_text_and_name_nothing_of_this_machine(page: Path):
    text = page.read_text()
    assert str(ROOT) not in text
    if page.parent == DOCS or page.name == "README.md":
        assert [line for line in prose(text).splitlines() if len(line) > 130 and not line.startswith("|")] == []
