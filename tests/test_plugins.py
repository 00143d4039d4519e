"""Plugins: found in three places, loaded one by one, unloaded and loaded again; a say in policy."""

import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from vonad import Allow, Call, Deny, SessionView, SkillCall, Wake, hookimpl, hookspecs
from vonad.errors import VonadError
from vonad.plugins import Plugins, PluginStatus

ROOT = Path(__file__).parent.parent
SKILL = """
from vonad import hookimpl, skill

@skill("say {word}", name="{name}")
async def {name}(args, call):
    "Says it."
    return "{word}"

@hookimpl
def register_skills(registrar):
    registrar.add({name})
"""
WAKE = Wake(satellite="desk", source="mqtt", at=0.0)
SESSION = SessionView(
    session_id="s", conversation_id="c", satellite="desk", state="processing", turn=1, backend="bridge", created=""
)

DropIn = Callable[..., Path]
Load = Callable[..., Plugins]


def a_skill(name: str, word: str = "hello") -> str:
    return SKILL.replace("{name}", name).replace("{word}", word)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def drop_in(folder: Path) -> DropIn:
    def drop_in(name: str, source: str) -> Path:
        path = folder / f"{name}.py"
        path.write_text(source)
        path.chmod(0o644)
        return path

    return drop_in


@pytest.fixture
def load(folder: Path) -> Load:
    """Drop-ins and what else is named: the bundled plugins are tested where they are."""

    def load(*others: str, only: Sequence[str] | None = None) -> Plugins:
        allowed = only if only is not None else [*others, *(path.stem for path in folder.glob("*.py"))]
        plugins = Plugins(drop_ins=folder, allowed=allowed)
        plugins.load()
        return plugins

    return load


def status(plugins: Plugins, name: str) -> PluginStatus:
    (found,) = [status for status in plugins.statuses if status.name == name]
    return found


def install(site: Path, name: str, *, version: str = "1.2", module: str = "", source: str = "") -> Path:
    """A distribution as pip leaves it."""
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[vonad]\n{name} = {module or name}\n")
    package = site / (module or name).partition(".")[0]
    package.mkdir()
    (package / "__init__.py").write_text(source)
    return package


async def answer(plugins: Plugins, skill: str) -> object:
    offer = plugins.offer("skills", skill)
    async with offer.factory(offer.settings(), SimpleNamespace()) as component:  # type: ignore[arg-type]
        return await component.run(None, None)  # type: ignore[attr-defined]


async def test_a_file_dropped_in_is_a_plugin(drop_in: DropIn, load: Load):
    path = drop_in("hello", a_skill("hello") + "\n__version__ = '3'\n")
    plugins = load()
    assert status(plugins, "hello") == PluginStatus(
        "hello", "drop-in", "3", str(path), ("skill:hello",), running=True, reason=""
    )
    assert await answer(plugins, "hello") == "hello"


async def test_an_installed_distribution_is_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Load):
    package = install(tmp_path, "vonad-test-greeting", module="vonad_test_greeting", source=a_skill("greeting"))
    monkeypatch.syspath_prepend(tmp_path)
    plugins = load("vonad-test-greeting")
    assert status(plugins, "vonad-test-greeting") == PluginStatus(
        "vonad-test-greeting", "installed", "1.2", str(package / "__init__.py"), ("skill:greeting",), True, ""
    )
    assert await answer(plugins, "greeting") == "hello"


def test_the_bundled_ones_are_entry_points_of_vonad_itself(load: Load):
    plugins = load("clock")
    clock = status(plugins, "clock")
    assert (clock.origin, clock.running, clock.offers) == ("bundled", True, ("skill:clock",))
    assert clock.location == str(ROOT / "plugins" / "vonad_clock.py")


def test_drop_ins_are_loaded_by_name_after_all_others_and_private_files_are_left(drop_in: DropIn, load: Load):
    for name in ("b", "a", "_private", ".hidden"):
        drop_in(name, a_skill(name.strip("_.")))
    names = [status.name for status in load("clock").statuses if status.running]
    assert names == ["clock", "a", "b"]


def test_without_a_folder_there_are_no_drop_ins(tmp_path: Path):
    for folder in (None, tmp_path / "gone", tmp_path):
        plugins = Plugins(drop_ins=folder, allowed=[])
        plugins.load()
        assert all(status.origin != "drop-in" for status in plugins.statuses)


def test_a_drop_in_cannot_stand_in_for_a_library(drop_in: DropIn, load: Load):
    drop_in("json", a_skill("json"))
    before = sys.modules["json"]
    assert status(load(), "json").running
    assert sys.modules["json"] is before


