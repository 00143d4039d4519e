"""The wake gate in a house: what it refuses is published and kept, and the machines follow what satellites do."""

import logging
from pathlib import Path

import pytest

from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.backend import Transcript
from vonad.errors import VonadError
from vonad.testing import ScriptedLine, quiet, settle, speech

NABU = "okay_nabu"


def state(home: RuntimeHouse, satellite: str = "desk") -> str:
    return str(home.runtime.lines.get(satellite).machine.state)


async def conversation(home: RuntimeHouse, line: ScriptedLine, reply: str) -> None:
    """A wake, a question and its answer; until `line.release` it has not been played."""
    assert await home.asked() == "accepted"
    home.answer_with(reply)
    line.hold()
    for frame in [speech(0.1)] * 10 + [quiet(0.1)] * 8:
        line.captured.put(frame)
    await settle()
    home.backend.dialogue.emit(Transcript(1, "what time is it", final=True))
    await settle()


async def test_vona_wake_gate_a_wake_below_the_threshold_is_published_and_kept_as_refused(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert await home.asked(id="w1", phrase=NABU, score=0.3) == "below_threshold"
        assert await home.asked(phrase=NABU, score=0.9, speaker_score=0.3) == "speaker_rejected"
        first, second = home.told("wake.refused")
        assert (first.satellite, first.data["id"], first.data["reason"]) == ("desk", "w1", "below_threshold")
        assert "0.30" in str(first.data["detail"])
        assert second.data["reason"] == "speaker_rejected"
        assert not home.told("wake.accepted")
        assert state(home) == "dormant"
        await home.clock.advance(6)
        assert [(wake.score, wake.accepted, wake.reason) for wake in await home.house.wakes()] == [
            (0.3, False, "below_threshold"),
            (0.9, False, "speaker_rejected"),
        ]


async def test_vona_wake_gate_candidate_said_again_opens_the_microphone(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert await home.asked(phrase=NABU, score=0.6) == "below_threshold"
        assert state(home) == "candidate"
        await home.clock.advance(1.0)
        assert await home.asked(phrase=NABU, score=0.6) == "accepted"
        assert state(home) == "awake"
        assert len(home.told("wake.refused")) + len(home.told("wake.accepted")) == 2


async def test_vona_wake_gate_machine_follows_a_conversation(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        assert state(home) == "dormant"
        await conversation(home, line, "It is noon.")
        assert state(home) == "suppressed"
        line.release()
        await settle()
        assert state(home) == "dormant"


async def test_vona_wake_gate_cooldown_never_blocks_who_follows_up_on_a_reply(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        await conversation(home, line, "It is noon.")
        line.release()
        await settle()
        assert await home.asked(phrase=NABU) == "accepted"


async def test_vona_wake_gate_cooldown_follows_a_wake_after_which_nothing_was_said(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert await home.asked(phrase=NABU) == "accepted"
        home.house.stop("desk")
        await settle()
        assert await home.asked(phrase=NABU) == "cooldown"
        await home.clock.advance(2.1)
        assert await home.asked(phrase=NABU) == "accepted"


async def test_vona_wake_gate_playback_a_reply_with_the_wake_word_in_it_wakes_nobody(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        await conversation(home, line, "Just say okay Nabu.")
        assert await home.asked(phrase=NABU) == "playback"
        line.release()
        await settle()
        assert home.house.satellites()[0].state == "idle"
        assert await home.asked(phrase=NABU) == "playback"
        await home.clock.advance(1.1)
        assert await home.asked(phrase=NABU) == "accepted"


async def test_vona_wake_gate_playback_the_wake_word_interrupts_any_other_reply(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        await conversation(home, line, "It is noon.")
        assert await home.asked(phrase=NABU, score=0.8) == "accepted"
        assert state(home) == "awake"


async def test_vona_wake_gate_a_session_that_does_not_open_leaves_its_satellite_waiting(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        home.backend.failure = VonadError("backend_start_failed", "no power")
        assert await home.asked(phrase=NABU) == "accepted"
        await home.clock.advance(5.0)
        assert home.told("session.closed")
        assert state(home) == "dormant"


async def test_vona_wake_gate_privacy_a_switch_on_the_device_holds_every_wake(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        line = await home.connect()
        line.muted = True
        assert [await home.asked(), await home.asked(phrase=NABU)] == ["privacy", "privacy"]
        assert state(home) == "suppressed"
        line.muted = False
        assert await home.asked(phrase=NABU) == "accepted"


async def test_a_device_that_cannot_tell_whether_it_is_muted_opens_no_microphone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(ScriptedLine):
        @property
        def muted(self) -> bool:  # type: ignore[override]
            raise OSError("no such switch")

    async with runtime_house(tmp_path) as home:
        home.transport.waiting.put_nowait(Broken())
        await settle()
        with caplog.at_level(logging.ERROR):
            assert await home.asked() == "privacy"
        assert "no such switch" in caplog.text


async def test_vona_wake_gate_near_field_one_of_two_in_earshot_wakes_and_every_wake_is_told(tmp_path: Path) -> None:
    areas = '[satellites.attic]\narea = "Attic"\n'
    async with runtime_house(tmp_path, areas) as home:
        for name in ("desk", "hall", "attic"):
            await home.connect(name)
        answers = [await home.asked(name, phrase=NABU) for name in ("desk", "hall", "attic")]
        assert answers == ["accepted", "duplicate", "accepted"]
        assert [event.satellite for event in home.told("wake.accepted")] == ["desk", "attic"]
        [refused] = home.told("wake.refused")
        assert refused.satellite == "hall"
        assert "desk" in str(refused.data["detail"])
