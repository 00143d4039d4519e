"""The gate: every reason to refuse a wake that it knows, in order, and nothing refused without one."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vonad.plan import REFUSALS, Wake
from vonad.settings import Settings
from vonad.testing import ManualClock
from vonad.wake.gate import Gate
from vonad.wake.machine import WakeMachine

NABU = {"phrase": "okay_nabu"}


class Door:
    """A gate, and the wake machines of the satellites in front of it."""

    def __init__(self, clock: ManualClock | None = None, **tables: Any) -> None:
        self.clock = clock or ManualClock()
        self.gate = Gate(self.clock, Settings.model_validate(tables))
        self.machines: dict[str, WakeMachine] = {}

    def machine(self, satellite: str = "desk") -> WakeMachine:
        return self.machines.setdefault(satellite, WakeMachine(self.clock))

    def judged(self, asked: Wake, *, speaking: str = "", listening: bool = False) -> str | None:
        machine = self.machine(asked.satellite)
        refusal = self.gate.check(asked, machine, speaking=speaking, listening=listening)
        if refusal is None:
            return None
        assert refusal.reason in REFUSALS
        assert refusal.detail
        return refusal.reason

    def woken(self, asked: Wake) -> str | None:
        """The same, and a wake that passes is accepted."""
        reason = self.judged(asked)
        if reason is None:
            self.gate.admitted(asked)
            self.machine(asked.satellite).woken()
        return reason


def wake(satellite: str = "desk", **more: Any) -> Wake:
    return Wake(**{"satellite": satellite, "source": "mqtt", "at": 0.0, **more})


# What every wake has to pass


def test_a_plain_wake_passes() -> None:
    assert Door().judged(wake()) is None


def test_a_retained_wake_never_opens_a_microphone() -> None:
    assert Door().judged(wake(retained=True)) == "retained"


@pytest.mark.parametrize(("age_s", "expected"), [(9.9, None), (10.1, "stale"), (-4.9, None), (-5.1, "stale")])
def test_a_wake_is_as_fresh_as_its_clock_says(age_s: float, expected: str | None) -> None:
    door = Door()
    assert door.judged(wake(ts=door.clock.now() - timedelta(seconds=age_s))) == expected


def test_the_refusal_of_a_stale_wake_names_both_clocks() -> None:
    door = Door(ManualClock(datetime(2026, 5, 1, 12, 0, tzinfo=UTC)))
    refusal = door.gate.check(wake(ts=datetime(2026, 5, 1, 11, 0, tzinfo=UTC)), door.machine())
    assert refusal is not None
    assert "2026-05-01T11:00:00" in refusal.detail
    assert "2026-05-01T12:00:00" in refusal.detail


def test_a_wake_may_bring_its_own_expiry_and_its_own_age() -> None:
    door = Door()
    assert door.judged(wake(ts=door.clock.now() - timedelta(seconds=3), expires_s=2)) == "stale"
    assert door.judged(wake(age_ms=3000, expires_s=2)) == "stale"
    assert door.judged(wake(age_ms=3000)) is None


def test_a_clock_that_was_never_set_judges_nobody() -> None:
    door = Door(ManualClock(datetime(1970, 1, 1, tzinfo=UTC)))
    assert door.judged(wake(ts=datetime(2026, 11, 1, tzinfo=UTC))) is None


async def test_an_id_is_a_duplicate_for_a_minute() -> None:
    door = Door()
    assert door.judged(wake(id="a")) is None
    assert door.judged(wake(id="a")) == "duplicate"
    await door.clock.advance(61)
    assert door.judged(wake(id="a")) is None


async def test_more_turns_than_a_minute_allows_are_refused() -> None:
    door = Door(policy={"turns_per_minute": 2})
    for _ in range(2):
        assert door.woken(wake()) is None
    assert door.judged(wake()) == "rate"
    assert door.judged(wake("kitchen")) is None
    await door.clock.advance(61)
    assert door.judged(wake()) is None


@pytest.mark.parametrize("asked", [{}, NABU], ids=["explicit", "detector"])
def test_vona_wake_gate_privacy_holds_every_wake(asked: Mapping[str, Any]) -> None:
    door = Door()
    door.machine().mute(on=True)
    assert door.judged(wake(**asked)) == "privacy"
    door.machine().mute(on=False)
    assert door.judged(wake(**asked)) is None


def test_new_settings_do_not_forget_what_was_seen_or_who_was_first() -> None:
    door = Door()
    door.woken(wake(id="a", **NABU))
    door.gate = Gate(door.clock, Settings(), after=door.gate)
    assert door.judged(wake("kitchen", id="a")) == "duplicate"
    assert door.judged(wake("kitchen", **NABU)) == "duplicate"


# What detectors have to pass besides

ORDER = ("privacy", "duplicate", "playback", "busy", "cooldown", "below_threshold", "speaker_rejected", "rate")
"""Near field is a duplicate: another satellite was nearer."""


async def everything_wrong(*, but: int) -> str | None:
    """The reason for a detector's wake of which everything is wrong but the first so many."""
    wrong = set(ORDER[but:])
    door = Door(policy={"turns_per_minute": 1})
    clock, machine = door.clock, door.machine()
    if "rate" in wrong:
        door.gate.count("desk")
    if "cooldown" in wrong:
        machine.woken()
        machine.follow("idle")
    if "duplicate" in wrong:
        assert door.woken(wake("kitchen", **NABU)) is None
    machine.mute(on="privacy" in wrong)
    await clock.advance(0.1)
    asked = wake(
        **NABU,
        score=0.3 if "below_threshold" in wrong else 0.9,
        speaker_score=0.3 if "speaker_rejected" in wrong else 0.9,
    )
    return door.judged(asked, speaking="Okay, Nabu." if "playback" in wrong else "", listening="busy" in wrong)


