"""Fillers: what is played while the user waits."""

import asyncio
from pathlib import Path

import pytest

from tests.chimes import ToyCues, played, sound
from tests.conversation import Conversation, conversation
from tests.plugins.fake_host import FakeHost
from vonad.backend import BackendCapabilities, ReplyDone, ReplyFailed, ReplyText
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.plan import Filling, Plan
from vonad.session.machine import State
from vonad.skill import Call, Skill
from vonad.testing import ScriptedBackend, ScriptedDialogue, settle, speech

CLIP = ToyCues("filler")


def plan(filler: Filling) -> Plan:
    return Plan(satellite="desk", backends=("scripted",), filler=filler, filler_s=1.5)


async def ask(story: Conversation) -> None:
    await story.say_command()
    await story.understood("what is the meaning of life")


def kinds(story: Conversation) -> list[str]:
    return [str(event.data["kind"]) for event in story.told("filler.started")]


async def test_vona_filler_strategy_none_bridges_nothing() -> None:
    async with conversation(plan=plan("none"), cues=CLIP) as story:
        await ask(story)
        await story.clock.advance(10)
        assert (story.line.sound, kinds(story)) == ([], [])


async def test_vona_filler_strategy_static_clip_plays_after_a_while_of_waiting() -> None:
    async with conversation(plan=plan("static_clip"), cues=CLIP) as story:
        await ask(story)
        waited = 0.7  # the quiet that ended the user's turn is heard before it counts
        await story.clock.advance(1.4 - waited)
        assert kinds(story) == []
        await story.clock.advance(0.9)
        assert kinds(story) == ["static_clip"]
        assert played(story.line) == ["filler"]
        assert all(frame.filler for frame in story.line.sound)
        assert story.session.state is State.PROCESSING


async def test_vona_filler_strategy_static_clip_speaks_a_phrase_where_there_is_no_file() -> None:
    async with conversation(plan=plan("static_clip"), cues=ToyCues(spoken=("filler",))) as story:
        await ask(story)
        await story.clock.advance(3)
        assert (kinds(story), played(story.line)) == (["static_clip"], ["spoken"])


async def test_nothing_is_told_of_a_filler_that_nobody_can_play() -> None:
    async with conversation(plan=plan("static_clip"), cues=ToyCues()) as story:
        await ask(story)
        await story.clock.advance(3)
        assert (kinds(story), story.line.sound) == ([], [])


class Humming(ScriptedBackend):
    """It hums while it thinks."""

    def __init__(self, failure: VonadError | None = None, *, hangs: bool = False) -> None:
        super().__init__(BackendCapabilities(fills=True))
        self.asked = 0
        self.refuses = failure
        self.hangs = hangs

    def open(self, brief):  # type: ignore[no-untyped-def]
        return self._filling(super().open(brief))

    def _filling(self, opening):  # type: ignore[no-untyped-def]
        backend = self

        class Opening:
            async def __aenter__(self) -> ScriptedDialogue:
                dialogue = await opening.__aenter__()

                async def fill() -> None:
                    backend.asked += 1
                    if backend.refuses is not None:
                        raise backend.refuses
                    if backend.hangs:
                        await asyncio.Event().wait()
                    hum = sound("spoken")
                    dialogue.emit(*(Frame(f.samples, f.rate, turn=dialogue.turn, filler=True) for f in hum))

                dialogue.fill = fill
                return dialogue

            async def __aexit__(self, *error: object) -> bool | None:
                return await opening.__aexit__(*error)

        return Opening()


async def test_vona_filler_strategy_backend_generated_asks_the_backend() -> None:
    async with conversation(plan=plan("backend_generated"), backend=Humming(), cues=CLIP) as story:
        await ask(story)
        await story.clock.advance(2)
        assert (kinds(story), played(story.line)) == (["backend_generated"], ["spoken"])
        await story.clock.advance(0.1)
        [ended] = await answered(story)
        assert ended["heard_text"] == "Forty-two."


async def test_vona_filler_strategy_backend_generated_asks_only_a_backend_that_can() -> None:
    async with conversation(plan=plan("backend_generated"), cues=CLIP) as story:
        await ask(story)
        await story.clock.advance(2)
        assert (kinds(story), played(story.line)) == (["static_clip"], ["filler"])


