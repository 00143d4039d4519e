"""Settings: defaults, the owner's file and the environment, merged; every problem at once, with its line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from vonad.settings import COMPONENTS, ConfigProblems, Loaded, Settings, load

Write = Callable[..., Path]
NAME = "a name here is made of a-z, 0-9, _ and -, at most 64 of them"
TABLES = (
    "known here: backends, engines, frontends, history, log, mqtt, node, policy, satellites, session, skills, "
    "sounds, transports, wake, web"
)
CANARY = "canary-7f3a"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, *, mode: int = 0o600, name: str = "vonad.toml") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    return write


def problems(path: Path | None, **environ: str) -> list[str]:
    """What is wrong, with only the file's name in front."""
    with pytest.raises(ConfigProblems) as caught:
        load(path, environ)
    folder = f"{path.parent}/" if path else ""
    return [str(problem).replace(folder, "") for problem in caught.value.problems]


def ok(path: Path | None, **environ: str) -> Settings:
    return load(path, environ).settings


def test_without_a_file_the_defaults_are_a_whole_configuration():
    settings = ok(None, HOME="/nonexistent")
    assert settings.transports["local"].kind == "local_audio"
    assert set(settings.engines) == {"silero", "microwakeword", "pocketsphinx", "sentences", "sentences_turn", "espeak"}
    assert set(settings.skills) == {"clock", "words"}
    assert settings.session.backends == ["bridge"]
    assert (settings.mqtt.port, settings.web.port, settings.history.retention_days) == (1883, 8470, 30)


def test_a_file_with_one_transport_keeps_everything_else(write: Write):
    settings = ok(write('[transports.desk]\nkind = "wav"\nspeaker = "out.wav"\n'))
    assert set(settings.transports) == {"local", "desk"}
    assert settings.transports["desk"].given == {"speaker": "out.wav"}
    assert "bridge" in settings.backends
    assert settings.mqtt.enabled


def test_a_default_component_is_off_only_when_it_says_so(write: Write):
    settings = ok(write("[engines.espeak]\nenabled = false\n[engines.silero]\n"))
    assert not settings.engines["espeak"].enabled
    assert settings.engines["silero"].enabled


def test_tables_are_merged_key_by_key(write: Write):
    settings = ok(write('[transports.local]\nmicrophone = "USB"\n[mqtt]\nhost = "broker"\n'), VONAD_MQTT__PORT="1884")
    assert settings.transports["local"].kind == "local_audio"
    assert settings.transports["local"].given == {"microphone": "USB"}
    assert (settings.mqtt.host, settings.mqtt.port) == ("broker", 1884)