@pytest.mark.parametrize("number", range(len(ORDER)), ids=ORDER)
async def test_vona_wake_gate_order(number: int) -> None:
    assert await everything_wrong(but=number) == ORDER[number]


async def test_vona_wake_gate_order_ends_with_a_wake_that_nothing_is_wrong_with() -> None:
    assert await everything_wrong(but=len(ORDER)) is None


def test_vona_wake_gate_order_what_every_wake_has_to_pass_comes_first() -> None:
    door = Door()
    door.machine().mute(on=True)
    assert door.judged(wake(retained=True, age_ms=99_000, **NABU)) == "retained"
    assert door.judged(wake(age_ms=99_000, **NABU)) == "stale"
    door.judged(wake(id="a"))
    assert door.judged(wake(id="a", **NABU)) == "duplicate"


def test_vona_wake_gate_holds_nobody_who_asked() -> None:
    door = Door()
    machine = door.machine()
    machine.woken()
    machine.follow("idle")
    assert door.woken(wake("kitchen", **NABU)) is None
    assert door.judged(wake(score=0.1, speaker_score=0.1), speaking="okay nabu") is None


@pytest.mark.parametrize(
    ("score", "expected"),
    [(None, None), (0.0, "below_threshold"), (0.54, "below_threshold"), (0.71, "below_threshold"), (0.72, None)],
)
def test_vona_wake_gate_thresholds_judge_scores_and_a_detector_without_has_judged_itself(
    score: float | None, expected: str | None
) -> None:
    assert Door().judged(wake(score=score, **NABU)) == expected


def test_vona_wake_gate_thresholds_are_settings() -> None:
    door = Door(wake={"candidate": 0.2, "accept": 0.3, "speaker": 0.1})
    assert door.judged(wake(score=0.3, speaker_score=0.1, **NABU)) is None
    assert door.judged(wake(score=0.29, **NABU)) == "below_threshold"
    assert door.judged(wake(speaker_score=0.09, **NABU)) == "speaker_rejected"


def test_vona_wake_gate_thresholds_of_the_house_do_not_deafen_a_detector_with_a_limit_of_its_own() -> None:
    door = Door(wake={"accept": 0.99})
    assert door.judged(wake(score=0.51, cutoff=0.5, **NABU)) is None
    assert door.judged(wake(score=0.98, **NABU)) == "below_threshold"
    lenient = Door(wake={"candidate": 0.1, "accept": 0.1})
    assert lenient.judged(wake(score=0.9, cutoff=0.97, **NABU)) == "below_threshold"


async def test_vona_wake_gate_candidate_is_confirmed_by_a_second_one_within_two_seconds() -> None:
    door = Door()
    assert door.judged(wake(score=0.6, **NABU)) == "below_threshold"
    assert door.machine().state == "candidate"
    await door.clock.advance(2.0)
    assert door.woken(wake(score=0.55, phrase="Okay Nabu")) is None
    assert door.machine().state == "awake"


@pytest.mark.parametrize(
    "second",
    [
        {"after_s": 2.1, "score": 0.6},
        {"phrase": "hey_jarvis", "score": 0.6},
        {"satellite": "kitchen", "score": 0.6},
        {"score": 0.54},
    ],
    ids=["too late", "another word", "another satellite", "too unsure"],
)
async def test_vona_wake_gate_candidate_is_confirmed_by_nothing_else(second: dict[str, Any]) -> None:
    door = Door()
    door.judged(wake(score=0.6, **NABU))
    await door.clock.advance(second.pop("after_s", 1.0))
    assert door.judged(wake(**{**NABU, **second})) == "below_threshold"


