"""What can be set, with the values that were calibrated on recordings of people."""

from pydantic import BaseModel, ConfigDict, Field


class PocketSphinxSettings(BaseModel):
    """The table of a pocketsphinx engine."""

    model_config = ConfigDict(extra="forbid")

    threshold: float = Field(
        -0.0008,
        ge=-0.01,
        le=0.01,
        description=(
            "How well speech must fit a sentence, compared with sounds in any order: 0 is strict, "
            "-0.0015 takes nearly everything for a command."
        ),
    )
    other_speech_s: float = Field(
        0.35,
        ge=0,
        le=30,
        description="Seconds of other speech around a sentence that are overheard; with more it is not understood.",
    )