def test_every_problem_is_reported_at_once_with_its_line_and_the_nearest_name(write: Write):
    path = write(
        """\
[mqtt]
prot = 1883
port = 70000
host = true
tls = "yes"

[node]
timezone = "Mars/Olympus"
language = "english"
id = "My House"

[session]
backends = "bridge"
silence_s = nan
follow_up = "sometimes"

[satelites.hall]

[satellites.Kitchen]
name = 5

[satellites.bath]
nmae = 3
style = { pace = 2, warmht = 1 }

[transports.desk]
kind = 5

[history]
retention_days = 1.5

[policy]
plugins = ["a", 5]
"""
    )
    assert problems(path) == [
        "vonad.toml:2: [mqtt] prot: unknown key; did you mean port?",
        "vonad.toml:3: [mqtt] port: must be at most 65535, not 70000",
        "vonad.toml:4: [mqtt] host: must be text, in quotes, not true",
        "vonad.toml:5: [mqtt] tls: must be true or false, not 'yes'",
        "vonad.toml:8: [node] timezone: no such time zone: 'Mars/Olympus'; write it like Europe/Berlin",
        "vonad.toml:9: [node] language: must be an ISO 639 code such as en or pt-BR, not 'english'",
        "vonad.toml:10: [node] id: must be made of a-z, 0-9, _ and -, at most 64 of them, not 'My House'",
        "vonad.toml:13: [session] backends: must be a list, in brackets, not 'bridge'",
        "vonad.toml:14: [session] silence_s: must be a finite number, not nan",
        "vonad.toml:15: [session] follow_up: must be 'auto', 'always' or 'never', not 'sometimes'",
        "vonad.toml:17: [satelites]: unknown table; did you mean satellites?",
        f"vonad.toml:19: [satellites.Kitchen]: {NAME}, not 'Kitchen'",
        "vonad.toml:20: [satellites.Kitchen] name: must be text, in quotes, not 5",
        "vonad.toml:23: [satellites.bath] nmae: unknown key; did you mean name?",
        "vonad.toml:24: [satellites.bath.style] pace: must be at most 1, not 2",
        "vonad.toml:24: [satellites.bath.style] warmht: unknown key; did you mean warmth?",
        "vonad.toml:27: [transports.desk] kind: must be text, in quotes, not 5",
        "vonad.toml:30: [history] retention_days: must be a whole number, not 1.5",
        "vonad.toml:33: [policy] plugins[1]: must be text, in quotes, not 5",
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("accept = 0.5", "vonad.toml:2: [wake] accept: must be at least candidate, 0.55: lower that, or raise accept"),
        ("candidate = 0.8", "[wake] accept: must be at least candidate, 0.8: lower that, or raise accept above 0.72"),
        ("speaker = 1.1", "vonad.toml:2: [wake] speaker: must be at most 1, not 1.1"),
        ("candidate = -0.1", "vonad.toml:2: [wake] candidate: must be at least 0, not -0.1"),
    ],
)
def test_vona_wake_gate_thresholds_are_checked(write: Write, table: str, message: str):
    [problem] = problems(write(f"[wake]\n{table}\n"))
    assert message in problem


@pytest.mark.parametrize("port", [0, 70000, -1])
@pytest.mark.parametrize("table", ["mqtt", "web"])
def test_a_port_that_is_none_is_refused(write: Write, table: str, port: int):
    (problem,) = problems(write(f"[{table}]\nport = {port}\n"))
    assert problem.startswith(f"vonad.toml:2: [{table}] port: must be at ")
    assert problem.endswith(f"not {port}")


@pytest.mark.parametrize("group", [*COMPONENTS, "satellites"])
@pytest.mark.parametrize("name", ["Kitchen", "küche", "a b", "a.b", "", "x" * 65, "a/b", "a+b", "a#b", "a\\u0000b"])
def test_a_bad_satellite_or_component_name_is_refused(write: Write, group: str, name: str):
    (problem,) = problems(write(f'[{group}."{name}"]\n'))
    assert problem.startswith(f"vonad.toml:1: [{group}.")
    assert "a name here is made of a-z, 0-9, _ and -" in problem


@pytest.mark.parametrize("prefix", ["", "a/", "/a", "a+", "#", "$SYS", "a//b", "a\\u0000"])
def test_a_prefix_that_is_no_topic_is_refused(write: Write, prefix: str):
    (problem,) = problems(write(f'[mqtt]\nprefix = "{prefix}"\n'))
    assert "vonad.toml:2: [mqtt] prefix: must be a topic" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[mqtt]\nhost = broker\n", "vonad.toml:2: host: not a TOML value; text needs quotes"),
        ("[mqtt]\nport = 1\nport = 2\n", "vonad.toml:3: port is there twice; keep one of them"),
        ("[mqtt]\n[node]\n[mqtt]\n", "vonad.toml:3: mqtt is there twice; keep one of them"),
        ('[mqtt]\nhost = "a\n', "vonad.toml:2: not TOML: Illegal character '\\n'"),
        ("[mqtt\n", "vonad.toml:1: not TOML: Expected ']' at the end of a table declaration"),
        ("a = [", "vonad.toml:1: a: not a TOML value; text needs quotes"),
        ("x = " + "9" * 5000, "vonad.toml:1: not TOML: a number too long to be one"),
        ("x = " + "[" * 100_000, "vonad.toml: its lists or tables are nested too deeply"),
        ("a = 1\nb = \x00\n", "vonad.toml:2: b: not a TOML value; text needs quotes"),
    ],
)
def test_a_syntax_error_stands_alone(write: Write, text: str, problem: str):
    assert problems(write(text), VONAD_FOO="1") == [problem]