def test_vona_wake_gate_candidate_counts_for_nothing_while_the_satellite_answers() -> None:
    door = Door()
    for activity in ("processing", "responding"):
        door.machine().follow(activity)
        assert [door.judged(wake(score=0.6, **NABU)) for _ in range(2)] == ["below_threshold"] * 2
        assert door.judged(wake(score=0.8, **NABU)) is None


@pytest.mark.parametrize(("score", "expected"), [(None, None), (0.77, "speaker_rejected"), (0.78, None)])
def test_vona_wake_gate_speaker_is_judged_where_a_detector_verifies_it(
    score: float | None, expected: str | None
) -> None:
    assert Door().judged(wake(speaker_score=score, **NABU)) == expected


async def test_vona_wake_gate_cooldown_counts_from_the_return_to_dormant() -> None:
    door = Door()
    machine = door.machine()
    machine.woken()
    await door.clock.advance(60.0)
    machine.follow("idle")
    await door.clock.advance(1.9)
    assert door.judged(wake(**NABU)) == "cooldown"
    await door.clock.advance(0.2)
    assert door.judged(wake(**NABU)) is None


async def test_vona_wake_gate_cooldown_never_blocks_a_follow_up() -> None:
    door = Door()
    machine = door.machine()
    machine.woken()
    machine.follow("responding")
    machine.follow("listening", drained=True)  # nobody says anything
    await door.clock.advance(8.0)
    machine.follow("idle")
    assert door.judged(wake(**NABU)) is None
    await door.clock.advance(1.9)
    assert door.judged(wake(**NABU)) is None


async def test_vona_wake_gate_cooldown_holds_again_ten_seconds_after_the_drain() -> None:
    door = Door()
    machine = door.machine()
    machine.follow("responding")
    machine.follow("listening", drained=True)
    await door.clock.advance(10.0)
    machine.follow("idle")
    await door.clock.advance(0.1)
    assert door.judged(wake(**NABU)) == "cooldown"


def test_vona_wake_gate_playback_a_detector_that_hears_us_say_the_word_is_no_wake() -> None:
    door = Door()
    assert door.judged(wake(**NABU), speaking="Just say: Okay, Nabu!") == "playback"
    assert door.judged(wake(**NABU), speaking="It is noon.") is None
    assert door.judged(wake(), speaking="okay nabu") is None


async def test_vona_wake_gate_playback_may_still_be_in_the_room_when_it_is_over() -> None:
    door = Door()
    door.machine().follow("responding")
    door.machine().follow("idle", drained=True, said="Just say: Okay, Nabu!")
    await door.clock.advance(0.9)
    assert door.judged(wake(**NABU)) == "playback"
    assert door.judged(wake(phrase="hey_jarvis")) is None
    await door.clock.advance(0.2)
    assert door.judged(wake(**NABU)) is None


# Near field

HOUSE = {
    "bench": {},
    "kitchen": {"area": "Kitchen", "earshot": "downstairs"},
    "oven": {"area": "kitchen "},
    "hall": {"area": "Hall", "earshot": "Downstairs"},
    "attic": {"area": "Attic"},
}


@pytest.mark.parametrize(
    ("first", "other", "expected"),
    [
        ("kitchen", "oven", "duplicate"),
        ("kitchen", "hall", "duplicate"),
        ("oven", "hall", "duplicate"),
        ("bench", "unheard_of", "duplicate"),
        ("kitchen", "attic", None),
        ("attic", "bench", None),
    ],
    ids=["one area", "joined", "joined by a neighbour", "no area", "two areas", "an area and none"],
)
def test_vona_wake_gate_near_field_the_first_in_an_earshot_group_wins(
    first: str, other: str, expected: str | None
) -> None:
    for one, two in ((first, other), (other, first)):
        door = Door(satellites=HOUSE)
        assert door.woken(wake(one, **NABU)) is None
        assert door.woken(wake(two, phrase="Okay, Nabu")) == expected


async def test_vona_wake_gate_near_field_the_others_wait_again_at_once() -> None:
    door = Door()
    door.judged(wake("kitchen", score=0.6, **NABU))
    assert door.woken(wake(**NABU)) is None
    await door.clock.advance(0.6)
    assert door.woken(wake("kitchen", score=0.6, **NABU)) == "duplicate"
    assert door.machine("kitchen").state == "dormant"
    await door.clock.advance(0.2)
    assert door.woken(wake("kitchen", **NABU)) is None


def test_vona_wake_gate_near_field_is_about_one_word_that_was_accepted_elsewhere() -> None:
    door = Door()
    assert door.woken(wake("attic")) is None
    assert door.woken(wake("kitchen", score=0.3, **NABU)) == "below_threshold"
    assert door.woken(wake(**NABU)) is None
    assert door.woken(wake("hall", phrase="hey_jarvis")) is None
    assert door.judged(wake(**NABU), listening=True) == "busy"
