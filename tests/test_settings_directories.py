"""Where things are kept, and who this node is."""

import json
import stat
import threading
from pathlib import Path

import pytest

from vonad.directories import Directories, directories
from vonad.errors import VonadError
from vonad.identity import NodeIdentity, identity
from vonad.settings import Node


@pytest.fixture(autouse=True)
def _no_system_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vonad.directories.SYSTEM_RUNTIME", tmp_path / "run")


def test_systemd_names_the_directories_first():
    environ = {
        "CONFIGURATION_DIRECTORY": "/etc/vonad",
        "STATE_DIRECTORY": "/var/lib/vonad:/var/lib/other",
        "RUNTIME_DIRECTORY": "/run/vonad",
        "CACHE_DIRECTORY": "/var/cache/vonad",
        "XDG_STATE_HOME": "/home/x/state",
        "HOME": "/home/x",
    }
    assert directories(environ, None) == Directories(
        Path("/etc/vonad"), Path("/var/lib/vonad"), Path("/run/vonad"), Path("/var/cache/vonad")
    )


def test_otherwise_the_desktop_does():
    home = Path("/home/x")
    assert directories({"HOME": "/home/x"}, None) == Directories(
        home / ".config/vonad", home / ".local/state/vonad", home / ".local/state/vonad", home / ".cache/vonad"
    )
    xdg = {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r", "XDG_CACHE_HOME": "/k"}
    assert directories(xdg, None) == Directories(Path("/c/vonad"), Path("/s/vonad"), Path("/r/vonad"), Path("/k/vonad"))


def test_relative_directories_are_ignored():
    assert directories({"HOME": "/h", "XDG_STATE_HOME": "s", "XDG_RUNTIME_DIR": ""}, None).runtime == Path(
        "/h/.local/state/vonad"
    )


def test_the_system_s_runtime_directory_is_used_where_it_exists(tmp_path: Path):
    environ = {"HOME": "/h", "XDG_RUNTIME_DIR": "/r"}
    assert directories(environ, None).runtime == Path("/r/vonad")
    (tmp_path / "run").mkdir()
    assert directories(environ, None).runtime == tmp_path / "run"


def test_the_configuration_directory_is_the_folder_of_the_file():
    environ = {"CONFIGURATION_DIRECTORY": "/etc/vonad"}
    assert directories(environ, Path("/srv/house.toml")).config == Path("/srv")
    assert directories(environ, Path("house.toml")).config == Path.cwd()


def test_an_identity_is_made_once_and_survives_a_new_host_name(tmp_path: Path):
    state = tmp_path / "state"
    first = identity(state, Node(), "Kitchen-Pi.local")
    assert (first.id, first.name) == ("kitchen-pi", "Kitchen-Pi")
    assert identity(state, Node(), "renamed") == first
    assert stat.S_IMODE((state / "node.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert [path.name for path in state.iterdir()] == ["node.json"]


def test_the_configuration_names_the_node_but_never_its_uuid(tmp_path: Path):
    first = identity(tmp_path, Node(), "pi")
    named = identity(tmp_path, Node(id="home", name="Home"), "pi")
    assert named == NodeIdentity("home", first.uuid, "Home")
    assert identity(tmp_path, Node(), "pi") == first


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("localhost", "vonad"),
        ("", "vonad"),
        ("Küche 1", "k-che-1"),
        ("a" * 80, "a" * 64),
        ("日本", "vonad"),
        ("A_b", "a_b"),
    ],
)
def test_any_host_name_gives_an_id_that_fits_a_topic(tmp_path: Path, host: str, word: str):
    assert identity(tmp_path, Node(), host).id == word


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"id": "A B", "uuid": "x", "name": 1}', b"[" * 100_000]
)
def test_a_damaged_identity_is_refused_and_never_overwritten(tmp_path: Path, content: bytes):
    path = tmp_path / "node.json"
    path.write_bytes(content)
    with pytest.raises(VonadError, match=r"node\.json is not what vonad wrote: restore it from a backup") as caught:
        identity(tmp_path, Node(), "pi")
    assert caught.value.code == "store_error"
    assert path.read_bytes() == content


def test_a_state_directory_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(VonadError, match="state directory must belong to the user") as caught:
        identity(tmp_path / "file" / "state", Node(), "pi")
    assert caught.value.code == "store_error"


def test_two_that_begin_at_once_are_the_same_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    both = threading.Barrier(2)
    found: list[NodeIdentity] = []
    pids = iter([1, 2])
    monkeypatch.setattr("vonad.identity.os.getpid", lambda: next(pids))

    def begin() -> None:
        both.wait()
        found.append(identity(tmp_path, Node(), "pi"))

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert json.loads((tmp_path / "node.json").read_text())["uuid"] == found[0].uuid