def test_a_syntax_error_shows_nothing_of_the_line_but_its_key(write: Write):
    for line in (f'password = "{CANARY}', f"password = {CANARY}", f"password = '{CANARY}\n'", f'password "{CANARY}"'):
        assert CANARY not in "".join(problems(write(f"[mqtt]\n{line}\n")))


def test_a_byte_order_mark_and_latin_1_are_reported_with_everything_else(write: Write):
    content = b'\xef\xbb\xbf[node]\nname = "K\xfcche"\n[mqtt]\nprot = 1\n'
    assert problems(write(content)) == [
        "vonad.toml:1: begins with a byte order mark (BOM); save it as UTF-8 without one",
        "vonad.toml:2: is not UTF-8 (byte 0xfc); save it as UTF-8",
        "vonad.toml:4: [mqtt] prot: unknown key; did you mean port?",
    ]


def test_utf_16_is_named(write: Write):
    assert problems(write("[mqtt]\n".encode("utf-16"))) == ["vonad.toml:1: is UTF-16; save it as UTF-8"]


def test_a_file_that_is_not_there_or_no_file_is_said(tmp_path: Path, write: Write):
    assert problems(tmp_path / "vonad.toml") == ["vonad.toml: no such file"]
    (tmp_path / "folder").mkdir()
    assert problems(tmp_path / "folder") == ["folder: is a directory; the file in it would be folder/vonad.toml"]
    assert problems(Path("/dev/zero")) == ["zero: is larger than 1024 KiB, so it is no configuration"]


def test_the_variables_are_settings_and_unknown_ones_are_problems():
    assert problems(
        None,
        HOME="/nonexistent",
        VONAD_MQTT__HOTS="x",
        VONAD_MQT__HOST="x",
        VONAD_FOO="1",
        VONAD_MQTT="broker",
        VONAD_WEB__PORT="0",
        VONAD_WEB__ENABLED="perhaps",
        VONAD_SESSION__BACKENDS="bridge",
        VONAD_SATELLITES__ATTIC__SILENCE_S="long",
        VONAD_SATELLITES__ATTIC__STYLE__PAC="1",
        VONAD_CONFIGURATION="",
    ) == [
        f"environment: VONAD_CONFIGURATION: unknown setting: no table 'configuration'; {TABLES}",
        f"environment: VONAD_FOO: unknown setting: no table 'foo'; {TABLES}",
        "environment: VONAD_MQTT: must be a table, written as JSON; or set its keys one by one: VONAD_MQTT__KEY",
        "environment: VONAD_MQTT__HOTS: unknown key; did you mean VONAD_MQTT__HOST?",
        "environment: VONAD_MQT__HOST: unknown setting: no table 'mqt'; did you mean mqtt?",
        "environment: VONAD_SATELLITES__ATTIC__SILENCE_S: must be a number, not 'long'",
        "environment: VONAD_SATELLITES__ATTIC__STYLE__PAC: unknown key; did you mean pace?",
        'environment: VONAD_SESSION__BACKENDS: must be a list or table, written as JSON, such as ["first", "second"]',
        "environment: VONAD_WEB__ENABLED: must be true or false, not 'perhaps'",
        "environment: VONAD_WEB__PORT: must be at least 1, not 0",
    ]


