"""Which parts of the world a test needs: detected, skipped with the reason, or required by VONAD_TEST_REQUIRE."""

import ctypes
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

pytest_plugins = ["tests.parts.mosquitto", "tests.parts.sound", "tests.parts.leftovers"]

AUDIO = Path(__file__).parent / "audio"


@pytest.fixture
def audio() -> Path:
    """The folder of recordings of people."""
    return AUDIO


def _programs(*names: str) -> str:
    # Debian keeps daemons where only root looks.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    return ", ".join(name for name in names if not shutil.which(name, path=path))


def _libraries(*names: str) -> str:
    return ", ".join(name for name in names if not _loads(name))


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _sound() -> str:
    plugin = "libasound_module_pcm_pulse.so"
    bridged = any(Path("/usr").glob(f"lib*/**/alsa-lib/{plugin}"))
    missing = [_programs("pulseaudio", "pacat", "parec", "pactl"), _libraries("libportaudio.so.2")]
    return ", ".join(filter(None, [*missing, "" if bridged else plugin]))


PARTS: Mapping[str, Callable[[], str]] = {
    "mosquitto": lambda: _programs("mosquitto"),
    "audio": _sound,
    "systemd": lambda: _programs("systemd-analyze"),
}
"""Part → what of it this machine lacks; empty: it is there."""

missing = pytest.StashKey[dict[str, str]]()
required = pytest.StashKey[frozenset[str]]()


def pytest_configure(config: pytest.Config) -> None:
    named = frozenset(filter(None, (part.strip() for part in os.environ.get("VONAD_TEST_REQUIRE", "").split(","))))
    if unknown := named - PARTS.keys():
        raise pytest.UsageError(f"VONAD_TEST_REQUIRE: no such part: {', '.join(sorted(unknown))}; there are {_known()}")
    config.stash[required] = named
    config.stash[missing] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("real"):
            if not marker.args or not set(marker.args) <= PARTS.keys():
                raise pytest.UsageError(f"{item.nodeid}: real{marker.args}: there are {_known()}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for part in dict.fromkeys(part for marker in item.iter_markers("real") for part in marker.args):
        found = item.config.stash[missing]
        if part not in found:
            found[part] = PARTS[part]()
        if not found[part]:
            continue
        reason = f"needs {part}, and this machine has no {found[part]}"
        if part in item.config.stash[required]:
            pytest.fail(f"{reason}; VONAD_TEST_REQUIRE asks for it", pytrace=False)
        pytest.skip(f"{reason} (.ci/run installs it)")


def _known() -> str:
    return ", ".join(PARTS)
