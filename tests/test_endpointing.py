"""Where speech ends, on recordings of people; and what an ancestor's defaults have become."""

import wave
from pathlib import Path

import numpy as np
import pytest
from vonad_silero import WINDOW, SileroVad

from vonad import NoSettings
from vonad.frame import Frame, Samples, silence
from vonad.plan import PATIENCE, Endpointing
from vonad.session.hearing import SHORTEST_SPEECH_S, SPEECH_ON, Hearing, quiet_behind
from vonad.testing import LoudnessDetector, ScriptedHost, noise, quiet, speech

AUDIO = Path(__file__).parent / "audio"

DIED_AWAY = {"what_time_is_it": 1.57, "whats_the_date_today": 1.66, "turn_on_the_lamp": 1.87, "set_timer": 1.88}
"""Seconds at which the voice is a thirtieth of its loudness for the last time."""


def recording(name: str) -> Samples:
    with wave.open(str(AUDIO / f"{name}.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def heard(hearing: Hearing, sound: Samples) -> str | None:
    """The reason; the frames are 20 ms."""
    for start in range(0, len(sound), 320):
        reason = hearing.push(Frame(sound[start : start + 320].copy(), 16_000, at=start / 16_000))
        if reason is not None:
            return reason
    return None


@pytest.mark.parametrize("name", DIED_AWAY)
async def test_the_end_of_speech_is_where_the_voice_died_away_not_where_the_detector_noticed(
    tmp_path: Path, name: str
) -> None:
    sound = np.concatenate([recording(name), silence(1.0)])
    async with SileroVad(NoSettings(), ScriptedHost(tmp_path)) as detector:
        hearing = Hearing(detector.stream(), detector.window, Endpointing())
        assert heard(hearing, sound) == "silence"
    assert hearing.speech_end_at == pytest.approx(DIED_AWAY[name], abs=0.03)


@pytest.mark.parametrize("name", DIED_AWAY)
async def test_in_noise_the_detector_is_believed(tmp_path: Path, name: str) -> None:
    voice = recording(name).astype(np.int32)
    loud = noise(len(voice) / 16_000 + 1.0, amplitude=900).samples.astype(np.int32)
    loud[: len(voice)] += voice
    async with SileroVad(NoSettings(), ScriptedHost(tmp_path)) as detector:
        hearing = Hearing(detector.stream(), detector.window, Endpointing())
        heard(hearing, np.clip(loud, -32768, 32767).astype(np.int16))
    assert hearing.speech_end_at == pytest.approx(DIED_AWAY[name], abs=0.3)


def test_quiet_is_measured_to_ten_milliseconds() -> None:
    assert quiet_behind(np.concatenate([speech(0.5).samples, silence(0.2)])) == 3_200
    assert quiet_behind(speech(0.5).samples) == 0
    assert quiet_behind(silence(0.0)) == 0


def test_noise_as_loud_as_the_voice_is_not_quiet() -> None:
    assert quiet_behind(np.concatenate([noise(0.5).samples, noise(0.5, amplitude=3_000).samples])) == 0


# What an ancestor had as defaults


def test_beluga_vad_defaults_silero_0_5_and_512_samples_at_16_khz() -> None:
    assert SPEECH_ON == 0.5
    assert WINDOW == SileroVad.window == 512


def test_beluga_vad_minimum_speech_is_shorter_here_so_that_stop_is_speech() -> None:
    """0.25 s there. A detector hears only 0.2 s of the word "stop"; a knock lasts 0.1 s."""
    assert SHORTEST_SPEECH_S < 0.2
    spoken, knocked = (Hearing(LoudnessDetector().stream(), LoudnessDetector.window, Endpointing()) for _ in range(2))
    for hearing, seconds in ((spoken, 0.2), (knocked, 0.1)):
        heard(hearing, np.concatenate([speech(seconds).samples, silence(0.3)]))
    assert (spoken.spoke, knocked.spoke) == (True, False)


def test_beluga_vad_maximum_silence_is_longer_here_unless_the_words_are_a_whole_sentence() -> None:
    """0.5 s there. People pause for that long in a sentence; behind a whole one less is enough."""
    assert (PATIENCE["default"].silence_s, PATIENCE["default"].complete_s) == (0.7, 0.2)
    for preset in PATIENCE.values():
        assert preset.complete_s < 0.5 < preset.silence_s < preset.partial_s


@pytest.mark.parametrize(
    ("verdict", "reason", "after"),
    [("complete", "semantic", 0.2), ("open", "silence", 0.7), ("unknown", "silence", 0.7), ("partial", "silence", 1.2)],
)
def test_beluga_turn_detection_is_by_silence_and_meaning(verdict: str, reason: str, after: float) -> None:
    hearing = Hearing(LoudnessDetector().stream(), LoudnessDetector.window, Endpointing())
    assert heard(hearing, speech(1.0).samples) is None
    match verdict:
        case "complete" | "open" | "partial" | "unknown":
            hearing.told(verdict)
    for step in range(1, 100):
        if (ended := hearing.push(Frame(quiet(0.02).samples, 16_000))) is not None:
            assert (ended, step * 0.02) == (reason, pytest.approx(after, abs=0.05))
            return
    pytest.fail("it did not end")


def test_beluga_turn_detection_has_a_maximum() -> None:
    hearing = Hearing(LoudnessDetector().stream(), LoudnessDetector.window, Endpointing(maximum_s=2.0))
    assert heard(hearing, speech(3.0).samples) == "max_length"
