"""The table [node]: this installation."""

from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from vonad.settings.tables.table import Language, Name, Table, Text


class Node(Table):
    """This installation."""

    id: Name | None = Field(
        default=None, description="Its name in topics; by default made once from the host name.", examples=["home"]
    )
    name: Text | None = Field(
        default=None, description="Its name for people; by default the host name.", examples=["Home"]
    )
    language: Language = Field(default="en", description="The language that is spoken, as an ISO 639 code.")
    timezone: str | None = Field(
        default=None, description="Time zone of what skills say; by default the system's.", examples=["Europe/Berlin"]
    )

    @field_validator("timezone")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ValueError, OSError, LookupError):
                raise ValueError(f"no such time zone: {name!r}; write it like Europe/Berlin") from None
        return name
