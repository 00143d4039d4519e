"""What a session is saying: what the wake gate and the stop word are to be deaf to."""

from pathlib import Path

from tests.conversation import conversation
from tests.plugins.fake_host import FakeHost
from tests.test_filler import Dig
from vonad.backend import ReplyText
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.testing import ScriptedLine, settle, speech


async def test_a_session_that_speaks_while_a_skill_runs_knows_what_it_is_saying(tmp_path: Path) -> None:
    line = ScriptedLine()
    async with conversation(line=line, skills=((Dig(NoSettings(), FakeHost(tmp_path)), "test"),)) as story:
        line.hold()
        await story.say_command()
        await story.understood("dig")
        story.dialogue.emit(ReplyText(story.turn, "I say stop."), Frame(speech(1.0).samples, 16_000, turn=story.turn))
        await settle()
        story.call_skill("dig")
        await settle()
        assert story.session.state == "executing_skill"
        assert story.session.speaking_text == "I say stop."
        line.release()


async def test_what_was_said_is_known_until_the_microphone_opens_again() -> None:
    async with conversation() as story:
        story.answer_with("Shall I stop?")
        await story.say_command()
        await story.understood("ask me something")
        await story.clock.advance(0.2)
        assert (story.session.state, story.session.speaking_text) == ("speaking", "Shall I stop?")
        await story.clock.advance(0.2)
        assert (story.session.state, story.session.speaking_text) == ("listening", "")
