"""The table [policy]: limits, and which plugins may run."""

from pydantic import Field

from vonad.settings.tables.table import Table, Text


class Policy(Table):
    """Limits, and which plugins may run."""

    turns_per_minute: int = Field(default=30, ge=0, le=10000, description="Turns each satellite may take; 0: no limit.")
    sessions_per_satellite: int = Field(
        default=2, ge=0, le=1000, description="Sessions open at once on each; 0: no limit."
    )
    plugins: list[Text] | None = Field(
        default=None,
        description="Names of the only plugins that may be loaded; not set: all.",
        examples=[["bridge", "clock"]],
    )
