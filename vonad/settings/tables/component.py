"""The tables of components, [engines.NAME] and its like: keys of vonad's, the rest their plugins'."""

from pydantic import BaseModel, ConfigDict, Field

from vonad.settings.tables.table import Text


class ComponentTable(BaseModel):
    """A component: what it is, whether it runs, and its own settings, which its plugin checks."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, hide_input_in_errors=True)

    kind: Text | None = Field(default=None, description="What it is, as its plugin calls it; the table's name.")
    enabled: bool = Field(default=True, description="Whether it runs.")

    @property
    def given(self) -> dict[str, object]:
        """Its own settings, as they were given."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        # Nobody knows yet which of its settings are secret.
        return [("kind", self.kind), ("enabled", self.enabled), ("given", sorted(self.given))]
