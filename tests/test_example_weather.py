"""The example distribution: built, installed in a fresh environment beside vonad, and asked."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon_process import daemon_process

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "vonad-weather"

ASK = """
import asyncio, json, sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from vonad.settings.component_check import check_components
from vonad.plugins import Plugins
from vonad.settings import load

async def main(config):
    plugins = Plugins(drop_ins=None, allowed=["weather"])
    plugins.load()
    loaded = load(config, {})
    problems = [str(problem) for problem in check_components(loaded, plugins.offers.values(), plugins.statuses)]
    (status,) = [status for status in plugins.statuses if status.name == "weather"]
    offer = plugins.offer("skills", "weather")
    settings = offer.settings.model_validate(loaded.settings.skills["weather"].given)
    clock = SimpleNamespace(now=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))
    host = SimpleNamespace(clock=clock, timezone=ZoneInfo("UTC"), config_dir=config.parent)
    async with offer.factory(settings, host) as skill:
        said = await skill.run(skill.Args(day="tomorrow"), None)
    print(json.dumps({
        "said": said, "problems": problems, "origin": status.origin, "version": status.version,
        "offers": status.offers, "location": status.location,
    }))

asyncio.run(main(Path(sys.argv[1])))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From the source distribution, as a package index would get it."""
    source, dist = tmp_path_factory.mktemp("source") / "vonad-weather", tmp_path_factory.mktemp("dist")
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, source, cwd=dist)
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment: the example is installed in it, vonad is seen through it."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    # addsitedir, so that the .pth file of the editable vonad counts as well
    (site / "beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=place)
    return python


def test_the_installed_plugin_is_loaded_configured_and_answers(python: Path, tmp_path: Path):
    (tmp_path / "forecast.json").write_text('{"2026-11-22": {"summary": "sunny", "low": 3, "high": 9}}')
    (tmp_path / "vonad.toml").write_text('[skills.weather]\nforecast = "forecast.json"\n')
    answer = json.loads(run(python, "-c", ASK, tmp_path / "vonad.toml", cwd=tmp_path))
    assert answer["said"] == "Tomorrow: sunny, 3 to 9 degrees celsius."
    assert answer["problems"] == []
    assert (answer["origin"], answer["version"], answer["offers"]) == ("installed", "0.1.0", ["skill:weather"])
    assert Path(answer["location"]).is_relative_to(python.parent.parent)


async def test_a_daemon_beside_which_it_is_installed_talks_about_the_weather(python: Path, tmp_path: Path):
    day = datetime.now(UTC).date()
    forecast = {str(day + timedelta(days=n)): {"summary": "sunny", "low": 3, "high": 9} for n in range(-1, 3)}
    (tmp_path / "forecast.json").write_text(json.dumps(forecast))
    config = '[skills.weather]\nforecast = "forecast.json"\n'
    async with daemon_process(tmp_path, config, python=python) as daemon:
        await daemon.until_told("READY=1")
        asked = await daemon.cli("ask", "what's the weather like tomorrow")
        assert asked == (0, "Tomorrow: sunny, 3 to 9 degrees celsius.\n")
        _, plugins = await daemon.cli("plugins", "--json")
    [weather] = [plugin for plugin in json.loads(plugins) if plugin["name"] == "weather"]
    assert (weather["origin"], weather["running"]) == ("installed", True)


def test_its_settings_are_checked_like_the_core_s(python: Path, tmp_path: Path):
    (tmp_path / "vonad.toml").write_text('[skills.weather]\nforecast = "f.json"\nunits = "celsius"\n')
    ask = ASK.replace("    settings = offer", "    print(json.dumps(problems)); return\n    settings = offer")
    problems = json.loads(run(python, "-c", ask, tmp_path / "vonad.toml", cwd=tmp_path))
    assert problems == [f"{tmp_path}/vonad.toml:3: [skills.weather] units: unknown key; did you mean unit?"]


def test_its_own_tests_pass_against_the_installed_one(python: Path, tmp_path: Path):
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    shutil.copy(EXAMPLE / "pyproject.toml", tmp_path)
    assert " passed" in run(python, "-m", "pytest", "-q", "-W", "error", cwd=tmp_path)


def test_it_is_a_complete_distribution(wheel: Path):
    names = set(run(sys.executable, "-m", "zipfile", "--list", wheel, cwd=wheel.parent).split())
    assert {"vonad_weather/__init__.py", "vonad_weather/forecast.py", "vonad_weather/py.typed"} <= names
    assert "vonad_weather-0.1.0.dist-info/licenses/LICENSE" in names
    assert list(wheel.parent.glob("*.tar.gz"))
    assert (EXAMPLE / "README.md").is_file()
