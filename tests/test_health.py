"""Health: what does not run says why, is told when that changes, and stops nobody else."""

from pathlib import Path

import pytest

from tests.callers import talk
from tests.runtime_house import runtime_house
from vonad.errors import VonadError
from vonad.plugins import PluginStatus
from vonad.testing import settle


async def test_a_part_that_does_not_open_says_why_and_stops_nobody(tmp_path: Path) -> None:
    broken = {("skills", "broken"): RuntimeError("no oil")}
    async with runtime_house(tmp_path, parts=broken) as home:
        assert home.house.health()["parts"]["[skills.broken]"] == "RuntimeError: no oil"  # type: ignore[index]
        await home.connect()
        assert await home.asked() == "accepted"


async def test_a_satellite_that_can_hear_no_wake_word_is_told_with_the_health(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, '[satellites.desk]\nwake_words = ["okay_nabu"]') as home:
        await home.connect()
        why = home.house.health()["parts"]["satellite desk"]  # type: ignore[index]
        assert why.startswith("it hears no wake word: ")
        assert not home.house.health()["ok"]


async def test_the_health_of_a_part_is_published_when_it_changes(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        for _ in range(3):
            home.house.report("history", ok=False, detail="the disk is full")
        home.house.report("history", ok=True)
        home.house.report("history", ok=True)
        await settle()
        changes = [event.data["ok"] for event in home.told("backend.health") if event.data["name"] == "history"]
        assert changes == [False, True]


async def test_a_lost_backend_is_told_once_and_shown_until_it_answers_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def health() -> list[tuple[object, object]]:
        told = [event.data for event in home.told("backend.health") if event.data["name"] == "[backends.scripted]"]
        return [(data["ok"], data["detail"]) for data in told][1:]

    async with runtime_house(tmp_path) as home:
        await home.connect("desk")
        await home.connect("attic")
        home.backend.failure = VonadError("backend_start_failed", "no power")
        for satellite in ("desk", "attic"):
            await home.asked(satellite)
            await home.clock.advance(15)
        assert health() == [(False, "no power")]
        assert caplog.text.count("backend scripted is lost") == 1
        parts = home.house.health()["parts"]
        assert isinstance(parts, dict)
        assert parts["[backends.scripted]"] == "no power"
        home.plugins.statuses = (PluginStatus("scripted", "bundled", "1", "there", running=True),)  # type: ignore[assignment]
        assert home.house.plugins()[0].reason == "backend scripted was lost: no power"
        home.backend.failure = None
        await home.clock.advance(61)
        view = await home.sessions.create()
        await talk(home, view.session_id, "hello")
        await settle()
        assert health() == [(False, "no power"), (True, "")]
        parts = home.house.health()["parts"]
        assert isinstance(parts, dict)
        assert "[backends.scripted]" not in parts
        assert home.house.plugins()[0].reason == ""
