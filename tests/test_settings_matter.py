"""Every setting of a session matters: changed, something of a session is another."""

import pytest

from vonad.equipment import limits_of
from vonad.plans import plan_session
from vonad.settings import SessionDefaults, Settings

OTHER: dict[str, object] = {
    "backends": ["other"],
    "follow_up": "never",
    "endpointing": "relaxed",
    "silence_s": 0.9,
    "no_speech_s": 4.0,
    "maximum_s": 12.0,
    "processing_s": 12.0,
    "preemptive": "off",
    "barge_in": False,
    "barge_in_words": 5,
    "barge_in_speech_s": 0.9,
    "barge_in_need": "any",
    "barge_in_stop_words": ["halt"],
    "barge_in_back_channels": ["go on"],
    "barge_in_resume_s": 1.0,
    "barge_in_margin_db": 12.0,
    "filler": "static_clip",
    "filler_s": 3.0,
    "greeting": "Hello.",
    "greeting_prompt": "Greet the user.",
    "turn_tokens": 100,
    "turn_s": 10.0,
    "turn_skill_calls": 2,
    "compaction_tokens": 100,
    "cool_off_s": 5.0,
    "keep_alive_s": 6.0,
    "away_s": 7.0,
    "idle_timeout_s": 8.0,
    "max_duration_s": 9.0,
}

ELSEWHERE = {"maximum": "seats", "vad": "equipment", "turn": "equipment", "pre_roll_s": "lines"}
"""Settings that are no part of a plan or its limits → the module that reads them."""


def made(session: SessionDefaults) -> tuple[object, object]:
    settings = Settings(session=session)
    return plan_session(settings, "desk", purpose="listen"), limits_of(settings)


@pytest.mark.parametrize("name", OTHER)
def test_cyberverse_idle_and_duration_limits_every_configuration_key_matters(name: str) -> None:
    assert made(SessionDefaults.model_validate({name: OTHER[name]})) != made(SessionDefaults())


def test_there_are_no_others() -> None:
    assert set(SessionDefaults.model_fields) == {*OTHER, *ELSEWHERE}
