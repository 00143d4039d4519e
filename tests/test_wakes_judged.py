"""Wakes as they are judged: each is accepted or refused, whatever is in it, and does no more than it asks for."""

from pathlib import Path

from tests.runtime_house import runtime_house
from vonad.plan import Overrides
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
