"""Wakes as they are judged: each is accepted or refused, whatever is in it, and does no more than it asks for."""

import math
from datetime import timedelta
from pathlib import Path

import pytest

from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.plan import Overrides, Plan, Refusal
from vonad.testing import ScriptedBackend, settle, speech

NABU = "okay_nabu"
OTHER = "[backends.other]\n"

# Which session it is for


async def test_the_wake_word_goes_on_with_a_session_whose_backend_somebody_chose(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, OTHER, parts={("backends", "other"): ScriptedBackend()}) as home:
        await home.connect()
        session, _ = await home.runtime.reception.create("desk", Overrides(backend="other"))
        assert await home.asked(phrase=NABU) == "accepted"
        assert (session.state, session.view().backend) == ("listening", "other")


async def test_a_button_pressed_in_mid_sentence_leaves_the_backend_that_the_first_press_chose(tmp_path: Path) -> None:
    other = ScriptedBackend()
    async with runtime_house(tmp_path, OTHER, parts={("backends", "other"): other}) as home:
        line = await home.connect()
        assert await home.asked(backend="other") == "accepted"
        for _ in range(5):
            line.captured.put(speech(0.1))
        await settle()
        assert await home.asked() == "accepted"
        assert len(other.dialogue.heard) == 5
        assert [session.state for session in home.runtime.sessions.open] == ["listening"]


async def test_a_reload_that_prefers_another_backend_ends_no_session_that_is_woken(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, OTHER, parts={("backends", "other"): ScriptedBackend()}) as home:
        await home.connect()
        assert await home.asked() == "accepted"
        [session] = home.runtime.sessions.open
        path = tmp_path / "vonad.toml"
        path.write_text(path.read_text().replace('backends = ["scripted"]', 'backends = ["other", "scripted"]'))
        await home.house.reload()
        assert await home.asked() == "accepted"
        assert (session.state, home.runtime.sessions.open) == ("listening", [session])


# Whatever is in it


async def judged(home: RuntimeHouse, **more: object) -> str:
    """What becomes of it; nothing goes on afterwards."""
    reason = await home.asked(source="device", **more)
    home.house.stop("desk")
    await home.clock.advance(3)
    return reason


@pytest.mark.parametrize("expires_s", [1e14, 1e300, math.inf])
async def test_a_wake_that_may_be_acted_on_for_ever_is_accepted(tmp_path: Path, expires_s: float) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        made = home.clock.now() - timedelta(seconds=1)
        assert await judged(home, expires_s=expires_s, ts=made) == "accepted"


async def test_a_time_without_an_offset_is_this_machine_s(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        now = home.clock.now().astimezone().replace(tzinfo=None)
        assert await judged(home, ts=now) == "accepted"
        assert await judged(home, ts=now - timedelta(minutes=1)) == "stale"


async def test_what_is_no_number_passes_no_limit(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        nan = math.nan
        assert await judged(home, phrase=NABU, score=nan) == "below_threshold"
        assert await judged(home, phrase=NABU, score=0.95, cutoff=nan) == "below_threshold"
        assert await judged(home, phrase=NABU, score=1.0, speaker_score=nan) == "speaker_rejected"
        assert await judged(home, age_ms=nan) == "stale"
        assert await judged(home, ts=home.clock.now(), expires_s=nan) == "stale"


@pytest.mark.parametrize("more", [{"ts": "yesterday"}, {"phrase": 7}, {"id": []}])
async def test_a_wake_that_cannot_be_judged_is_refused_as_malformed(tmp_path: Path, more: dict[str, object]) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert await judged(home, **more) == "malformed"
        assert await judged(home) == "accepted"


# What a plugin plans


@pytest.mark.parametrize("satellite", [None, "hall"])
async def test_a_plugin_plans_for_the_satellite_that_was_woken_and_for_no_other(
    tmp_path: Path, satellite: str | None
) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect("hall")
        await home.connect("desk")
        home.plugins.hook.plan = lambda wake: Plan(satellite=satellite, backends=("scripted",))
        assert await home.asked() == "accepted"
        [session] = home.runtime.sessions.open
        assert (session.plan.satellite, session.state) == ("desk", "listening")
        assert [view.state for view in home.house.satellites() if view.id == "desk"] == ["listening"]


async def test_a_plugin_that_refuses_for_a_reason_nobody_knows_is_told_as_a_plugin_that_refused(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        home.plugins.hook.plan = lambda wake: Refusal("because", "it is late")
        assert await home.asked() == "hook_denied"
        [refused] = home.told("wake.refused")
        assert refused.data["detail"] == "because: it is late"
        home.plugins.hook.plan = lambda wake: Refusal("busy")
        assert await home.asked() == "busy"


# Which satellite it is for


@pytest.mark.parametrize("why", ["busy", "playback"])
async def test_a_wake_word_that_its_satellite_refuses_wakes_no_other_in_earshot(tmp_path: Path, why: str) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect("desk")
        await home.connect("hall")
        if why == "playback":
            line.hold()
            home.backend.replies = lambda text: "I will ask okay Nabu for you."
        assert await home.asked("desk", text=None if why == "busy" else "what time is it") == "accepted"
        assert await home.asked("desk", phrase=NABU) == why
        assert await home.asked("hall", phrase=NABU) == "duplicate"
        await home.clock.advance(1.0)
        assert await home.asked("hall", phrase=NABU) == "accepted"
        line.release()
