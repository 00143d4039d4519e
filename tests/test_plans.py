"""Plans: whose setting counts, the wake's, the satellite's or the session's."""

import pytest
from pydantic import ValidationError

from vonad.plans import plan_session
from vonad.settings import Settings


def silence_s(session: dict[str, object], desk: dict[str, object]) -> float:
    settings = Settings.model_validate({"session": session, "satellites": {"desk": desk}})
    return plan_session(settings, "desk", purpose="listen").endpointing.silence_s


def test_a_satellite_s_patience_is_not_overruled_by_a_general_silence() -> None:
    assert silence_s({"silence_s": 0.5}, {"endpointing": "relaxed"}) == 1.0
    assert silence_s({"silence_s": 0.5}, {"endpointing": "relaxed", "silence_s": 0.8}) == 0.8
    assert silence_s({"silence_s": 0.5, "endpointing": "relaxed"}, {}) == 0.5
    assert silence_s({"endpointing": "relaxed"}, {}) == 1.0


def test_stop_words_and_back_channels_are_those_of_the_satellite_s_language_unless_they_are_set() -> None:
    tables: dict[str, object] = {"satellites": {"desk": {"language": "de"}}}
    german = plan_session(Settings.model_validate(tables), "desk", purpose="listen").barge_in
    assert "warte" in german.stop_words
    assert "genau" in german.back_channels
    own = {"session": {"barge_in_stop_words": ["basta"], "barge_in_back_channels": []}}
    chosen = plan_session(Settings.model_validate(tables | own), "desk", purpose="listen").barge_in
    assert (chosen.stop_words, chosen.back_channels) == (("basta",), ())


def test_interjections_are_words_and_no_templates() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"session": {"barge_in_stop_words": ["stop [it]"]}})
