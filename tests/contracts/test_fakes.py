"""The fakes of vonad.testing keep the contracts' promises, as the real things do."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from vonad.backend import BackendCapabilities, Brief
from vonad.clock import SystemClock
from vonad.errors import VonadError
from vonad.host import NoSettings
from vonad.plan import ContextEvent
from vonad.sentences import Sentences
from vonad.testing import (
    EchoSkill,
    LoudnessDetector,
    ManualClock,
    ScriptedAgent,
    ScriptedBackend,
    ScriptedDialogue,
    ScriptedFrontend,
    ScriptedHost,
    ScriptedLine,
    ScriptedSpeechToText,
    ScriptedTextToSpeech,
    ScriptedTransport,
    ScriptedTurnDetector,
    ScriptedWakeWordDetector,
    check_agent,
    check_backend,
    check_component,
    check_frontend,
    check_skill,
    check_speech_to_text,
    check_text_to_speech,
    check_transport,
    check_turn_detector,
    check_voice_activity_detector,
    check_wake_word_detector,
    chirp,
    noise,
    pieces,
    quiet,
    ramp,
    settle,
    speech,
    tone,
)

EVERYTHING = BackendCapabilities(
    hears=True,
    overhears=True,
    prepares=True,
    fills=True,
    context_injection=True,
    style_conditioning=True,
    summarises=True,
    structured_output=True,
)


@pytest.mark.parametrize("paced", [False, True])
async def test_vona_test_harness_the_scripted_transport_and_its_lines_keep_their_promises(paced: bool) -> None:
    def connected() -> ScriptedTransport:
        transport = ScriptedTransport()
        line = transport.connect(ScriptedLine(pace=SystemClock() if paced else None))
        for number, frame in enumerate(pieces(speech(0.2))):
            line.captured.put(type(frame)(frame.samples, frame.rate, float(number + 1)))
        return transport

    await check_transport(connected)


@pytest.mark.parametrize(
    "capabilities",
    [BackendCapabilities(), EVERYTHING, replace(EVERYTHING, turn_detection=True)],
    ids=["nothing more", "everything", "finds the end of turns"],
)
async def test_vona_test_harness_the_scripted_backend_keeps_its_promises(capabilities: BackendCapabilities) -> None:
    backend = ScriptedBackend(capabilities, replies=lambda text: f"You said {text}.", words="what time is it")
    await check_backend(backend, recording=speech(0.5))


async def test_the_scripted_recogniser_keeps_its_promises() -> None:
    await check_speech_to_text(ScriptedSpeechToText())
    await check_speech_to_text(
        ScriptedSpeechToText(*["what time is it"] * 20), recordings={"what time is it": speech(1)}
    )


@pytest.mark.parametrize("rate", [16_000, 22_050])
async def test_the_scripted_voice_keeps_its_promises(rate: int) -> None:
    await check_text_to_speech(ScriptedTextToSpeech(rate=rate))


async def test_the_scripted_agent_keeps_its_promises() -> None:
    answers = {"hello": ["Hel", "lo."], "clock": ("clock", {"what": "time"}), "quiet": []}
    await check_agent(ScriptedAgent(answers), understood=list(answers), calls=["clock"])


async def test_the_loudness_detector_keeps_its_promises() -> None:
    await check_voice_activity_detector(LoudnessDetector(), voice=speech(1.0))


async def test_the_scripted_turn_detector_keeps_its_promises() -> None:
    lamp = "turn on the lamp"
    detector = ScriptedTurnDetector(lamp, f"{lamp} in the kitchen")
    await check_turn_detector(detector, whole=[lamp], begun=["turn on", lamp])


async def test_the_scripted_wake_word_detector_keeps_its_promises() -> None:
    detector = ScriptedWakeWordDetector("okay_nabu", "hey_jarvis")
    await check_wake_word_detector(detector, recordings={word: [detector.spoken(word)] for word in detector.words()})


async def test_vona_test_harness_the_echo_skill_keeps_its_promises(tmp_path: Path) -> None:
    host = ScriptedHost(tmp_path)
    await check_component(lambda: EchoSkill(NoSettings(), host))
    async with EchoSkill(NoSettings(), host) as skill:
        await check_skill(skill, also=[{}])
        assert await skill.run(EchoSkill.Args(word="two"), host.call("echo two")) == "You said two."


async def test_the_scripted_frontend_keeps_its_promises() -> None:
    await check_frontend(ScriptedFrontend())


def test_vona_test_harness_waveform_fixtures_are_the_same_in_every_run() -> None:
    makers = (lambda: tone(0.1), lambda: chirp(0.1), lambda: noise(0.1), lambda: ramp(0.1), lambda: speech(0.1))
    for make in makers:
        assert make().samples.tobytes() == make().samples.tobytes()
        assert make().seconds == pytest.approx(0.1)
    assert noise(0.1, seed=2).samples.tobytes() != noise(0.1).samples.tobytes()
    assert list(ramp(1 / 4000, last=300).samples) == [0, 100, 200, 300]
    assert not quiet(0.1).samples.any()
    cut = list(pieces(tone(0.05)))
    assert [len(piece.samples) for piece in cut] == [320, 320, 160]


async def test_a_scripted_dialogue_names_the_rule_that_was_broken() -> None:
    brief = Brief(session_id="s", satellite=None, language="en", aloud=True)
    async with ScriptedBackend().open(brief) as dialogue:
        with pytest.raises(AssertionError, match=r"Dialogue\.hear belongs to an open turn: `begin` comes first"):
            await dialogue.hear(quiet(0.02))
        await dialogue.begin(1, sentences=Sentences(), history=())
        with pytest.raises(AssertionError, match="takes frames of 16000 Hz: got 8000 Hz"):
            await dialogue.hear(quiet(0.02, rate=8_000))
        with pytest.raises(AssertionError, match="only of backends whose capabilities say `prepares`"):
            await dialogue.prepare("what")
        with pytest.raises(AssertionError, match="numbered upwards"):
            await dialogue.begin(1, sentences=Sentences(), history=())
    with pytest.raises(AssertionError, match="frames at the playback rate, 16000 Hz"):
        await ScriptedLine().play(quiet(0.02, rate=8_000))


async def test_a_paced_line_plays_at_the_pace_of_its_clock() -> None:
    clock = ManualClock()
    line = ScriptedLine(pace=clock)

    async def play() -> None:
        for _ in range(20):
            await line.play(tone(0.1))

    async with asyncio.TaskGroup() as group:
        playing = group.create_task(play())
        await clock.advance(0.2)
        assert line.played == pytest.approx(0.2)
        assert 0.49 < sum(frame.seconds for frame in line.sound) - line.played < 0.61  # half a second ahead, and one
        await clock.advance(0.3)
        playing.cancel()
        before = line.played
        await line.clear()
        await line.drained()
        await clock.advance(5.0)
        assert line.played == before == pytest.approx(0.5)
        await line.play(tone(0.3))
        draining = group.create_task(line.drained())
        await clock.advance(0.2)
        assert not draining.done()
        await clock.advance(0.1)
        assert draining.done()


async def test_a_scripted_dialogue_fails_and_hangs_where_it_is_told_to() -> None:
    brief = Brief(session_id="s", satellite=None, language="en", aloud=True)
    async with ScriptedBackend().open(brief) as dialogue:
        assert isinstance(dialogue, ScriptedDialogue)
        dialogue.failures["begin"] = VonadError("backend_step_failed", "it fell over")
        with pytest.raises(VonadError, match="it fell over"):
            await dialogue.begin(1, sentences=Sentences(), history=())
        dialogue.hang.add("interrupt")
        hanging = asyncio.ensure_future(dialogue.interrupt())
        await settle()
        assert not hanging.done()
        hanging.cancel()
        with pytest.raises(VonadError, match="takes no context"):
            await dialogue.inject(ContextEvent(source="door"))


async def test_a_scripted_backend_fails_to_open_or_close_where_it_is_told_to() -> None:
    backend = ScriptedBackend()
    brief = Brief(session_id="s", satellite=None, language="en", aloud=True)
    backend.failure = VonadError("backend_start_failed", "no such model")
    with pytest.raises(VonadError, match="no such model"):
        await backend.open(brief).__aenter__()
    backend.failure, backend.closing = None, VonadError("backend_step_failed", "it will not close")
    context = backend.open(brief)
    await context.__aenter__()
    with pytest.raises(VonadError, match="it will not close"):
        await context.__aexit__(None, None, None)