def test_variables_win_and_have_the_types_of_their_settings(write: Write):
    settings = ok(
        write('[mqtt]\nport = 1\nhost = "file"\n[session]\nbackends = ["a"]\n'),
        VONAD_MQTT__HOST="1234",
        VONAD_MQTT__TLS="true",
        VONAD_SESSION__BACKENDS='["b", "c"]',
        VONAD_SESSION__SILENCE_S="1",
        VONAD_SATELLITES__ATTIC__STYLE__PACE="0.25",
        VONAD_TRANSPORTS__DESK__KIND="wav",
        VONAD_TRANSPORTS__DESK__PIN="0123",
        VONAD_TRANSPORTS__DESK__MICROPHONE='["a.wav"]',
        VONAD_TRANSPORTS__LOCAL__ENABLED="false",
        VONAD_LOG__LEVEL="debug",
        VONAD_NODE__NAME="",
        VONAD_CONFIG="/nonexistent/never/read.toml",
        VONAD_TEST_REQUIRE="mosquitto",
    )
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.tls) == ("1234", 1, True)
    assert (settings.session.backends, settings.session.silence_s) == (["b", "c"], 1.0)
    assert settings.satellites["attic"].style is not None
    assert settings.satellites["attic"].style.pace == 0.25
    assert settings.transports["desk"].kind == "wav"
    assert settings.transports["desk"].given == {"pin": "0123", "microphone": ["a.wav"]}
    assert not settings.transports["local"].enabled
    assert (settings.log.level, settings.node.name) == ("DEBUG", None)


def test_the_environment_of_the_process_is_not_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VONAD_MQTT__HOST", "elsewhere")
    monkeypatch.setenv("VONAD_FOO", "1")
    assert ok(None, HOME="/nonexistent").mqtt.host is None
    assert Settings().mqtt.host is None


def test_the_file_is_the_first_of_four_places(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "xdg" / "vonad").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr("vonad.directories.SYSTEM_CONFIG", tmp_path / "etc")
    named, configured = write("", name="named.toml"), write("", name="configured.toml")
    xdg, system = tmp_path / "xdg/vonad/vonad.toml", tmp_path / "etc/vonad.toml"
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "VONAD_CONFIG": str(configured)}
    xdg.touch()
    system.touch()
    assert load(named, environ).path == named
    assert load(None, environ).path == configured
    del environ["VONAD_CONFIG"]
    assert load(None, environ).path == xdg
    xdg.unlink()
    assert load(None, environ).path == system
    system.unlink()
    assert load(None, environ).path is None


def test_a_configured_file_that_is_missing_is_not_passed_over(tmp_path: Path):
    assert problems(None, VONAD_CONFIG=str(tmp_path / "gone.toml")) == [f"{tmp_path}/gone.toml: no such file"]


def test_a_password_in_a_file_that_everybody_can_read_is_refused(write: Write):
    path = write(f'[mqtt]\npassword = "{CANARY}"\n', mode=0o644)
    assert problems(path) == [
        f"vonad.toml:2: [mqtt] password: every user of this machine can read it here: chmod 600 {path}".replace(
            f"{path.parent}/", ""
        )
    ]
    path.chmod(0o640)
    assert ok(path).mqtt.password is not None


def test_the_password_comes_from_the_first_place_that_has_one(write: Write, tmp_path: Path):
    write("from the file\n", name="secret")
    write("from the environment's file", name="other")
    (tmp_path / "credentials").mkdir()
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}

    def password(path: Path, **environ: str) -> str:
        found = ok(path, **environ).mqtt.password
        assert found is not None
        return found.get_secret_value()

    plain = write('[mqtt]\npassword = "from the table"\n', name="plain.toml")
    both = write('[mqtt]\npassword = "from the table"\npassword_file = "secret"\n')
    assert password(plain, **credentials) == "from the table"
    assert password(both, **credentials) == "from the file"
    (tmp_path / "credentials" / "mqtt_password").write_text("from systemd\n")
    assert password(both, **credentials) == "from systemd"
    assert password(both, **credentials, VONAD_MQTT__PASSWORD_FILE=str(tmp_path / "other")) == (
        "from the environment's file"
    )
    assert password(both, **credentials, VONAD_MQTT__PASSWORD="from the environment") == "from the environment"


def test_files_of_the_table_stand_beside_the_configuration_or_at_home(write: Write, tmp_path: Path):
    write("pem", name="ca.pem")
    write("word", name="word")
    settings = ok(write('[mqtt]\nca_file = "ca.pem"\npassword_file = "~/word"\n'), HOME=str(tmp_path))
    assert settings.mqtt.ca_file == tmp_path / "ca.pem"
    assert settings.mqtt.password_file == tmp_path / "word"


