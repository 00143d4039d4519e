"""The skill against files as they may be found, alone and in a house; the fixtures are vonad's own."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from vonad_weather import Question, Weather, WeatherSettings

from vonad.testing import Assistant, CalendarClock, ScriptedHost, check_component, check_skill

FORECAST = {
    "2026-11-21": {"summary": "cloudy", "low": 3, "high": 8.4, "rain_percent": 20},
    "2026-11-22": {"summary": "light rain"},
}
LATE = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
"""Half past midnight in Berlin: the day that counts is the house's, not UTC's."""


@pytest.fixture
def host(tmp_path: Path) -> ScriptedHost:
    clock = CalendarClock()
    clock.set_now(LATE)
    house = ScriptedHost(tmp_path, timezone="Europe/Berlin", clock=clock)
    house.config_dir.mkdir()
    return house


def weather(host: ScriptedHost) -> Weather:
    return Weather(WeatherSettings(forecast=Path("forecast.json")), host)


async def ask(host: ScriptedHost, **question: str) -> object:
    async with weather(host) as skill:
        return await skill.run(Question(**question), host.call())


# The skill alone


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
async def test_a_day_in_the_file_is_told(host: ScriptedHost, question: dict[str, str], answer: str) -> None:
    (host.config_dir / "forecast.json").write_text(json.dumps(FORECAST))
    assert await ask(host, **question) == answer


async def test_a_day_that_is_not_in_the_file_is_not_guessed(host: ScriptedHost) -> None:
    (host.config_dir / "forecast.json").write_text("{}")
    assert await ask(host) == "I have no forecast for today."


async def test_a_missing_file_is_said(host: ScriptedHost) -> None:
    assert await ask(host) == "There is no weather forecast: its file cannot be read."


@pytest.mark.parametrize("text", ["", "[]", '{"someday": {}}', '{"2026-11-21": {"summary": ""}}', "\x00"])
async def test_a_file_that_is_no_forecast_is_said(host: ScriptedHost, text: str) -> None:
    (host.config_dir / "forecast.json").write_text(text)
    assert await ask(host) == "The weather forecast makes no sense: please look at its file."


def test_settings_need_a_file_and_know_their_keys() -> None:
    with pytest.raises(ValidationError):
        WeatherSettings()
    with pytest.raises(ValidationError):
        WeatherSettings(forecast="x", units="celsius")


async def test_it_keeps_every_promise_of_a_skill(host: ScriptedHost) -> None:
    (host.config_dir / "forecast.json").write_text(json.dumps(FORECAST))
    await check_component(lambda: weather(host))
    async with weather(host) as skill:
        await check_skill(skill, also=[{}])


# In a house: the installed plugin, its sentences and its settings


@pytest.fixture
def assistant_config(tmp_path: Path) -> str:
    (tmp_path / "forecast.json").write_text(json.dumps(FORECAST))
    return f'[node]\ntimezone = "Europe/Berlin"\n\n[skills.weather]\nforecast = "{tmp_path}/forecast.json"\n'


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("What's the weather like?", "Today: cloudy, 3 to 8 degrees celsius."),
        ("what is the weather tomorrow", "Tomorrow: light rain."),
        ("will it rain today", "The chance of rain today is 20 percent."),
    ],
)
async def test_it_is_asked_in_these_words(assistant: Assistant, said: str, answer: str) -> None:
    assistant.clock.set_now(LATE)
    reply = await assistant.say(said)
    assert (reply.text, reply.outcome, reply.skills) == (answer, "completed", ("weather",))
