"""Barge-in: who interrupts a reply, and who only coughs, agrees, or is the reply itself."""

from types import SimpleNamespace

import pytest

from vonad.backend import BackendCapabilities, Brief
from vonad.frame import Frame
from vonad.plan import BargeIn as Rules
from vonad.plan import Plan
from vonad.session.bargein import LONGEST_S, BargeIn
from vonad.testing import LoudnessDetector, ScriptedDialogue, ScriptedLine, quiet, speech

REPLY = "It is twelve o'clock and the sun is shining."


class Eavesdropper(ScriptedDialogue):
    """Keeps what it overhears."""

    def __init__(self) -> None:
        super().__init__(Brief(session_id="s1", satellite="desk", language="en", aloud=True))
        self.overheard: list[Frame] = []

    async def overhear(self, frame: Frame) -> None:
        self.overheard.append(frame)


class Reply:
    """A reply that plays, and somebody in the room."""

    def __init__(
        self, *, overhears: bool = True, full_duplex: bool = True, detector: bool = True, **rules: object
    ) -> None:
        self.interruptions: list[tuple[str, tuple[Frame, ...]]] = []
        self.ducks: list[bool] = []
        self.dialogue = Eavesdropper()
        self.mouth = SimpleNamespace(
            spoken=REPLY,
            into_ms=2_000,
            pushed_s=2.0,
            silent=False,
            duck=lambda *, on: self.ducks.append(on) if self._new(on) else None,
        )
        self.announcer = SimpleNamespace(interruptible=True)
        plan = Plan(satellite="desk", backends=("b",), barge_in=Rules(**rules))  # type: ignore[arg-type]
        floor = SimpleNamespace(
            plan=plan,
            line=ScriptedLine(full_duplex=full_duplex),
            capabilities=BackendCapabilities(overhears=overhears),
            dialogue=self.dialogue,
        )
        self.bargein = BargeIn(
            floor,  # type: ignore[arg-type]
            self.mouth,  # type: ignore[arg-type]
            self.announcer,  # type: ignore[arg-type]
            lambda *what: self.interruptions.append(what),
        )
        self.detector = LoudnessDetector() if detector else None
        self.now = 100.0
        self.begin()

    def _new(self, on: bool) -> bool:
        return on != (self.ducks[-1] if self.ducks else False)

    def begin(self) -> None:
        self.turn = SimpleNamespace(number=1, endpoint="silence", acted=False, continues=False, heard_out=False)
        self.bargein.opened(self.turn, self.detector)  # type: ignore[arg-type]

    async def hear(self, *frames: Frame) -> None:
        for long in frames:
            for start in range(0, len(long.samples), 320):
                await self.bargein.hear(Frame(long.samples[start : start + 320], 16_000, self.now))
                self.now += 0.02

    @property
    def sources(self) -> list[str]:
        return [source for source, _ in self.interruptions]


