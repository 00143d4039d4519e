"""Plans: whose setting counts, the wake's, the satellite's or the session's."""

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
