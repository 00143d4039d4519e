"""Interjections: what people say over somebody who speaks, by language: that they want quiet, or that it may go on."""

from collections.abc import Mapping
from types import MappingProxyType

STOP_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": ("stop", "wait", "cancel", "quiet", "enough", "shut up", "never mind"),
        "de": ("stopp", "stop", "warte", "halt", "abbrechen", "ruhe", "genug", "sei still", "schon gut"),
    }
)
"""Each of these, alone, interrupts at once."""

BACK_CHANNELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": (
            "okay",
            "ok",
            "mhm",
            "mm-hmm",
            "m-hm",
            "mm",
            "uh huh",
            "yeah",
            "yes",
            "right",
            "i see",
            "hm",
            "hmm",
            "aha",
            "sure",
        ),
        "de": ("okay", "ok", "mhm", "hm", "hmm", "aha", "ja", "genau", "stimmt", "verstehe", "ach so", "klar"),
    }
)
"""These only say "go on"."""


def in_language(phrases: Mapping[str, tuple[str, ...]], language: str) -> tuple[str, ...]:
    """Those of a language; the English ones where there are none."""
    return phrases.get(language.partition("-")[0].lower(), phrases["en"])
