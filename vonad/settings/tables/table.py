"""What a table is, and the kinds of value that more than one of them has."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from vonad.plan import SATELLITE_ID

Name = Annotated[str, StringConstraints(pattern=f"^{SATELLITE_ID.pattern}$")]
"""What satellites, components and nodes may be called."""

Text = Annotated[str, StringConstraints(min_length=1)]
"""Words, at least one character of them."""

Language = Annotated[str, StringConstraints(pattern="^[a-z]{2,3}(-[A-Za-z]{2,4})?$")]
"""An ISO 639 code, with a region if need be: `en`, `en-GB`."""

Port = Annotated[int, Field(ge=1, le=65535)]
"""Where something listens on the network."""


class Table(BaseModel):
    """A table: nothing unknown in it, nothing converted, never changed, no values in error messages."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True, validate_default=True
    )
