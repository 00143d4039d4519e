"""Where a turn's time went, stage by stage, and whose time it was."""

from vonad.history import SkillRun, TurnDetail
from vonad.why import Step, why


def turn(**more: object) -> TurnDetail:
    return TurnDetail(
        **{  # type: ignore[arg-type]
            "turn_id": "s1-1",
            "session_id": "s1",
            "satellite": "desk",
            "ts": "2026-01-01T12:00:00.000Z",
            "transcript": "what time is it",
            "reply": "It is noon.",
            "heard": "It is noon.",
            "outcome": "completed",
            "skills": [],
            "conversation_id": "c1",
            "number": 1,
            "source": "voice",
            "ended": None,
            "user_text": None,
            "backend": "bridge",
            "stages": {},
            "first_audio_ms": None,
            "endpoint": None,
            "usage": None,
            "degraded": False,
            "audio_gap": False,
            "attempts": [],
            "fallbacks": [],
            **more,
        }
    )


def attempt(name: str, duration_ms: float | None) -> SkillRun:
    return SkillRun(
        call_id=name,
        name=name,
        risk="read",
        arguments="{}",
        ts="2026-01-01T12:00:00.000Z",
        outcome="done",
        duration_ms=duration_ms,
        detail=None,
    )


SPOKEN = {
    "endpoint": 1700.0,
    "stt": 1750.0,
    "agent_first_token": 2650.0,
    "tts_first_audio": 2700.0,
    "playback_started": 2720.0,
    "playback_finished": 4720.0,
}


def test_the_time_of_a_spoken_turn_is_told_apart_by_whose_it_was() -> None:
    told = why(turn(stages=SPOKEN, first_audio_ms=1220.0, endpoint="silence"))
    assert told.steps == (
        Step("speech", 1500.0, 1500.0, "the user"),
        Step("endpoint", 1700.0, 200.0, "endpointing"),
        Step("stt", 1750.0, 50.0, "bridge: stt"),
        Step("agent_first_token", 2650.0, 900.0, "bridge: agent"),
        Step("tts_first_audio", 2700.0, 50.0, "bridge: tts"),
        Step("playback_started", 2720.0, 20.0, "satellite desk"),
        Step("playback_finished", 4720.0, 2000.0, "the reply itself"),
    )
    assert told.slowest == Step("agent_first_token", 2650.0, 900.0, "bridge: agent")
    assert (told.endpoint, told.first_audio_ms, told.total_ms) == ("silence", 1220.0, 4720.0)
    assert sum(step.took_ms for step in told.steps) == told.total_ms


def test_nobody_is_blamed_for_how_long_the_user_spoke_or_was_spoken_to() -> None:
    told = why(turn(stages={"endpoint": 9000.0, "playback_started": 9010.0, "playback_finished": 60_000.0}))
    assert told.slowest is not None
    assert told.slowest.owner == "satellite desk"
    assert told.steps[0].owner == "the user"


def test_a_slow_skill_is_named_with_all_that_was_tried() -> None:
    told = why(
        turn(
            stages={"skill": 3000.0, "agent_first_token": 3010.0},
            attempts=[attempt("lamp", 20.0), attempt("weather", 2900.0)],
        )
    )
    assert told.slowest == Step("skill", 3000.0, 3000.0, "skill weather")
    assert [one.name for one in told.attempts] == ["lamp", "weather"]
    assert why(turn(stages={"skill": 5.0}, attempts=[attempt("lamp", None)])).slowest is not None


def test_a_turn_of_which_nothing_is_known_blames_nobody() -> None:
    told = why(turn(outcome=None, backend=None))
    assert (told.steps, told.slowest, told.total_ms) == ((), None, 0.0)


def test_stages_of_the_same_moment_are_in_the_order_of_their_causes() -> None:
    told = why(turn(stages={"playback_started": 5.0, "tts_first_audio": 5.0, "agent_first_token": 5.0}, satellite=None))
    assert [step.stage for step in told.steps] == ["agent_first_token", "tts_first_audio", "playback_started"]
    assert told.steps[-1].owner == "transport"


def test_a_degraded_turn_and_one_with_lost_sound_say_so() -> None:
    told = why(turn(degraded=True, audio_gap=True, stages={"waiting_for_nobody": 7.0}))
    assert (told.degraded, told.audio_gap) == (True, True)
    assert told.steps == (Step("waiting_for_nobody", 7.0, 7.0, "waiting_for_nobody"),)


def test_what_was_prepared_while_the_user_spoke_kept_nobody_waiting() -> None:
    stages = {"skill": 1532.0, "endpoint": 1864.0, "stt": 1876.0, "agent_first_token": 1877.0}
    told = why(
        turn(stages={**stages, "playback_started": 1877.5}, first_audio_ms=232.0, attempts=[attempt("clock", 1)])
    )
    assert told.steps[0] == Step("skill", 1532.0, 0.0, "skill clock, prepared")
    assert told.steps[1] == Step("speech", 1645.5, 1645.5, "the user")
    assert told.slowest == Step("endpoint", 1864.0, 218.5, "endpointing")