def test_what_is_not_allowed_is_not_even_imported(drop_in: DropIn, load: Load, caplog: pytest.LogCaptureFixture):
    drop_in("harm", "raise SystemExit")
    harm = status(load(only=["clock"]), "harm")
    assert (harm.running, harm.reason) == (False, "not allowed: [policy] plugins does not name it")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_name_taken_twice_is_refused_naming_both(drop_in: DropIn, load: Load):
    path = drop_in("clock", a_skill("other"))
    plugins = load()
    first, second = [status for status in plugins.statuses if status.name == "clock"]
    assert (first.origin, first.running) == ("bundled", True)
    assert not second.running
    assert re.fullmatch(
        r"clock \(bundled, vonad [\d.]+\) has this name already; one of them needs another", second.reason
    )
    assert second.location == str(path)
    assert ("skills", "other") not in plugins.offers


def test_a_kind_offered_twice_keeps_the_second_plugin_out_naming_both(drop_in: DropIn, load: Load):
    one = drop_in("one", a_skill("hello", "first"))
    two = drop_in("two", a_skill("hello", "second"))
    plugins = load()
    assert status(plugins, "one").running
    assert status(plugins, "two").reason == (
        f"skill 'hello' is offered by one (drop-in {one}) already; two (drop-in {two}) cannot offer it too"
    )
    assert plugins.offer("skills", "hello").plugin == "one"


def test_loading_again_takes_what_is_new_and_leaves_what_runs(drop_in: DropIn, load: Load, folder: Path):
    drop_in("one", a_skill("one"))
    broken = drop_in("two", "1 / 0")
    plugins = Plugins(drop_ins=folder, allowed=["one", "two", "three"])
    plugins.load()
    offer = plugins.offer("skills", "one")
    broken.write_text(a_skill("two"))
    drop_in("three", a_skill("three"))
    plugins.load()
    plugins.load()
    assert [status.name for status in plugins.statuses if status.running] == ["one", "three", "two"]
    assert plugins.offer("skills", "one") is offer