@pytest.mark.parametrize("backend", [Humming(VonadError("overload", "no time")), Humming(hangs=True)])
async def test_a_backend_whose_filler_fails_is_helped_out_with_the_clip(backend: Humming) -> None:
    async with conversation(plan=plan("backend_generated"), backend=backend, cues=CLIP) as story:
        await ask(story)
        await story.clock.advance(5)
        assert backend.asked == 1
        assert (kinds(story), played(story.line)) == (["static_clip"], ["filler"])
        assert story.session.state is State.PROCESSING


async def answered(story: Conversation) -> list[dict[str, object]]:
    turn = story.turn
    story.dialogue.emit(ReplyText(turn, "Forty-two."), Frame(speech(1.0).samples, 16_000, turn=turn), ReplyDone(turn))
    await story.clock.advance(3)
    return [dict(event.data) for event in story.told("turn.ended")]


async def test_vona_filler_strategy_a_filler_is_never_history_and_never_the_first_audio() -> None:
    async with conversation(plan=plan("static_clip"), cues=CLIP) as story:
        await ask(story)
        await story.clock.advance(4)
        assert not story.told("playback.started")
        [ended] = await answered(story)
        assert (ended["generated_text"], ended["heard_text"]) == ("Forty-two.", "Forty-two.")
        assert float(str(ended["first_audio_ms"])) > 4000
        stages = ended["stages"]
        assert isinstance(stages, dict)
        assert stages["tts_first_audio"] > 4000
        await story.clock.advance(1)
        assert played(story.line) == ["filler", "voice"]


async def test_a_filler_stops_at_the_first_real_sound() -> None:
    """The clip is 0.8 s long; the reply comes 0.2 s after it began, and waits for no more than 0.2 s of it."""
    async with conversation(plan=plan("static_clip"), cues=ToyCues(spoken=("filler",))) as story:
        await ask(story)
        while not story.line.sound:
            await story.clock.advance(0.1)
        await story.clock.advance(0.1)
        await answered(story)
        fillers = sum(frame.seconds for frame in story.line.sound if frame.filler)
        assert 0.2 <= fillers <= 0.45
        assert played(story.line) == ["spoken", "voice"]
        await story.clock.advance(20)
        assert kinds(story) == ["static_clip"]


async def test_a_filler_is_repeated_only_after_four_times_as_long() -> None:
    async with conversation(plan=plan("static_clip"), cues=CLIP) as story:
        await ask(story)
        await story.clock.advance(1.5)
        assert len(kinds(story)) == 1
        await story.clock.advance(5.2)
        assert len(kinds(story)) == 1
        await story.clock.advance(0.8)
        assert len(kinds(story)) == 2


class Dig(Skill[NoSettings]):
    """It takes its time."""

    name = "dig"
    description = "Dig for something"
    timeout_s = 20.0

    async def run(self, args: object, call: Call) -> str:
        await asyncio.Event().wait()
        return ""


async def test_waiting_for_a_skill_is_waiting_too(tmp_path: Path) -> None:
    dig = Dig(NoSettings(), FakeHost(tmp_path))
    async with conversation(plan=plan("static_clip"), cues=CLIP, skills=((dig, "test"),)) as story:
        await story.say_command()
        await story.understood("dig")
        story.call_skill("dig")
        await settle()
        assert story.session.state is State.EXECUTING_SKILL
        await story.clock.advance(2)
        assert kinds(story) == ["static_clip"]


async def test_a_filler_falls_silent_with_its_turn() -> None:
    async with conversation(plan=plan("static_clip"), cues=ToyCues(spoken=("filler",))) as story:
        await ask(story)
        while not story.line.sound:
            await story.clock.advance(0.1)
        story.session.stop()
        await settle()
        count = len(story.line.sound)
        await story.clock.advance(10)
        assert len(story.line.sound) == count
        assert kinds(story) == ["static_clip"]


async def test_a_turn_of_fillers_alone_ends_in_an_apology() -> None:
    async with conversation(plan=plan("static_clip"), cues=CLIP) as story:
        await ask(story)
        await story.clock.advance(3)
        story.dialogue.emit(ReplyFailed(story.turn, VonadError("backend_step_failed", "it fell over")))
        await story.clock.advance(3)
        assert played(story.line) == ["filler", "voice"]
        assert story.backend.spoken == ["Sorry, something went wrong."]


async def test_a_session_of_text_is_not_filled() -> None:
    text = Plan(satellite=None, backends=("scripted",), purpose="text", text="hello", filler="static_clip")
    async with conversation(plan=text, text_only=True, cues=CLIP) as story:
        await story.clock.advance(10)
        assert kinds(story) == []
