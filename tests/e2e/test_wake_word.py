"""Somebody says the wake word into a real sound server: a session opens. Somebody says anything else: none does."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.house import house, watch
from tests.parts.sound import Sound
from vonad import Samples, read_wav, silence

pytestmark = pytest.mark.real("audio")

DESK = """
[transports.desk]
kind = "local_audio"
input = "vonad_mic"
output = "vonad_spk"
[wake]
words = ["okay_nabu", "hey_jarvis"]
"""
WAKE_WORDS = {
    "wake_okay_nabu_1": "okay_nabu",
    "wake_okay_nabu_2": "okay_nabu",
    "wake_hey_jarvis_1": "hey_jarvis",
    "wake_hey_jarvis_2": "hey_jarvis",
}
OTHERS = [
    "what_time_is_it",
    "whats_the_date_today",
    "turn_on_the_lamp",
    "set_timer",
    "play_the_beatles",
    "this_is_a_test",
]


@pytest.fixture
def devices(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> Sound:
    for name, value in sound.env.items():
        monkeypatch.setenv(name, value)
    return sound


def recording(audio: Path, name: str) -> Samples:
    return read_wav((audio / f"{name}.wav").read_bytes()).samples


async def test_a_wake_word_and_a_question_in_one_breath_are_answered_aloud(
    devices: Sound, tmp_path: Path, audio: Path, broker_port: int | None
) -> None:
    wake = recording(audio, "wake_okay_nabu_1")[: round(3.06 * 16_000)]  # up to the end of the word
    breath = np.concatenate((wake, silence(0.1), recording(audio, "what_time_is_it"), silence(0.5)))
    async with house(tmp_path, DESK, broker_port=broker_port) as home, watch(home) as mqtt:
        await mqtt.until(lambda: "online" in mqtt.payloads("satellite/desk/availability"), "desk online")
        with devices.record() as speaker:
            await asyncio.to_thread(devices.play, breath)
            await mqtt.until(mqtt.ended, "turn.ended")
        [accepted] = mqtt.events("desk", "wake_accepted")
        assert (accepted["phrase"], accepted["source"]) == ("okay_nabu", "detector")
        assert mqtt.said("satellite/desk/transcript") == "what time is it"
        assert np.abs(speaker.samples.astype(np.int32)).max() > 3_000


async def test_every_wake_word_opens_a_session_and_nothing_else_does(
    devices: Sound, tmp_path: Path, audio: Path, broker_port: int | None
) -> None:
    quick = f"{DESK}cooldown_s = 0\n[session]\nno_speech_s = 1\n"
    async with house(tmp_path, quick, broker_port=broker_port) as home, watch(home) as mqtt:
        await mqtt.until(lambda: "online" in mqtt.payloads("satellite/desk/availability"), "desk online")
        for name in OTHERS:
            await asyncio.to_thread(devices.play, recording(audio, name))
        assert not [topic for topic, _, _ in mqtt.seen if topic.startswith("session/")]
        assert not mqtt.events("desk", "wake_refused")
        for number, (name, phrase) in enumerate(WAKE_WORDS.items(), start=1):
            await asyncio.to_thread(devices.play, np.concatenate((recording(audio, name), silence(0.5))))
            await mqtt.until(lambda: len(mqtt.events("desk", "wake_accepted")) >= number, name)  # noqa: B023
            assert mqtt.events("desk", "wake_accepted")[-1]["phrase"] == phrase
            await mqtt.until(lambda: mqtt.payloads("satellite/desk/state")[-1] == "idle", "idle again")
