"""The table [log]: what is logged."""

from typing import Literal

from pydantic import Field, field_validator

from vonad.settings.tables.table import Table


class Log(Table):
    """What is logged."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least important messages that are shown; DEBUG shows what people say."
    )

    @field_validator("level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level
