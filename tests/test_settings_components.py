"""Component tables and names, checked against what plugins offer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from vonad.settings import load
from vonad.settings.component_check import check_components

CANARY = "canary-91c2"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    device: str
    rate: int = Field(default=1, ge=1)


class Lazy(BaseModel):
    """Forbids nothing: unknown keys are found all the same."""

    class Inner(BaseModel):
        size: int = 1

    inner: Inner = Inner()
    sizes: list[int] = []
    either: int | bool = 1


class Cloud(BaseModel):
    key: SecretStr
    url: str = ""

    @model_validator(mode="after")
    def _judge(self) -> "Cloud":
        if self.url == "bad":
            raise ValueError(f"{self.key.get_secret_value()} does not fit {self.url}")
        if self.url == "worse":
            raise RuntimeError(self.key.get_secret_value())
        return self


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cascade(BaseModel):
    stt: list[str] = ["gone"]
    tts: list[str] = []


@dataclass(frozen=True)
class Offer:
    group: str
    kind: str
    settings: type[BaseModel] = Nothing
    factory: object = None
    role: str | None = None


@dataclass(frozen=True)
class Plugin:
    name: str
    running: bool = True
    reason: str = ""


OFFERS = (
    Offer("transports", "local_audio"),
    Offer("transports", "strict", Strict),
    Offer("backends", "bridge"),
    Offer("backends", "cloud", Cloud),
    Offer("backends", "cascade", Cascade),
    Offer("engines", "silero", role="vad"),
    Offer("engines", "microwakeword", role="wake"),
    Offer("engines", "lazy", Lazy, role="stt"),
    Offer("skills", "clock"),
)
PLUGINS = (Plugin("silero"), Plugin("whisper", running=False, reason="it needs torch"))

Check = Callable[..., list[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def check(text: str, *, mode: int = 0o600, **environ: str) -> list[str]:
        path = tmp_path / "vonad.toml"
        path.write_text(text)
        path.chmod(mode)
        found = check_components(load(path, environ), OFFERS, PLUGINS)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in found]

    return check


def test_defaults_that_no_plugin_offers_are_nobody_s_mistake(check: Check):
    assert check("") == []


def test_tables_are_held_against_their_plugin_s_model(check: Check):
    assert check(
        """\
[transports.desk]
kind = "strict"
rate = 0
devcie = "hw:0"

[engines.ears]
kind = "lazy"
sizes = [1, "two"]
either = "neither"
inner.sice = 2
colour = "red"
"""
    ) == [
        "vonad.toml:1: [transports.desk] device: is missing, and has no default",
        "vonad.toml:3: [transports.desk] rate: must be at least 1, not 0",
        "vonad.toml:4: [transports.desk] devcie: unknown key; did you mean device?",
        "vonad.toml:8: [engines.ears] sizes[1]: must be a whole number, not 'two'",
        "vonad.toml:9: [engines.ears] either: must be a whole number, not 'neither'",
        "vonad.toml:9: [engines.ears] either: must be true or false, not 'neither'",
        "vonad.toml:10: [engines.ears.inner] sice: unknown key; did you mean size?",
        "vonad.toml:11: [engines.ears] colour: unknown key; known here: either, inner, sizes",
    ]


def test_variables_are_named_when_they_are_at_fault(check: Check):
    assert check("", VONAD_TRANSPORTS__DESK__KIND="strict", VONAD_TRANSPORTS__DESK__RATE="fast") == [
        "environment: VONAD_TRANSPORTS__DESK__RATE: must be a whole number, not 'fast'",
        "environment: [transports.desk] device: is missing, and has no default",
    ]


def test_an_unknown_kind_gets_the_nearest_or_the_reason(check: Check):
    assert check('[transports.desk]\nkind = "local_audoi"\n[engines.whisper]\n[skills.x]\n') == [
        "vonad.toml:2: [transports.desk] kind: no plugin offers a transport 'local_audoi'; did you mean local_audio?",
        "vonad.toml:3: [engines.whisper]: no engine 'whisper': the plugin whisper does not run: it needs torch",
        "vonad.toml:4: [skills.x]: no plugin offers a skill 'x'; known here: clock; these plugins do not run: whisper",
    ]


def test_a_plugin_that_does_not_run_stops_nothing_else(tmp_path: Path):
    path = tmp_path / "vonad.toml"
    path.write_text('[engines.whisper]\n[skills.x]\n[skills.clokc]\n[transports.desk]\nkind = "strict"\n')
    loaded = load(path, {})
    found = {problem.where: problem.fatal for problem in check_components(loaded, OFFERS, PLUGINS)}
    assert found == {
        "[engines.whisper]": False,
        "[skills.x]": False,
        "[skills.clokc]": True,
        "[transports.desk] device": True,
    }
    assert all(problem.fatal for problem in check_components(loaded, OFFERS, PLUGINS[:1]))


def test_a_table_that_is_switched_off_is_not_checked(check: Check):
    assert check('[transports.desk]\nkind = "gone"\nenabled = false\nx = 1\n') == []


def test_names_that_other_tables_mention_must_be_there(check: Check):
    assert check(
        """\
