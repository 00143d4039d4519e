"""vonad.testing as a third party meets it: what it offers, and a house to talk to in three lines."""

import ast
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import vonad.testing
from tests.pages import DOCS, blocks, section
from vonad import Call, NoSettings, Skill, SkillResult, VonadError, hookimpl
from vonad.testing import Assistant, EchoSkill, open_assistant

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "vonad" / "testing"


# What it offers


def test_vonad_testing_offers_exactly_what_type_checkers_are_told() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    told = {
        alias.asname: node.module for node in ast.walk(stub) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert vonad.testing.__all__ == sorted(told)
    for name, module in told.items():
        assert module
        assert getattr(vonad.testing, str(name)) is getattr(import_module(module), str(name))
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = vonad.testing.Nothing  # type: ignore[attr-defined]


def test_everything_that_vonad_testing_offers_is_in_the_documents() -> None:
    page = (DOCS / "plugins.md").read_text()
    assert [name for name in vonad.testing.__all__ if f"`{name}" not in page] == []


def test_importing_vonad_testing_and_its_pytest_plugin_loads_nothing_heavy() -> None:
    heavy = "numpy pydantic sqlite3 aiosqlite aiomqtt fastapi hassil soxr"
    program = (
        "import sys, pytest, vonad.testing, vonad.testing.pytest_plugin; "
        f"print(*sorted(set({heavy.split()}) & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.split() == []


async def test_the_worked_example_of_the_documents_passes(tmp_path: Path) -> None:
    example, *_ = blocks(section((DOCS / "plugins.md").read_text(), "Testing"), "python")
    (tmp_path / "test_lamp.py").write_text(example)
    options = "-q -W error -p no:cacheprovider --asyncio-mode=auto -o asyncio_default_fixture_loop_scope=function"
    command = [sys.executable, "-m", "pytest", *options.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


# The assistant


class Counter(Skill[NoSettings]):
    """Keeps what it counts."""

    name = "counter"
    description = "Counts"
    sentences = ("count on",)

    async def run(self, args: object, call: Call) -> SkillResult:
        count = int(await self.host.store.get("count") or 0) + 1
        await self.host.store.set("count", str(count))
        return SkillResult(speech=f"That is {count}.", payload={"count": count})


class Broken(Skill[NoSettings]):
    """Opens with an error."""

    name = "broken"
    description = "Does not open"
    sentences = ("break",)

    async def __aenter__(self) -> "Broken":
        raise VonadError("backend_start_failed", "its lamp is missing")

    async def run(self, args: object, call: Call) -> str:
        return ""


@pytest.fixture
def assistant_plugins() -> list[type]:
    return [EchoSkill, Counter]


@pytest.fixture
def assistant_config() -> str:
    return '[node]\ntimezone = "Europe/Berlin"\n'


async def test_what_is_said_is_answered_by_the_skills_that_are_given_and_those_there_are(assistant: Assistant) -> None:
    echoed = await assistant.say("echo two")
    assert (echoed.text, echoed.outcome, echoed.skills) == ("You said two.", "completed", ("echo",))
    assert echoed.transcript == "echo two"
    assert (await assistant.say("count on")).text == "That is 1."
    assert (await assistant.say("count on")).text == "That is 2."
    assert (await assistant.say("repeat that")).text == "That is 2."
    nonsense = await assistant.say("colourless green ideas")
    assert (nonsense.outcome, nonsense.skills) == ("not_understood", ())


async def test_the_calendar_is_the_tests_and_the_time_zone_the_configurations(assistant: Assistant) -> None:
    assistant.clock.set_now(datetime(2026, 3, 1, 14, 30, tzinfo=UTC))
    assert (await assistant.say("what time is it")).text == "It is 3 30 p.m."


async def test_a_recording_is_heard_by_the_real_recogniser_and_answered_aloud(
    assistant: Assistant, audio: Path
) -> None:
    told = await assistant.hear(audio / "what_time_is_it.wav")
    assert (told.transcript, told.outcome, told.skills) == ("what time is it", "completed", ("clock",))
    assert told.text.startswith("It is ")
    assert sum(frame.seconds for frame in told.sound) > 0.5
    [ended] = [event for event in told.events if event.type == "turn.ended"]
    assert 0 < ended.data["first_audio_ms"] < 30_000
    stray = await assistant.hear(str(audio / "this_is_a_test.wav"))
    assert (stray.outcome, stray.skills) == ("not_understood", ())
    with pytest.raises(VonadError, match=r"there is no recording .*nothing\.wav"):
        await assistant.hear(audio / "nothing.wav")


async def test_a_module_is_loaded_as_a_plugin_would_be(tmp_path: Path) -> None:
    module = ModuleType("house.rules")

    @hookimpl
    def rewrite_reply(text: str, session: object) -> str:
        return text.upper()

    module.rewrite_reply = rewrite_reply  # type: ignore[attr-defined]
    async with open_assistant(tmp_path, plugins=[module, EchoSkill]) as assistant:
        assert (await assistant.say("echo one")).text == "YOU SAID ONE."


async def test_a_plugin_or_skill_that_does_not_run_is_told_at_once(tmp_path: Path) -> None:
    module = ModuleType("nothing")
    with pytest.raises(AssertionError, match="the plugin nothing does not run: it has no function under @hookimpl"):
        async with open_assistant(tmp_path / "1", plugins=[module]):
            pass
    with pytest.raises(AssertionError, match="does not run: its lamp is missing"):
        async with open_assistant(tmp_path / "2", plugins=[Broken]):
            pass


async def test_two_assistants_know_nothing_of_each_other(tmp_path: Path) -> None:
    async with (
        open_assistant(tmp_path / "1", plugins=[Counter]) as one,
        open_assistant(tmp_path / "2", plugins=[Counter]) as other,
    ):
        assert (await one.say("count on")).text == "That is 1."
        assert (await other.say("count on")).text == "That is 1."