async def test_a_drop_in_loaded_again_is_read_again_even_within_the_same_second(drop_in: DropIn, load: Load):
    path = drop_in("hello", a_skill("hello", "hello"))
    plugins = load()
    stamp = path.stat()
    drop_in("hello", a_skill("hello", "howdy"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    old = plugins.offer("skills", "hello")
    assert plugins.reload("hello").running
    assert await answer(plugins, "hello") == "howdy"
    assert plugins.offer("skills", "hello") is not old
    assert not list(path.parent.glob("__pycache__"))


async def test_an_installed_plugin_loaded_again_is_read_again_with_all_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Load
):
    source = "from vonad_test_parts.words import *\n"
    package = install(tmp_path, "vonad-test-parts", module="vonad_test_parts", source=source)
    (package / "words.py").write_text(a_skill("parts", "hello"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    plugins = load("vonad-test-parts")
    assert await answer(plugins, "parts") == "hello"
    (package / "words.py").write_text(a_skill("parts", "howdy"))
    assert plugins.reload("vonad-test-parts").running
    assert await answer(plugins, "parts") == "howdy"


def test_a_plugin_that_breaks_when_loaded_again_is_out_with_the_reason(drop_in: DropIn, load: Load):
    path = drop_in("hello", a_skill("hello"))
    plugins = load()
    path.write_text("1 / 0")
    again = plugins.reload("hello")
    assert (again.running, again.reason) == (False, f"ZeroDivisionError: division by zero ({path}:1)")
    assert status(plugins, "hello") == again
    assert plugins.offers == {}
    path.write_text(a_skill("hello"))
    assert plugins.reload("hello").running


def test_unloading_takes_offers_and_hooks_away(drop_in: DropIn, load: Load):
    drop_in("deny", a_skill("deny") + DENY)
    plugins = load()
    assert asked(plugins, "review_skill_call", call=SkillCall("1", "x", {}), session=SESSION) == Deny("no")
    plugins.unload("deny")
    assert asked(plugins, "review_skill_call", call=SkillCall("1", "x", {}), session=SESSION) is None
    assert plugins.offers == {}
    assert "deny" not in [status.name for status in plugins.statuses]
    with pytest.raises(VonadError, match="there is no plugin 'deny'"):
        plugins.unload("deny")
    assert plugins.reload("deny").running


def test_a_plugin_that_nobody_has_is_not_found(drop_in: DropIn, load: Load):
    drop_in("hello", a_skill("hello"))
    plugins = load()
    with pytest.raises(VonadError, match="there is no plugin 'helo'; did you mean hello") as caught:
        plugins.reload("helo")
    assert caught.value.code == "not_found"


def test_a_kind_that_nobody_offers_gets_the_nearest_or_the_reason(drop_in: DropIn, load: Load):
    drop_in("hello", a_skill("hello"))
    drop_in("broken", "import no_such_module_here")
    plugins = load()
    with pytest.raises(VonadError, match="no plugin offers 'helo' among the skills; did you mean hello") as caught:
        plugins.offer("skills", "helo")
    assert caught.value.code == "not_found"
    with pytest.raises(VonadError, match="among the engines; there are: none"):
        plugins.offer("engines", "whisper")
    with pytest.raises(VonadError, match="the plugin broken does not run: needs the Python module no_such_module_here"):
        plugins.offer("skills", "broken")


def asked(plugins: Plugins, hook: str, **about: object) -> object:
    """The first answer, as policy takes it."""
    return next((answer for _, say in plugins.hook.says(hook) if (answer := say(**about)) is not None), None)


DENY = """
from vonad import Deny

@hookimpl
def review_skill_call(call):
    return Deny("no")
"""


class OwnPolicy:
    """As the core registers it."""

    @hookimpl(trylast=True)
    def review_skill_call(self) -> Allow:
        return Allow()


def test_the_own_policy_answers_last_and_the_last_plugin_first(drop_in: DropIn, load: Load):
    drop_in(
        "a_silent", DENY.replace('Deny("no")', "None").replace("from vonad", "from vonad import hookimpl\nfrom vonad")
    )
    plugins = load()
    plugins.register_policy(OwnPolicy())
    call = SkillCall("1", "x", {})
    assert asked(plugins, "review_skill_call", call=call, session=SESSION) == Allow()
    drop_in("b_deny", "from vonad import hookimpl" + DENY)
    drop_in("c_deny", "from vonad import hookimpl" + DENY.replace("no", "never"))
    later = load()
    later.register_policy(OwnPolicy())
    assert asked(later, "review_skill_call", call=call, session=SESSION) == Deny("never")
    told = [who.removeprefix("plugin ") for who, _ in later.hook.says("review_skill_call")]
    assert told == ["c_deny", "b_deny", "a_silent", "vonad's own policy"]
    assert status(later, "c_deny").offers == ("hook:review_skill_call",)


def test_what_a_policy_hook_raises_comes_out_of_the_call(drop_in: DropIn, load: Load):
    drop_in("bad", "from vonad import hookimpl\n@hookimpl\ndef plan_session(wake):\n    raise LookupError('mine')\n")
    plugins = load()
    with pytest.raises(LookupError, match="mine"):
        asked(plugins, "plan_session", wake=WAKE, active=[])
    assert asked(plugins, "rewrite_user_text", text="x", session=SESSION) is None
    assert asked(plugins, "rewrite_reply", text="x", session=SESSION) is None


def test_a_policy_may_wrap_the_others(drop_in: DropIn, load: Load):
    drop_in(
        "loud",
        "from vonad import hookimpl\n@hookimpl(wrapper=True)\ndef rewrite_reply(text):\n"
        "    answer = yield\n    return (answer or text).upper()\n",
    )
    assert asked(load(), "rewrite_reply", text="x", session=SESSION) == "X"


def test_every_hook_is_in_the_guide():
    guide = (ROOT / "docs" / "plugins.md").read_text()
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.GROUP}_spec")]
    assert len(hooks) == 11
    for hook in hooks:
        arguments = getattr(hookspecs, hook).__code__.co_varnames
        assert f"`{hook}({', '.join(arguments)})`" in guide, hook


async def test_the_guide_s_first_plugin_works_as_it_is_printed(drop_in: DropIn, load: Load):
    guide = (ROOT / "docs" / "plugins.md").read_text()
    (first, *_) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    drop_in("coin", first)
    assert await answer(load(), "coin") == "Heads!"


async def test_the_drop_in_that_is_shipped_works(drop_in: DropIn, load: Load):
    drop_in("coin_flip", (ROOT / "config" / "plugins" / "coin_flip.py").read_text())
    plugins = load()
    coin_flip = plugins.offer("skills", "coin_flip").skill
    assert coin_flip is not None
    skill = coin_flip(plugins.offer("skills", "coin_flip").settings(), SimpleNamespace())  # type: ignore[arg-type]
    call = Call(id="1", text="", satellite=None, session_id="s", language="en", previous_reply="", host=skill.host)
    assert await skill.run(coin_flip.Args(), call) in {"It is heads.", "It is tails."}
    said = str(await skill.run(coin_flip.Args.model_validate({"count": 10}), call))
    numbers = [int(number) for number in re.findall(r"\d+", said)]
    assert sum(numbers) == 10


@pytest.fixture(autouse=True)
def _modules_are_put_back() -> object:
    before: dict[str, ModuleType] = dict(sys.modules)
    yield
    for name in sys.modules.keys() - before.keys():
        if name.startswith(("vonad_drop_in_", "vonad_test_")):
            del sys.modules[name]
