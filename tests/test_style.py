"""A style: half of everything by default, and nothing that an engine could not make sense of."""

from pathlib import Path

import pytest

from vonad import Style, VonadError
from vonad.settings import load
from vonad.settings.problem import ConfigProblems

NUMBERS = ("pace", "warmth", "expressiveness", "formality")


def test_vona_speech_style_profile_has_its_defaults() -> None:
    assert Style() == Style(pace=0.5, warmth=0.5, expressiveness=0.5, formality=None, voice=None)
    assert Style(pace=0, warmth=1, formality=0.25, voice="en-gb").formality == 0.25


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf"), "fast", True])
def test_vona_speech_style_profile_is_validated(name: str, value: object) -> None:
    with pytest.raises(VonadError, match=f"style: {name} must be a number from 0 to 1: got ") as refused:
        Style(**{name: value})  # type: ignore[arg-type]
    assert refused.value.code == "malformed"


def test_vona_speech_style_profile_s_voice_is_a_name_or_left_out() -> None:
    for voice in ("", "  ", 3):
        with pytest.raises(VonadError, match="style: voice must be an engine's name"):
            Style(voice=voice)  # type: ignore[arg-type]
    with pytest.raises(VonadError, match="pace must be a number"):
        Style(pace=None)  # type: ignore[arg-type]


def test_vona_speech_style_profile_of_a_satellite_is_validated_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "vonad.toml"
    path.write_text("[satellites.desk.style]\npace = 1.5\n")
    with pytest.raises(ConfigProblems) as refused:
        load(path, {})
    [problem] = refused.value.problems
    assert "vonad.toml:2" in str(problem)
    assert "pace" in str(problem)