def test_files_that_cannot_be_used_are_problems(write: Write, tmp_path: Path):
    path = write('[mqtt]\npassword_file = "secret"\nca_file = "ca.pem"\n')
    assert problems(path) == [
        "vonad.toml:2: [mqtt] password_file: secret does not exist; make it, with mode 600",
        "vonad.toml:3: [mqtt] ca_file: no such file: ca.pem",
    ]
    write("", name="ca.pem")
    write(CANARY, name="secret", mode=0o604)
    assert problems(path) == [
        "vonad.toml:2: [mqtt] password_file: every user can read secret (mode 0604): chmod 600 secret"
    ]
    for content in ("", "\n", f"{CANARY}\nsecond line", b"\xff" + CANARY.encode(), CANARY * 10_000):
        write(content, name="secret")
        assert problems(path) == ["vonad.toml:2: [mqtt] password_file: secret must hold one line of text, the secret"]


@pytest.mark.parametrize(
    "text",
    [
        f'[mqtt]\npassword = "{CANARY}"\nport = 0\n',
        f'[mqtt]\npassword = ["{CANARY}"]\n',
        f'[mqtt]\npassword = {{ value = "{CANARY}" }}\n',
        f'[mqtt]\npasword = "{CANARY}"\n',
        f'[mqqt]\npassword = "{CANARY}"\n',
        f'password = "{CANARY}"\n',
        f'[backends.cloud]\napi_key = "{CANARY}"\nenabled = "maybe"\n',
    ],
)
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_no_message_shows_a_secret(write: Write, text: str, mode: int):
    path = write(text, mode=mode)
    with pytest.raises(ConfigProblems) as caught:
        load(path, {"VONAD_MQTT__PASSWORD__X": CANARY, "VONAD_PASSWORD": CANARY})
    assert CANARY not in f"{caught.value} {caught.value!r} {caught.value.problems} {caught.value.details}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_no_repr_shows_a_secret(write: Write):
    loaded = load(
        write(f'[mqtt]\npassword = "{CANARY}"\n[backends.cloud]\napi_key = "{CANARY}"\n'),
        {"VONAD_ENGINES__REMOTE__TOKEN": CANARY},
    )
    assert CANARY not in f"{loaded} {loaded!r} {loaded.settings} {loaded.lines!r}"
    assert loaded.settings.backends["cloud"].given["api_key"] == CANARY


def test_loaded_knows_where_each_value_stands(write: Write):
    path = write("[satellites.bath]\nstyle.pace = 0.5\n[mqtt]\nport = 1\n")
    loaded = load(path, {"VONAD_MQTT__HOST": "x"})
    assert isinstance(loaded, Loaded)
    assert str(loaded.lines.problem(("satellites", "bath", "style", "pace"), "!")) == (
        f"{path}:2: [satellites.bath.style] pace: !"
    )
    assert str(loaded.lines.problem(("mqtt", "host"), "!")) == "environment: VONAD_MQTT__HOST: !"
    assert str(loaded.lines.problem(("mqtt", "tls"), "!")) == f"{path}:3: [mqtt] tls: !"
    assert loaded.lines.given(("mqtt", "port"))
    assert not loaded.lines.given(("mqtt", "tls"))


def test_every_setting_has_a_sentence():
    def models(model: type[BaseModel]) -> list[type[BaseModel]]:
        inner = [found for field in model.model_fields.values() for found in _tables(field.annotation)]
        return [model, *(found for table in inner for found in models(table))]

    for model in models(Settings):
        assert model.__doc__
        for name, field in model.model_fields.items():
            if not _tables(field.annotation):
                assert field.description, (model, name)
                assert field.description.endswith("."), (model, name)


def _tables(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _tables(part)]


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().mqtt.port = 1  # type: ignore[misc]


def test_a_file_that_vonad_may_not_read_is_said(write: Write, monkeypatch: pytest.MonkeyPatch):
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    path = write("")
    monkeypatch.setattr(Path, "open", refuse)
    assert problems(path) == ["vonad.toml: vonad may not read it; it must belong to the user or group vonad runs as"]
