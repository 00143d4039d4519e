"""The skill against files as they may be found, with a host that has a clock and a folder."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from vonad_weather import Question, Weather, WeatherSettings

FORECAST = {
    "2026-11-21": {"summary": "cloudy", "low": 3, "high": 8.4, "rain_percent": 20},
    "2026-11-22": {"summary": "light rain"},
}


@pytest.fixture
def host(tmp_path: Path) -> SimpleNamespace:
    """23:30 in Berlin: the day that counts is the house's, not UTC's."""
    clock = SimpleNamespace(now=lambda: datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    return SimpleNamespace(
        clock=clock, timezone=ZoneInfo("Europe/Berlin"), config_dir=tmp_path, log=logging.getLogger("weather")
    )


async def ask(host: SimpleNamespace, **question: str) -> object:
    async with Weather(WeatherSettings(forecast="forecast.json"), host) as skill:
        return await skill.run(Question(**question), None)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({}, "Today: cloudy, 3 to 8 degrees celsius."),
        ({"day": "tomorrow"}, "Tomorrow: light rain."),
        ({"what": "rain"}, "The chance of rain today is 20 percent."),
        (
            {"what": "rain", "day": "tomorrow"},
            "The forecast for tomorrow says light rain, and nothing about the chance of rain.",
        ),
    ],
)
async def test_a_day_in_the_file_is_told(host: SimpleNamespace, question: dict[str, str], answer: str) -> None:
    (host.config_dir / "forecast.json").write_text(json.dumps(FORECAST))
    assert await ask(host, **question) == answer


async def test_a_day_that_is_not_in_the_file_is_not_guessed(host: SimpleNamespace) -> None:
    (host.config_dir / "forecast.json").write_text("{}")
    assert await ask(host) == "I have no forecast for today."


async def test_a_missing_file_is_said(host: SimpleNamespace) -> None:
    assert await ask(host) == "There is no weather forecast: its file cannot be read."


@pytest.mark.parametrize("text", ["", "[]", '{"someday": {}}', '{"2026-11-21": {"summary": ""}}', "\x00"])
async def test_a_file_that_is_no_forecast_is_said(host: SimpleNamespace, text: str) -> None:
    (host.config_dir / "forecast.json").write_text(text)
    assert await ask(host) == "The weather forecast makes no sense: please look at its file."


def test_settings_need_a_file_and_know_their_keys() -> None:
    with pytest.raises(ValidationError):
        WeatherSettings()
    with pytest.raises(ValidationError):
        WeatherSettings(forecast="x", units="celsius")
