"""The weather, out of a forecast file that the owner keeps up to date. Nothing is fetched from anywhere."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from vonad import Call, Registrar, Sentence, Skill, hookimpl
from vonad_weather.forecast import Day, ForecastError, read_forecast

VONAD_API = ">=1,<2"


class WeatherSettings(BaseModel):
    """The table [skills.weather]."""

    model_config = ConfigDict(extra="forbid")

    forecast: Path = Field(description="JSON file with the forecast; a relative path begins beside vonad.toml.")
    unit: Literal["celsius", "fahrenheit"] = Field(default="celsius", description="What the file's numbers are.")


class Question(BaseModel):
    """What is asked. Sentences fill it in, or a language model, which reads the descriptions."""

    model_config = ConfigDict(extra="forbid")

    day: Literal["today", "tomorrow"] = Field(default="today", description="which day")
    what: Literal["weather", "rain"] = Field(default="weather", description="the whole weather, or only rain")


class Weather(Skill[WeatherSettings]):
    """Answers from the file, which is read anew for each question."""

    name = "weather"
    description = "Tells the weather forecast for today or tomorrow, or whether it will rain"
    sentences = (
        Sentence("(what's|what is) the weather [like]", day="today", what="weather"),
        Sentence("(what's|what is) the weather [like] {day}", what="weather"),
        Sentence("(will it rain|is it going to rain) {day}", what="rain"),
    )
    lists: ClassVar = {"day": ["today", "tomorrow"]}
    Args = Question

    async def run(self, args: Question, call: Call) -> str:
        """What the file says about the day, or that it says nothing."""
        path = self.host.config_dir / self.settings.forecast
        try:
            days = await asyncio.to_thread(read_forecast, path)
        except ForecastError as error:
            self.host.log.warning("%s", path, exc_info=error)
            return str(error)
        date = self.host.clock.now().astimezone(self.host.timezone).date()
        if args.day == "tomorrow":
            date += timedelta(days=1)
        if (day := days.get(date)) is None:
            return f"I have no forecast for {args.day}."
        return self._rain(day, args.day) if args.what == "rain" else self._weather(day, args.day)

    def _weather(self, day: Day, name: str) -> str:
        if day.low is not None and day.high is not None:
            return f"{name.capitalize()}: {day.summary}, {day.low:.0f} to {day.high:.0f} degrees {self.settings.unit}."
        return f"{name.capitalize()}: {day.summary}."

    def _rain(self, day: Day, name: str) -> str:
        if day.rain_percent is None:
            return f"The forecast for {name} says {day.summary}, and nothing about the chance of rain."
        return f"The chance of rain {name} is {day.rain_percent:.0f} percent."


@hookimpl
def register_skills(registrar: Registrar) -> None:
    """Offer the skill, with the model of its settings."""
    registrar.add(Weather, settings=WeatherSettings)
