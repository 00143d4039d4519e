"""The right to speak: what was heard, and what never can be."""

import asyncio

import pytest

from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.session.utterance import Utterance
from vonad.testing import ManualClock, ScriptedLine, settle, speech


def utterance(line: ScriptedLine, clock: ManualClock) -> tuple[Utterance, list[str]]:
    told: list[str] = []
    return Utterance(line, 1, clock, lambda: told.append("started")), told


async def test_whole_sentences_and_whole_words_count_as_heard() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    line.hold()
    async with asyncio.TaskGroup() as group:
        group.create_task(subject.run())
        await subject.sentence("One two.")
        await subject.put(speech(1.0))
        await subject.sentence("Three four five six.")
        await subject.put(speech(2.0))
        await settle()
        assert subject.heard() == ""
        line.heard(1.0)
        assert subject.heard() == "One two."
        line.heard(1.1)
        assert subject.heard() == "One two. Three four"
        await subject.end()
        line.release()
    assert subject.heard() == "One two. Three four five six."


async def test_sound_at_another_rate_is_resampled_once_and_whole() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(subject.run())
        for _ in range(10):
            await subject.put(Frame(speech(0.1).samples, 22_050))
        await subject.end()
    assert {frame.rate for frame in line.sound} == {16_000}
    assert sum(len(frame.samples) for frame in line.sound) == pytest.approx(16_000 * 16_000 / 22_050, abs=2)


async def test_a_filler_is_played_but_does_not_count_as_first_sound() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, told = utterance(line, clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(subject.run())
        await subject.put(Frame(speech(0.1).samples, 16_000, filler=True))
        await settle()
        assert told == []
        await subject.put(speech(0.1))
        await settle()
        assert told == ["started"]
        await subject.end()


async def test_a_line_that_never_confirms_is_given_up() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    line.hold()
    run = asyncio.create_task(subject.run())
    await subject.put(speech(1.0))
    await subject.end()
    await clock.advance(5.9)
    assert not run.done()
    await clock.advance(0.2)
    with pytest.raises(VonadError, match="desk did not confirm within 6 s"):
        await run


async def test_an_utterance_without_sound_ends_at_once() -> None:
    line, clock = ScriptedLine(), ManualClock()
    line.hold()
    subject, told = utterance(line, clock)
    await subject.end()
    await subject.run()
    assert told == []