def soft(seconds: float) -> Frame:
    """Speech, but not loud."""
    return Frame(speech(seconds).samples // 4, 16_000)


async def test_beluga_interruption_3_words_and_500_ms_of_speech() -> None:
    """Row: interruption | at least 3 words **and** at least 500 ms of speech."""
    words_only, speech_only, both = Reply(), Reply(), Reply()
    await words_only.hear(speech(0.4))
    words_only.bargein.overheard("turn on the lamp")
    await words_only.hear(quiet(0.5))
    assert words_only.sources == []
    await speech_only.hear(speech(0.8))
    speech_only.bargein.overheard("turn on")
    await speech_only.hear(speech(0.5))
    assert speech_only.sources == []
    await both.hear(speech(0.6))
    both.bargein.overheard("turn on the")
    assert both.sources == ["speech"]


async def test_words_may_come_after_the_speech() -> None:
    reply = Reply()
    await reply.hear(speech(0.8), quiet(1.0))
    reply.bargein.overheard("turn on the lamp")
    assert reply.sources == ["speech"]


async def test_beluga_interruption_any_either_words_or_seconds_are_enough() -> None:
    by_words, by_seconds = Reply(need="any"), Reply(need="any")
    await by_words.hear(speech(0.3))
    by_words.bargein.overheard("turn on the")
    assert by_words.sources == ["speech"]
    await by_seconds.hear(speech(0.3))
    by_seconds.bargein.overheard("lamp")
    assert by_seconds.sources == []
    await by_seconds.hear(speech(0.4))
    assert by_seconds.sources == ["speech"]


@pytest.mark.parametrize("need", ["all", "any"])
async def test_beluga_interruption_blank_text_never_interrupts(need: str) -> None:
    reply = Reply(need=need)
    await reply.hear(speech(3.0))
    reply.bargein.overheard("")
    reply.bargein.overheard(" ... ")
    await reply.hear(speech(1.0))
    assert reply.sources == []


@pytest.mark.parametrize("need", ["all", "any"])
@pytest.mark.parametrize("text", ["okay", "Mhm.", "mm-hmm", "M-hm", "yeah yeah okay", "uh huh, right", "I see"])
async def test_back_channels_never_interrupt(text: str, need: str) -> None:
    reply = Reply(need=need)
    await reply.hear(speech(0.9))
    reply.bargein.overheard(text)
    await reply.hear(quiet(2.5))
    assert reply.sources == []
    assert reply.ducks == [True, False]


async def test_a_back_channel_that_goes_on_is_more_than_one() -> None:
    reply = Reply()
    await reply.hear(speech(0.7))
    reply.bargein.overheard("okay")
    assert reply.sources == []
    reply.bargein.overheard("okay turn it off")
    assert reply.sources == ["speech"]


@pytest.mark.parametrize("text", ["stop", "Okay, stop!", "shut up", "please never mind"])
async def test_beluga_interruption_a_stop_word_bypasses_both(text: str) -> None:
    reply = Reply()
    await reply.hear(speech(0.2))
    reply.bargein.overheard(text)
    assert reply.sources == ["stop_word"]


async def test_our_own_word_stop_does_not_stop_us() -> None:
    reply = Reply()
    reply.mouth.spoken = "Say stop to silence the alarm."
    await reply.hear(speech(0.6))
    reply.bargein.overheard("stop")
    reply.bargein.overheard("stop to silence")
    assert reply.sources == []


def test_a_wish_for_quiet_is_told_from_a_wish() -> None:
    stops = Reply().bargein.stops
    assert stops("Stop!")
    assert stops("okay stop stop")
    assert not stops("okay")
    assert not stops("stop the timer")
    assert not stops("")


async def test_a_backend_that_cannot_overhear_is_interrupted_by_seconds_alone() -> None:
    reply = Reply(overhears=False)
    await reply.hear(speech(0.45))
    assert reply.sources == []
    await reply.hear(speech(0.15))
    assert reply.sources == ["speech"]
    assert reply.dialogue.overheard == []


async def test_the_reply_grows_quieter_first_and_loud_again_after_a_false_alarm_of_2_s() -> None:
    reply = Reply()
    await reply.hear(speech(0.08))
    assert reply.ducks == []
    await reply.hear(speech(0.2))
    assert reply.ducks == [True]
    await reply.hear(quiet(1.9))
    assert reply.ducks == [True]
    await reply.hear(quiet(0.2))
    assert reply.ducks == [True, False]
    assert reply.sources == []


async def test_coughs_do_not_add_up() -> None:
    reply = Reply(overhears=False)
    for _ in range(6):
        await reply.hear(speech(0.3), quiet(0.5))
    assert reply.sources == []


async def test_syllables_do_add_up() -> None:
    reply = Reply(overhears=False)
    for _ in range(3):
        await reply.hear(speech(0.25), quiet(0.1))
    assert reply.sources == ["speech"]


async def test_words_of_a_false_alarm_do_not_count_towards_the_next() -> None:
    reply = Reply()
    await reply.hear(speech(0.6))
    reply.bargein.overheard("oh well")
    await reply.hear(quiet(2.5), speech(0.6))
    reply.bargein.overheard("oh well lamp")
    assert reply.sources == []
    reply.bargein.overheard("oh well lamp on please")
    assert reply.sources == ["speech"]


async def test_a_recogniser_that_begins_anew_is_understood() -> None:
    reply = Reply()
    await reply.hear(speech(0.6))
    reply.bargein.overheard("oh well")
    await reply.hear(quiet(2.5), speech(0.6))
    reply.bargein.overheard("turn it off")
    assert reply.sources == ["speech"]


async def test_the_turn_that_follows_has_the_first_word_and_half_a_second_before() -> None:
    reply = Reply(overhears=False)
    await reply.hear(quiet(3.0), speech(0.6))
    ((_, said),) = reply.interruptions
    spoken = [frame for frame in said if frame.samples.any()]
    before = sum(frame.seconds for frame in said) - sum(frame.seconds for frame in spoken)
    assert before == pytest.approx(0.5, abs=0.06)
    assert sum(frame.seconds for frame in spoken) == pytest.approx(0.52, abs=0.04)
    assert [frame.at for frame in said] == sorted(frame.at for frame in said)


async def test_what_was_said_long_before_is_left_out_unless_it_meant_something() -> None:
    agreed, wished = Reply(), Reply()
    for reply, text in ((agreed, "mhm"), (wished, "the lamp")):
        await reply.hear(speech(0.3))
        reply.bargein.overheard(text)
        await reply.hear(quiet(1.0), speech(0.6))
        reply.bargein.overheard(f"{text} turn it off")
    lengths = [sum(frame.seconds for frame in reply.interruptions[0][1]) for reply in (agreed, wished)]
    assert lengths == pytest.approx([0.5 + 0.6, 0.3 + 1.0 + 0.6], abs=0.15)


async def test_only_suspicious_sound_is_overheard_beginning_before_it() -> None:
    reply = Reply()
    await reply.hear(quiet(5.0))
    assert reply.dialogue.overheard == []
    await reply.hear(speech(0.3))
    assert sum(frame.seconds for frame in reply.dialogue.overheard) == pytest.approx(0.8, abs=0.06)
    await reply.hear(quiet(3.0))
    assert sum(frame.seconds for frame in reply.dialogue.overheard) == pytest.approx(2.8, abs=0.1)


async def test_our_own_words_are_no_interruption_and_the_measure_of_our_echo() -> None:
    reply = Reply()
    await reply.hear(speech(0.7))
    reply.bargein.overheard("twelve o'clock and the sun")
    assert reply.sources == []
    assert reply.ducks == [True, False]
    await reply.hear(speech(3.0))
    assert reply.ducks == [True, False]  # as loud as our echo: not even suspicious


async def test_one_word_that_we_said_too_proves_nothing() -> None:
    reply = Reply()
    await reply.hear(speech(0.7))
    reply.bargein.overheard("the")
    assert reply.ducks == [True]
    reply.bargein.overheard("the lamp on the left")
    assert reply.sources == ["speech"]


async def test_without_words_the_echo_is_measured_while_the_reply_begins() -> None:
    """A line that leaks: our voice comes back softly, the user is louder."""
    reply = Reply(overhears=False)
    reply.mouth.into_ms = 300
    await reply.hear(soft(0.6))
    reply.mouth.into_ms = 2_000
    await reply.hear(soft(3.0))
    assert (reply.sources, reply.ducks) == ([], [])
    await reply.hear(speech(0.6))
    assert reply.sources == ["speech"]


async def test_somebody_who_talks_into_the_beginning_spoils_the_measure_of_one_reply_only() -> None:
    reply = Reply(overhears=False)
    reply.mouth.into_ms = 300
    await reply.hear(speech(0.6))
    reply.bargein.closed()
    reply.begin()
    reply.mouth.into_ms = 2_000
    await reply.hear(soft(0.6))
    assert reply.sources == ["speech"]


async def test_a_television_does_not_keep_the_reply_quiet_for_ever() -> None:
    reply = Reply()
    await reply.hear(speech(1.0))
    reply.bargein.overheard("breaking news")
    await reply.hear(speech(LONGEST_S - 2))
    assert reply.ducks == [True]
    await reply.hear(speech(2.0))
    assert reply.ducks == [True, False]
    reply.bargein.overheard("breaking news stop")
    assert reply.sources == ["stop_word"]
    assert sum(frame.seconds for frame in reply.interruptions[0][1]) <= LONGEST_S + 0.1


async def test_speech_without_any_word_keeps_the_reply_quiet_for_2_s_only() -> None:
    """An echo that the recogniser's grammar does not know: the reply is not quiet to its end."""
    reply = Reply()
    await reply.hear(speech(1.8))
    assert reply.ducks == [True]
    await reply.hear(speech(0.4), quiet(0.5), speech(3.0))
    assert reply.ducks == [True, False]
    reply.bargein.overheard("turn on the lamp")
    assert reply.sources == ["speech"]


async def test_who_speaks_when_the_reply_ends_by_itself_has_begun_what_follows() -> None:
    reply = Reply()
    await reply.hear(speech(0.3))
    assert sum(frame.seconds for frame in reply.bargein.closed()) == pytest.approx(0.3)
    assert reply.ducks == [True, False]
    reply.begin()
    await reply.hear(quiet(1.0))
    assert reply.bargein.closed() == ()


async def test_it_interrupts_once() -> None:
    reply = Reply()
    await reply.hear(speech(0.6))
    reply.bargein.overheard("turn on the lamp")
    reply.bargein.overheard("turn on the lamp stop")
    await reply.hear(speech(1.0))
    assert reply.sources == ["speech"]
    assert reply.bargein.turn is None


async def test_without_a_detector_words_alone_interrupt() -> None:
    reply = Reply(detector=False)
    await reply.hear(speech(2.0))
    assert reply.ducks == []
    assert len(reply.dialogue.overheard) == 100
    reply.bargein.overheard("turn on")
    assert (reply.ducks, reply.sources) == ([True], [])
    reply.bargein.overheard("turn on the lamp")
    assert reply.sources == ["speech"]


@pytest.mark.parametrize("how", [{"full_duplex": False}, {"enabled": False}])
async def test_closed_where_nobody_can_or_may_interrupt(how: dict[str, bool]) -> None:
    reply = Reply(overhears=False, **how)  # type: ignore[arg-type]
    assert reply.bargein.turn is None
    await reply.hear(speech(2.0))
    assert (reply.ducks, reply.sources) == ([], [])


async def test_what_must_be_said_to_its_end_is_not_interrupted() -> None:
    reply = Reply(overhears=False)
    reply.bargein.closed()
    reply.announcer.interruptible = False
    reply.begin()
    await reply.hear(speech(2.0))
    assert (reply.ducks, reply.sources) == ([], [])


async def test_a_stop_word_is_understood_though_the_user_was_taken_for_our_echo() -> None:
    """Who repeats three words of ours is as loud as the echo that is measured by them; but never deaf ears' victim."""
    reply = Reply()
    await reply.hear(speech(0.7))
    reply.bargein.overheard("twelve o'clock and")
    await reply.hear(quiet(0.5), speech(0.4))
    assert reply.ducks == [True, False]
    heard = len(reply.dialogue.overheard)
    await reply.hear(speech(0.2))
    assert len(reply.dialogue.overheard) == heard + 10
    reply.bargein.overheard("twelve o'clock and stop")
    assert reply.sources == ["stop_word"]


async def test_what_was_taken_for_our_echo_is_believed_again_after_3_s_without_any_echo() -> None:
    for overhears in (True, False):
        reply = Reply(overhears=overhears)
        if overhears:
            await reply.hear(speech(0.7))
            reply.bargein.overheard("twelve o'clock and")
        else:  # they began to speak where the echo is measured
            reply.mouth.into_ms = 300
            await reply.hear(speech(0.4))
            reply.mouth.into_ms = 2_000
        await reply.hear(quiet(3.0), speech(0.6))
        reply.bargein.overheard("twelve o'clock and turn it off")
        assert reply.sources == ["speech"]


async def test_what_was_taken_for_our_echo_is_believed_again_with_the_next_reply() -> None:
    reply = Reply()
    await reply.hear(speech(0.7))
    reply.bargein.overheard("twelve o'clock and")
    reply.bargein.closed()
    reply.begin()
    await reply.hear(speech(0.6))
    reply.bargein.overheard("turn it off")
    assert reply.sources == ["speech"]


async def test_before_anything_sounds_the_user_is_no_echo_however_soft() -> None:
    reply = Reply(overhears=False)
    reply.bargein.echo.measure(speech(0.1).samples)
    reply.mouth.silent, reply.mouth.into_ms = True, 0
    await reply.hear(soft(0.6))
    assert reply.sources == ["speech"]
