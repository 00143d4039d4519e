"""config/vonad.toml and docs/configuration.md say what the models say."""

import re
import tomllib
from pathlib import Path

import pytest

from tools.settings_reference import CONFIG, PAGE, Section, config_file, page, reference
from vonad.plugins import Plugins
from vonad.settings import DEFAULTS, Settings, load
from vonad.settings.component_check import check_components

REMEDY = "run: python -m tools.settings_reference"


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    plugins = Plugins(drop_ins=None)
    plugins.load()
    return plugins


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return reference()


def test_every_bundled_plugin_runs(plugins: Plugins):
    assert [status for status in plugins.statuses if status.origin == "bundled" and not status.running] == []


def test_every_default_component_is_offered(plugins: Plugins):
    defaults = tomllib.loads(DEFAULTS.read_text())
    assert {group for group, tables in defaults.items() for _ in tables} <= set(Settings.model_fields)
    for group, tables in defaults.items():
        for name, table in tables.items():
            assert (group, table.get("kind", name)) in plugins.offers


def test_both_files_are_as_generated(sections: list[Section]):
    assert CONFIG.read_text() == config_file(sections), REMEDY
    assert PAGE.read_text() == page(sections, PAGE.read_text()), REMEDY


def test_every_setting_is_there_with_a_sentence(sections: list[Section]):
    for section in sections:
        assert section.says.endswith("."), section
        for setting in section.settings:
            assert setting.says.endswith("."), (section.place, setting)
            assert "\n" not in setting.says, (section.place, setting)


def test_the_file_as_it_is_changes_nothing():
    assert load(CONFIG, {}).settings == load(None, {"HOME": "/nonexistent"}).settings


def test_the_file_with_every_line_uncommented_is_valid(tmp_path: Path, plugins: Plugins):
    path = tmp_path / "vonad.toml"
    path.touch(0o600)
    path.write_text(re.sub(r"^#(?=[\w\[])", "", CONFIG.read_text(), flags=re.MULTILINE))
    (tmp_path / "ca.pem").touch()
    (tmp_path / "mqtt_password").touch(0o600)
    (tmp_path / "mqtt_password").write_text("secret\n")
    loaded = load(path, {})
    assert check_components(loaded, plugins.offers.values(), plugins.statuses) == []
    assert set(loaded.settings.satellites) == {"kitchen"}
    written = tomllib.loads(path.read_text())
    for table, field in Settings.model_fields.items():
        if not field.description:
            assert set(written[table]) == set(field.annotation.model_fields)  # type: ignore[union-attr]
