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


# Who was waited for in vain


def broken_off(after_s: float, stages: dict[str, float], outcome: str = "failed", **more: object) -> TurnDetail:
    ended = f"2026-01-01T12:00:{after_s:06.3f}Z"
    return turn(outcome=outcome, ended=ended, stages=stages, reply="", **more)


def test_a_backend_that_never_answered_is_blamed_and_not_the_satellite_that_played_the_apology() -> None:
    sounds = {"playback_started": 30_000.0, "playback_finished": 32_000.0}
    told = why(broken_off(32.0, sounds, source="text"))
    assert told.slowest == Step("given_up", 30_000.0, 30_000.0, "bridge: agent")
    assert told.steps[1:] == (
        Step("playback_started", 30_000.0, 0.0, "satellite desk"),
        Step("playback_finished", 32_000.0, 2000.0, "the reply itself"),
    )


def test_a_recogniser_that_never_answered_is_blamed() -> None:
    told = why(broken_off(31.0, {"endpoint": 1000.0}, transcript=None))
    assert told.slowest == Step("given_up", 31_000.0, 30_000.0, "bridge: stt")


def test_a_voice_that_never_spoke_is_blamed() -> None:
    told = why(broken_off(20.0, {"endpoint": 1000.0, "stt": 1010.0, "agent_first_token": 1100.0}, "interrupted"))
    assert told.slowest == Step("given_up", 20_000.0, 18_900.0, "bridge: tts")
    announced = why(broken_off(9.0, {}, "interrupted", source="say"))
    assert announced.slowest == Step("given_up", 9000.0, 9000.0, "bridge: tts")


def test_a_skill_that_still_ran_when_its_turn_was_interrupted_is_blamed() -> None:
    for duration_ms in (None, 4000.0, 9000.0):  # for ever, called off, done in the end
        told = why(broken_off(4.0, {}, "interrupted", source="text", attempts=[attempt("lamp", duration_ms)]))
        assert told.slowest == Step("given_up", 4000.0, 4000.0, "skill lamp")
    over = why(broken_off(4.0, {"skill": 20.0}, "interrupted", source="text", attempts=[attempt("lamp", 19.0)]))
    assert over.slowest == Step("given_up", 4000.0, 3980.0, "bridge: agent")


def test_a_text_that_was_not_understood_took_as_long_as_the_turn_did() -> None:
    told = why(broken_off(3.0, {}, "not_understood", source="text", satellite=None))
    assert (told.total_ms, told.slowest) == (3000.0, Step("given_up", 3000.0, 3000.0, "bridge: agent"))


def test_the_apology_for_words_that_were_not_understood_is_nobodys_failure() -> None:
    stages = {"endpoint": 1000.0, "stt": 1500.0, "playback_started": 1520.0, "playback_finished": 2500.0}
    told = why(broken_off(2.5, stages, "not_understood", transcript=None))
    assert told.slowest == Step("stt", 1500.0, 500.0, "bridge: stt")


def test_a_reply_that_was_cut_short_is_listened_to_until_then() -> None:
    told = why(broken_off(9.0, {"agent_first_token": 900.0, "playback_started": 1000.0}, "interrupted", source="text"))
    assert told.steps[-1] == Step("given_up", 9000.0, 8000.0, "the reply itself")
    assert told.slowest == Step("agent_first_token", 900.0, 900.0, "bridge: agent")


def test_a_user_who_never_spoke_is_waited_for_and_not_blamed() -> None:
    told = why(broken_off(8.0, {"endpoint": 8000.0}, "empty", transcript=None))
    assert (told.steps, told.slowest) == (
        (Step("endpoint", 8000.0, 8000.0, "nobody spoke"),),
        None,
    )
    stopped = why(broken_off(2.0, {"endpoint": 2000.0}, "interrupted", transcript=None, endpoint="no_speech"))
    assert stopped.steps[0] == Step("endpoint", 2000.0, 2000.0, "nobody spoke")
    spoke = why(broken_off(2.0, {"endpoint": 2000.0}, "interrupted", transcript=None, endpoint="semantic"))
    assert spoke.steps[0] == Step("speech", 2000.0, 2000.0, "the user")
    closed = why(broken_off(2.0, {}, "interrupted", transcript=None))
    assert (closed.steps, closed.slowest) == ((Step("given_up", 2000.0, 2000.0, "the user"),), None)
