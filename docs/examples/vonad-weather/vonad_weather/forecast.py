"""The forecast file: a JSON object of days, each under its date."""

from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class Day(BaseModel):
    """What is expected of a day, in the file's own unit."""

    model_config = ConfigDict(extra="ignore")

    summary: str = Field(min_length=1)
    low: float | None = None
    high: float | None = None
    rain_percent: float | None = Field(default=None, ge=0, le=100)


class ForecastError(Exception):
    """The file cannot be used: a sentence that can be spoken."""


_DAYS = TypeAdapter(dict[date, Day])


def read_forecast(path: Path) -> dict[date, Day]:
    """Every day in the file. Raises ForecastError."""
    try:
        return _DAYS.validate_json(path.read_bytes())
    except OSError:
        raise ForecastError("There is no weather forecast: its file cannot be read.") from None
    except ValidationError:
        raise ForecastError("The weather forecast makes no sense: please look at its file.") from None
