"""The tables [satellites.NAME]: what single satellites do differently."""

from pydantic import Field

from vonad.settings.tables.session import FollowUp, Patience
from vonad.settings.tables.table import Language, Name, Table, Text


class SatelliteStyle(Table):
    """How replies sound."""

    pace: float | None = Field(default=None, ge=0, le=1, description="Slow 0 to fast 1.", examples=[0.5])
    warmth: float | None = Field(default=None, ge=0, le=1, description="Cool 0 to warm 1.", examples=[0.5])
    expressiveness: float | None = Field(default=None, ge=0, le=1, description="Even 0 to lively 1.", examples=[0.5])
    formality: float | None = Field(default=None, ge=0, le=1, description="Casual 0 to formal 1.", examples=[0.5])
    voice: Text | None = Field(default=None, description="The engine's name of a voice.", examples=["en-gb"])


class Satellite(Table):
    """What one satellite does differently; what is not set here comes from the tables above."""

    name: Text | None = Field(default=None, description="Its name for people.", examples=["Kitchen"])
    area: Text | None = Field(default=None, description="The room it is in.", examples=["Kitchen"])
    earshot: Text | None = Field(
        default=None,
        description="A name for what lies within hearing: areas with one in common wake once for one wake word.",
        examples=["downstairs"],
    )
    language: Language | None = Field(default=None, description="Instead of [node] language.", examples=["en"])
    backends: list[Name] | None = Field(
        default=None, min_length=1, description="Instead of [session] backends.", examples=[["bridge"]]
    )
    wake_words: list[Text] | None = Field(
        default=None, description="Instead of [wake] words.", examples=[["hey_jarvis"]]
    )
    follow_up: FollowUp | None = Field(default=None, description="Instead of [session] follow_up.", examples=["never"])
    style: SatelliteStyle | None = Field(default=None, description="How replies sound there.")
    endpointing: Patience | None = Field(
        default=None, description="Instead of [session] endpointing and silence_s.", examples=["relaxed"]
    )
    silence_s: float | None = Field(
        default=None, ge=0.1, le=10, description="Instead of [session] silence_s.", examples=[0.8]
    )
    barge_in: bool | None = Field(default=None, description="Instead of [session] barge_in.", examples=[False])
    greeting: str | None = Field(
        default=None, description="Instead of [session] greeting and greeting_prompt; empty: none.", examples=[""]
    )
    turn_tokens: int | None = Field(
        default=None, ge=1, description="Instead of [session] turn_tokens.", examples=[2000]
    )
    turn_s: float | None = Field(default=None, gt=0, description="Instead of [session] turn_s.", examples=[20])
    turn_skill_calls: int | None = Field(
        default=None, ge=0, le=100, description="Instead of [session] turn_skill_calls; 0: none.", examples=[4]
    )
    skills: list[Name] | None = Field(
        default=None, description="The only skills that may run there; not set: all; []: none.", examples=[["clock"]]
    )
