"""F21: whatever is wrong with a plugin, it is skipped with the reason, nothing of it remains, and the others load."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vonad import __version__
from vonad.errors import VonadError
from vonad.plugins import Plugins
from vonad.plugins.api_version import accepts, api_fault
from vonad.plugins.offer import Group, OfferDesk
from vonad.skill import Skill

GOOD = """
from vonad import hookimpl, skill

@skill("good")
async def good(args, call):
    "Works."
    return "good"

@hookimpl
def register_skills(registrar):
    registrar.add(good)
"""
HEAD = "from vonad import *\nfrom pydantic import BaseModel\nclass Part:\n    def __init__(self, *a): pass\n"


def hook(body: str, name: str = "register_engines", arguments: str = "registrar") -> str:
    """A plugin that has offered a component before it goes wrong in line 8."""
    first = "@hookimpl\ndef register_backends(registrar): registrar.add('early', Part)\n"
    return f"{HEAD}{first}@hookimpl\ndef {name}({arguments}): {body}\n"


FAULTS = {
    "1 / 0": r"ZeroDivisionError: division by zero \(FILE:1\)",
    "def f(:": r"not Python: invalid syntax \(FILE:1\)",
    "import no_module.sub": (
        rf"needs the Python module no_module, which is not installed: {sys.executable} -m pip install no_module"
    ),
    "from json import no_such_name": r"ImportError: cannot import name 'no_such_name' from 'json' .*",
    "from vonad import NoSuchContract": (
        rf"vonad {__version__} has no NoSuchContract: it was written for another version of vonad"
    ),
    "import vonad.nothing": (
        rf"vonad {__version__} has no module vonad\.nothing: it was written for another version of vonad"
    ),
    "raise SystemExit(3)": r"it tried to end the program \(SystemExit: 3\) \(FILE:1\)",
    "import sys; sys.exit()": r"it tried to end the program \(SystemExit\) \(FILE:1\)",
    "class Odd(BaseException): pass\nraise Odd('x' * 1000)": r"Odd: x{495} \(FILE:2\)",
    "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute": r"Mute \(FILE:3\)",
    "raise GeneratorExit": r"GeneratorExit \(FILE:1\)",
    "": r"it has no function under @hookimpl \(from vonad import hookimpl\)",
    "def register_skills(registrar): pass": r"it has no function under @hookimpl .*",
    "VONAD_API = '>=2'\n" + GOOD: r"VONAD_API = '>=2', but this vonad's is 1\.0: install versions that fit",
    "VONAD_API = 1\n" + GOOD: r"VONAD_API must be a text like '>=1,<2', not 1",
    "VONAD_API = 'any'\n" + GOOD: r"VONAD_API: 'any' is no version specifier; write it like '>=1,<2'",
    hook("1 / 0"): r"ZeroDivisionError: division by zero \(FILE:8\)",
    hook("raise SystemExit"): r"it tried to end the program \(SystemExit\) \(FILE:8\)",
    hook("pass", arguments="registry"): r"Plugin '\w+' for hook 'register_engines' .*registry.*",
    hook("pass", name="register_engine"): r"there is no hook register_engine; did you mean register_engines\?",
    hook("pass", name="on_wake"): r"there is no hook on_wake; the hooks are plan_session, .*",
    hook("pass").replace("def register_engines", "async def register_engines"): (
        r"register_engines must be a plain function, not async: nobody awaits a hook"
    ),
    hook("yield"): r"register_engines must be a plain function: with yield in it, it never runs",
    hook("pass", name="plan_session", arguments="wake").replace("def plan_session", "async def plan_session"): (
        r"plan_session must be a plain function, not async: nobody awaits a hook"
    ),
    hook("yield").replace("@hookimpl\ndef register_engines", "@hookimpl(wrapper=True)\ndef register_engines"): (
        r"register_engines cannot be a wrapper: every plugin registers its own"
    ),
    hook("return late()") + "async def late(): pass\n": r"register_engines returned a coroutine: call plain .*",
    hook("return [Part]"): r"register_engines must return nothing: offers go to registrar\.add",
    hook(
        "registrar.add('a', Part, role='ears')"
    ): r"a: role must be one of stt, tts, agent, vad, turn, wake, not 'ears'",
    hook("registrar.add('a', Part, role='vad'); registrar.add('a', Part, role='vad')"): (
        r"engine 'a' is offered by \w+ \(drop-in FILE\) already; \w+ \(drop-in FILE\) cannot offer it too"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def loaded(folder: Path) -> Callable[[str], tuple[Plugins, str]]:
    """A plugin between two good ones: the plugins, and why it does not run."""

    def loaded(source: str) -> tuple[Plugins, str]:
        for name, text in {"a_good": GOOD, "bad": source, "c_good": GOOD.replace("def good", "def fine")}.items():
            path = folder / f"{name}.py"
            path.write_text(text.replace("add(good)", "add(fine)") if name == "c_good" else text)
            path.chmod(0o644)
        plugins = Plugins(drop_ins=folder, allowed=["a_good", "bad", "c_good"])
        plugins.load()
        (bad,) = [status for status in plugins.statuses if status.name == "bad"]
        assert not bad.running
        assert [status.name for status in plugins.statuses if status.running] == ["a_good", "c_good"]
        return plugins, bad.reason

    return loaded


@pytest.mark.parametrize(("source", "reason"), FAULTS.items(), ids=range(len(FAULTS)))
def test_a_plugin_with_a_fault_is_out_with_the_reason_and_nothing_of_it_remains(
    loaded: Callable[[str], tuple[Plugins, str]], folder: Path, source: str, reason: str
):
    plugins, said = loaded(source)
    assert re.fullmatch(reason.replace("FILE", re.escape(str(folder / "bad.py"))), said), said
    assert "\n" not in said
    assert set(plugins.offers) == {("skills", "good"), ("skills", "fine")}


def test_a_plugin_that_is_out_has_no_say_in_policy(loaded: Callable[[str], tuple[Plugins, str]]):
    source = HEAD + "@hookimpl\ndef rewrite_reply(text): return 'mine'\n@hookimpl\ndef register_skills(): 1 / 0\n"
    plugins, _ = loaded(source)
    assert list(plugins.hook.says("rewrite_reply")) == []


def test_the_owner_s_interrupt_is_no_plugin_s_fault(loaded: Callable[[str], tuple[Plugins, str]]):
    with pytest.raises(KeyboardInterrupt):
        loaded("raise KeyboardInterrupt")


def test_a_distribution_whose_module_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    metadata = tmp_path / "vonad_gone-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vonad-gone\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[vonad]\ngone = vonad_gone\nattribute = json:dumps\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugins = Plugins(drop_ins=None, allowed=["gone", "attribute"])
    plugins.load()
    assert {status.name: status.reason for status in plugins.statuses if status.origin == "installed"} == {
        "gone": "its module vonad_gone is missing: install vonad-gone again",
        "attribute": "its entry point 'json:dumps' must name a module",
    }


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused_with_what_mends_it(folder: Path, mode: int):
    path = folder / "open.py"
    path.write_text(GOOD)
    path.chmod(mode)
    plugins = Plugins(drop_ins=folder, allowed=["open"])
    plugins.load()
    assert plugins.statuses[-1].reason == (f"others may change it and so run anything as vonad: chmod go-w {path}")
    path.chmod(0o644)
    assert plugins.reload("open").running


def test_a_folder_that_others_can_write_is_refused_too(folder: Path, tmp_path: Path):
    (folder / "a.py").write_text(GOOD)
    (folder / "a.py").chmod(0o644)
    folder.chmod(0o775)
    plugins = Plugins(drop_ins=folder, allowed=["a", "link"])
    plugins.load()
    assert plugins.statuses[-1].reason.endswith(f"chmod go-w {folder}")
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "elsewhere" / "link.py").symlink_to(folder / "a.py")
    linked = Plugins(drop_ins=tmp_path / "elsewhere", allowed=["link"])
    linked.load()
    assert linked.statuses[-1].reason.endswith(f"chmod go-w {folder}")


def test_a_file_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    path = folder / "theirs.py"
    path.write_text(GOOD)
    path.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
        where = path
    else:
        monkeypatch.setattr("vonad.plugins.origin.os.geteuid", lambda: 12345)
        where = folder
    plugins = Plugins(drop_ins=folder, allowed=["theirs"])
    plugins.load()
    assert plugins.statuses[-1].reason.startswith(
        f"{where} belongs to another user, who could run anything as vonad: chown "
    )


class NotASkill:
    pass


class Unfinished(Skill):  # type: ignore[type-arg]
    name = "unfinished"
    description = "Has no run."


class Whole(Skill):  # type: ignore[type-arg]
    name = "whole"
    description = "Has all it needs"

    async def run(self, args: object, call: object) -> str:
        return ""


def _changed(**changes: object) -> type:
    return type("Changed", (Whole,), changes)


def _function() -> None: ...


@pytest.mark.parametrize(
    ("group", "arguments", "keywords", "sentence"),
    [
        ("skills", (NotASkill,), {}, "NotASkill is no skill: pass a class made from vonad.Skill"),
        ("skills", (_function,), {}, "_function is no skill: decorate it with @skill(…)"),
        ("skills", (Whole.__new__(Whole),), {}, "is no skill: pass a class made from vonad.Skill"),
        ("skills", (None,), {}, "None is no skill"),
        ("skills", (Unfinished,), {}, "skill Unfinished: it needs `async def run(self, args, call)`"),
        ("skills", (_changed(name=""),), {}, "skill Changed: it needs name = '…'"),
        ("skills", (_changed(description=None),), {}, "skill Changed: it needs description = '…'"),
        ("skills", (_changed(name="No Name"),), {}, "must be lower case letters"),
        ("skills", (_changed(run=_function),), {}, "it needs `async def run(self, args, call)`"),
        ("skills", (_changed(Args=dict),), {}, "Args must be a pydantic model class, not <class 'dict'>"),
        ("skills", (_changed(risk="some"),), {}, "risk must be one of read, reversible, sensitive, not 'some'"),
        ("skills", (_changed(timeout_s=0),), {}, "timeout_s must be seconds, more than 0, not 0"),
        ("skills", (_changed(timeout_s="5"),), {}, "timeout_s must be seconds, more than 0, not '5'"),
        ("skills", (_changed(sentences="one"),), {}, "sentences must be a list, not one text"),
        ("skills", (_changed(sentences=5),), {}, "its sentences or lists cannot be read"),
        ("skills", (_changed(lists={"A B": []}),), {}, "the name 'A B' must be lower case letters"),
        ("skills", (Whole,), {"role": "stt"}, "whole: only engines have a role"),
        ("skills", (Whole,), {"settings": dict}, "whole: settings must be a pydantic model class, not <class 'dict'>"),
        ("engines", (Whole,), {}, "write registrar.add('name', Whole, …)"),
        ("engines", ("whole", Whole), {"role": "stt"}, "Whole is a skill: offer it in register_skills"),
        ("engines", ("x", NotASkill), {}, "x: role must be one of stt, tts, agent, vad, turn, wake, not None"),
        ("backends", ("x",), {}, "x: the second argument must be what is called with (settings, host): None"),
        ("backends", ("A B", NotASkill), {}, "the kind 'A B' must be a text of a-z, 0-9, _ and -, at most 64 of them"),
        ("backends", (5, NotASkill), {}, "the kind 5 must be a text"),
    ],
)
def test_what_is_no_component_is_refused_in_a_sentence(
    group: Group, arguments: tuple[object, ...], keywords: dict[str, object], sentence: str
):
    desk = OfferDesk(group, "mine", made={}, taken={}, origins={"mine": "mine"})
    with desk, pytest.raises(VonadError) as caught:
        desk.add(*arguments, **keywords)  # type: ignore[arg-type]
    assert caught.value.code == "plugin_error"
    assert sentence in caught.value.message


def test_a_skill_may_have_another_kind_than_its_name():
    made: dict[object, object] = {}
    desk = OfferDesk("skills", "mine", made=made, taken={}, origins={})  # type: ignore[arg-type]
    with desk:
        desk.add("other", Whole)
    assert list(made) == [("skills", "other")]


def test_the_registrar_is_of_no_use_after_its_hook():
    desk = OfferDesk("skills", "mine", made={}, taken={}, origins={})
    with desk:
        pass
    with pytest.raises(VonadError, match="only be called inside of the register_ function"):
        desk.add(Whole)


@pytest.mark.parametrize(
    ("specifier", "version", "fits"),
    [
        (">=1,<2", (1, 0), True),
        (">=1,<2", (1, 9), True),
        (">=1,<2", (2, 0), False),
        (" >= 1.2 , < 2 ", (1, 1), False),
        ("~=1.2", (1, 5), True),
        ("~=1.2", (2, 0), False),
        ("~=1.2.3", (1, 3), False),
        ("==1", (1, 0), True),
        ("==1.*", (1, 7), True),
        ("!=1.0", (1, 0), False),
        ("!=1.*", (2, 0), True),
        (">1", (1, 0), False),
        ("<=1.0", (1, 0), True),
    ],
)
def test_version_specifiers(specifier: str, version: tuple[int, ...], fits: bool):
    assert accepts(specifier, version) is fits


@pytest.mark.parametrize("specifier", ["", "1", ">=", ">=1,", ">=x", "~=1", ">=1.*", "^1", ">=1;<2"])
def test_what_is_no_specifier_is_refused(specifier: str):
    with pytest.raises(ValueError, match="no version specifier"):
        accepts(specifier, (1, 0))


def test_no_statement_fits_every_version():
    assert api_fault(None) == ""
    assert api_fault(">=1,<2") == ""
