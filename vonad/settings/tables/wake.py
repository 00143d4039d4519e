"""The table [wake]: wake words, and how wakes are judged."""

from pydantic import Field, ValidationInfo, field_validator

from vonad.settings.tables.table import Name, Table, Text


class WakeDefaults(Table):
    """Wake words, and how wakes are judged."""

    engine: Name = Field(default="microwakeword", description="Name of the engine that listens for the wake words.")
    words: list[Text] = Field(
        default=["okay_nabu"], description="The wake words; none: only buttons, MQTT and API wake."
    )
    candidate: float = Field(
        default=0.55,
        ge=0,
        le=1,
        description="How sure a detector must be of a wake word that counts if it comes again within 2 s.",
    )
    accept: float = Field(
        default=0.72,
        ge=0,
        le=1,
        description="How sure it must be of one that counts at once; engines with limits of their own (microwakeword)"
        " go by those.",
    )
    speaker: float = Field(
        default=0.78, ge=0, le=1, description="How sure it must be of who spoke, if it verifies speakers."
    )
    cooldown_s: float = Field(
        default=2, ge=0, le=60, description="Seconds after a turn in which a wake word is not believed."
    )
    max_age_s: float = Field(
        default=10, gt=0, le=3600, description="Seconds after which a wake that says its time is stale."
    )

    @field_validator("accept")
    @classmethod
    def _above_candidate(cls, accept: float, others: ValidationInfo) -> float:
        candidate = others.data.get("candidate", 0.0)
        if candidate > accept:
            raise ValueError(f"must be at least candidate, {candidate:g}: lower that, or raise accept above {accept:g}")
        return accept
