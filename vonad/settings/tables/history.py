"""The table [history]: what is remembered, and for how long."""

from pydantic import Field

from vonad.settings.tables.table import Table


class History(Table):
    """What is remembered of conversations."""

    enabled: bool = Field(default=True, description="Whether anything is kept.")
    retention_days: int = Field(
        default=30, ge=0, le=36500, description="Days after which conversations are deleted; 0 keeps them for ever."
    )
