"""A drop-in plugin: one file in the folder plugins/ beside vonad.toml, owned and writable by you or root alone.

Say "flip a coin", or "toss two coins". `vonad plugins` shows whether it runs, and if not, why.
"""

import random

from pydantic import BaseModel, ConfigDict, Field

from vonad import Call, Registrar, hookimpl, skill

VONAD_API = ">=1,<2"


class Coins(BaseModel):
    """What the sentences fill in."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(default=1, ge=1, le=10, description="how many coins")


@skill(
    "(flip|toss) a coin",
    "(flip|toss) {count} coins",
    "heads or tails",
    name="coin_flip",
    lists={"count": range(2, 11)},
    args=Coins,
)
async def coin_flip(coins: Coins, call: Call) -> str:
    """Flip one or several coins."""
    faces = [random.choice(["heads", "tails"]) for _ in range(coins.count)]  # noqa: S311  (nothing depends on it)
    if len(faces) == 1:
        return f"It is {faces[0]}."
    return f"{faces.count('heads')} heads and {faces.count('tails')} tails."


@hookimpl
def register_skills(registrar: Registrar) -> None:
    """Offer the skill; it runs as soon as this file is here."""
    registrar.add(coin_flip)
