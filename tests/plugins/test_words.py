"""Stop, never mind, repeat that."""

from pathlib import Path

from vonad_words import Word, Words

from tests.plugins.fake_host import FakeHost
from vonad.host import NoSettings
from vonad.skill import Call, SkillResult


async def say(folder: Path, meaning: str, previous: str = "") -> SkillResult:
    host = FakeHost(folder, name="words")
    call = Call(id="1", text="", satellite=None, session_id="s", language="en", previous_reply=previous, host=host)
    return await Words(NoSettings(), host).run(Word.model_validate({"meaning": meaning}), call)


async def test_stop_is_silent_and_ends_the_conversation(tmp_path: Path) -> None:
    assert await say(tmp_path, "stop", "It is noon.") == SkillResult(speech="", follow_up=False)


async def test_a_reply_is_repeated(tmp_path: Path) -> None:
    assert (await say(tmp_path, "repeat", "It is noon.")).speech == "It is noon."


async def test_there_may_be_nothing_to_repeat(tmp_path: Path) -> None:
    assert (await say(tmp_path, "repeat")).speech == "I have not said anything yet."
