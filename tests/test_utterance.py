"""The right to speak: what was heard, and what never can be."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vonad.errors import VonadError
from vonad.frame import Frame, Samples
from vonad.session.utterance import RAMP_S, Utterance
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
        subject.end()
        line.release()
    assert subject.heard() == "One two. Three four five six."


async def test_sound_at_another_rate_is_resampled_once_and_whole() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(subject.run())
        for _ in range(10):
            await subject.put(Frame(speech(0.1).samples, 22_050))
        subject.end()
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
        subject.end()


async def test_a_line_that_never_confirms_is_given_up() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    line.hold()
    run = asyncio.create_task(subject.run())
    await subject.put(speech(1.0))
    subject.end()
    await clock.advance(5.9)
    assert not run.done()
    await clock.advance(0.2)
    with pytest.raises(VonadError, match="desk did not confirm within 6 s"):
        await run


async def test_an_utterance_without_sound_ends_at_once() -> None:
    line, clock = ScriptedLine(), ManualClock()
    line.hold()
    subject, told = utterance(line, clock)
    subject.end()
    await subject.run()
    assert told == []


def filler(seconds: float) -> Frame:
    return Frame(speech(seconds).samples, 16_000, filler=True)


def samples(line: ScriptedLine) -> Samples:
    return np.concatenate([frame.samples for frame in line.sound])


async def test_a_filler_is_no_heard_text_and_no_first_sound() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, told = utterance(line, clock)
    line.hold()
    async with asyncio.TaskGroup() as group:
        group.create_task(subject.run())
        await subject.sentence("Three four five six.")
        await subject.put(filler(1.0))
        await settle()
        line.heard(1.0)
        assert (subject.heard(), told, subject.sounded) == ("", [], False)
        await subject.put(speech(2.0))
        await settle()
        assert told == ["started"]
        assert subject.heard() == ""
        line.heard(1.0)
        assert subject.heard() == "Three four"
        subject.end()
        line.release()
    assert subject.heard() == "Three four five six."


@pytest.mark.parametrize(("count", "seconds"), [(1, 5.0), (250, 0.02)], ids=["in one piece", "as it is made"])
async def test_fillers_that_wait_are_thrown_away_when_the_reply_is_there(count: int, seconds: float) -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    for _ in range(count):
        await subject.put(filler(seconds))
    await subject.put(speech(0.5))
    await subject.put(filler(5.0))
    subject.end()
    await subject.run()
    assert sum(frame.seconds for frame in line.sound) == pytest.approx(0.5)
    assert not any(frame.filler for frame in line.sound)


async def test_the_rest_of_a_long_filler_gives_way_to_the_reply() -> None:
    line, clock = SlowLine(), ManualClock()
    subject, _ = utterance(line, clock)
    run = asyncio.create_task(subject.run())
    await subject.put(filler(5.0))
    await settle()
    await subject.put(speech(0.1))
    line.take.set()
    subject.end()
    await run
    assert [frame.filler for frame in line.sound] == [True, False]


class SlowLine(ScriptedLine):
    """Has no room until told so."""

    def __init__(self) -> None:
        super().__init__()
        self.take = asyncio.Event()

    async def play(self, frame: Frame) -> None:
        await super().play(frame)
        await self.take.wait()


async def test_what_played_while_the_line_had_no_room_for_more_was_heard() -> None:
    line, clock = SlowLine(), ManualClock()
    subject, _ = utterance(line, clock)
    run = asyncio.create_task(subject.run())
    await subject.sentence("One two three four.")
    await subject.put(speech(4.0))
    await settle()
    line.take.set()
    await settle()
    line.hold()
    run.cancel()
    assert max(frame.seconds for frame in line.sound) <= 0.1
    assert subject.heard() == "One two three four."[: len(subject.heard())]


async def test_a_filler_without_a_reply_is_played_and_nothing_counts_as_heard() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, told = utterance(line, clock)
    await subject.sentence("Never spoken.")
    await subject.put(filler(0.5))
    subject.end()
    await subject.run()
    assert (subject.heard(), told) == ("", [])
    assert sum(frame.seconds for frame in line.sound) == pytest.approx(0.5)


async def test_texts_that_come_in_a_burst_are_spoken_by_the_sound_behind_them() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    line.hold()
    run = asyncio.create_task(subject.run())
    for word in ("One", "two", "three", "four"):
        await subject.sentence(word)
    await subject.put(speech(2.0))
    await settle()
    line.heard(1.1)
    assert subject.heard() == "One two"
    run.cancel()


async def test_a_ducked_reply_is_a_quarter_as_loud_without_a_click_and_loud_again() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    run = asyncio.create_task(subject.run())
    for on in (False, True, True, False, False):
        subject.duck(on=on)
        await subject.put(speech(0.1))
        await settle()
    run.cancel()
    sound = samples(line).astype(np.int32)
    assert set(sound[:1_600]) == {5_000}
    assert set(sound[2_400:4_800]) == {1_250}
    assert set(sound[6_400:]) == {5_000}
    assert np.abs(np.diff(sound)).max() <= 5_000 / (RAMP_S * 16_000) + 1


async def test_loud_sound_is_passed_on_as_it_is() -> None:
    line, clock = ScriptedLine(), ManualClock()
    subject, _ = utterance(line, clock)
    frame = speech(0.02)
    await subject.put(frame)
    subject.end()
    await subject.run()
    assert line.sound == [frame]


Step = tuple[str, float]
STEPS = st.lists(
    st.tuples(st.sampled_from(["text", "sound", "filler", "duck", "loud", "hear", "cut"]), st.floats(0.001, 1.5)),
    max_size=30,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_however_it_goes_only_what_was_played_is_heard(steps: list[Step]) -> None:
    """Fillers, ducking, cuts at any moment: heard text is a growing beginning of what was said; late sound is none."""

    async def story() -> None:
        line, clock = ScriptedLine(), ManualClock()
        subject, told = utterance(line, clock)
        line.hold()
        run = asyncio.create_task(subject.run())
        said: list[str] = []
        heard: list[str] = []
        spoken_s = filled_s = 0.0
        for what, amount in steps:
            if what == "text":
                text = " ".join(f"{word}{len(said)}" for word in ("a", "b", "c"))
                said += text.split()
                await subject.sentence(text)
            elif what == "sound":
                spoken_s += len(speech(amount).samples) / 16_000
                await subject.put(speech(amount))
            elif what == "filler":
                filled_s += amount
                await subject.put(filler(amount))
            elif what == "hear":
                await settle()
                line.heard(min(amount, max(0.0, sum(f.seconds for f in line.sound) - line.played)))
            elif what == "cut":
                run.cancel()
            else:
                subject.duck(on=what == "duck")
            before, heard = heard, subject.heard().split()
            assert heard == said[: len(heard)]
            assert heard[: len(before)] == before
            assert subject.played_s <= subject.pushed_s
        gone = run.cancelled() or run.cancelling() > 0
        played = len(line.sound)
        await settle()
        if gone:
            assert len(line.sound) == played
            return
        subject.end()
        line.release()
        await run
        real = [frame for frame in line.sound if not frame.filler]
        assert sum(frame.seconds for frame in real) == pytest.approx(spoken_s)
        assert not any(frame.filler for frame in line.sound[len(line.sound) - len(real) :])
        assert told == (["started"] if real else [])
        assert subject.heard().split() == (said if real else [])

    asyncio.run(story())