[session]
backends = ["bridge", "brigde"]
vad = "microwakeword"
[wake]
engine = "silero"
[satellites.bath]
backends = ["cloud"]
[backends.cloud]
enabled = false
[engines.ears]
kind = "lazy"
"""
    ) == [
        "vonad.toml:2: [session] backends[1]: there is no [backends.brigde]; did you mean bridge?",
        "vonad.toml:3: [session] vad: 'microwakeword' is an engine of another kind (wake); known here: silero",
        "vonad.toml:5: [wake] engine: 'silero' is an engine of another kind (vad); known here: microwakeword",
        "vonad.toml:7: [satellites.bath] backends[0]: [backends.cloud] is switched off (enabled = false)",
    ]


def test_without_wake_words_no_wake_engine_is_needed(check: Check):
    off = "[engines.microwakeword]\nenabled = false\n"
    assert check(off + "[wake]\nwords = []\n") == []
    assert check(off) == ["vonad.toml: [wake] engine: [engines.microwakeword] is switched off (enabled = false)"]
    assert len(check(off + '[wake]\nwords = []\n[satellites.a]\nwake_words = ["alexa"]\n')) == 1


def test_a_secret_of_a_component_is_kept_and_guarded(check: Check):
    for url in ("bad", "worse", "good"):
        text = f'[backends.cloud]\nkey = "{CANARY}"\nurl = "{url}"\n'
        assert CANARY not in "".join(check(text, mode=0o644))
        assert (
            "vonad.toml:2: [backends.cloud] key: every user of this machine can read it here: chmod 600 vonad.toml"
        ) in check(text, mode=0o644)
    assert check(f'[backends.cloud]\nkey = ["{CANARY}"]\n') == [
        "vonad.toml:2: [backends.cloud] key: must be text, in quotes"
    ]
    assert check(f'[backends.cloud]\nkey = "{CANARY}"\nurl = "bad"\n') == [
        "vonad.toml:1: [backends.cloud]: *** does not fit bad"
    ]
    assert check(f'[backends.cloud]\nkey = "{CANARY}"\nurl = "worse"\n') == [
        "vonad.toml:1: [backends.cloud]: its plugin could not check it (RuntimeError)"
    ]


def test_meerkat_build_options_a_skill_that_a_satellite_names_and_nobody_offers_is_told(tmp_path: Path) -> None:
    path = tmp_path / "vonad.toml"
    path.write_text('[satellites.desk]\nskills = ["clock", "words",\n  "clok"]\n')
    [problem] = check_components(load(path, {}), OFFERS, ())
    told = "vonad.toml:2: [satellites.desk] skills[2]: no plugin offers a skill 'clok'; did you mean clock?"
    assert (problem.fatal, str(problem).endswith(told)) == (False, True)


def test_a_plugin_that_policy_names_and_nobody_brings_is_told_once_with_the_nearest(check: Check) -> None:
    assert check('[policy]\nplugins = ["silreo", "whisper"]\n[engines.whisper]\n') == [
        "vonad.toml:2: [policy] plugins[0]: no plugin 'silreo'; did you mean silero?"
    ]


def test_the_engines_that_a_backend_names_must_be_there(check: Check) -> None:
    assert check('[backends.cascade]\nstt = ["lazyy", "silero"]\ntts = []\n[engines.lazy]\n') == [
        "vonad.toml:2: [backends.cascade] stt[0]: there is no [engines.lazyy]; did you mean lazy?",
        "vonad.toml:2: [backends.cascade] stt[1]: 'silero' is an engine of another kind (vad); known here: lazy",
    ]
    assert check("[backends.cascade]\n") == []
