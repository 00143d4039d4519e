"""A person speaks, the house answers: wake on MQTT, microphone, VAD, STT, skill, TTS, sound, MQTT, SQLite."""

import sqlite3
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.e2e.house import House, house, watch
from vonad import read_wav

COMMANDS = {
    "what_time_is_it": ("what time is it", "It is "),
    "whats_the_date_today": ("what's the date today", "Today is "),
    "turn_on_the_lamp": ("turn on the lamp", "The lamp is on."),
    "set_timer": ("set a timer for ten minutes", "Timer set for 10 minutes."),
}
NO_COMMANDS = ["this_is_a_test", "play_the_beatles"]


def desk(audio: Path, folder: Path, *names: str, realtime: bool = False) -> str:
    files = ", ".join(f"'{audio / name}.wav'" for name in names)
    pace = "true" if realtime else "false"
    sound = f"microphone = [{files}]\nspeaker = '{folder / 'out.wav'}'\nrealtime = {pace}"
    return f"[transports.desk]\nkind = 'wav'\n{sound}\n"


@pytest.fixture
async def home(
    request: pytest.FixtureRequest, tmp_path: Path, audio: Path, broker_port: int | None
) -> AsyncIterator[House]:
    recordings = getattr(request, "param", ("what_time_is_it",))
    async with house(tmp_path, desk(audio, tmp_path, *recordings), broker_port=broker_port) as made:
        yield made


@pytest.mark.parametrize(("home", "name"), [((name,), name) for name in COMMANDS], indirect=["home"])
async def test_every_command_is_understood_from_the_wake_to_the_history(home: House, name: str) -> None:
    said, reply = COMMANDS[name]
    async with watch(home) as mqtt:
        await mqtt.until(lambda: "idle" in mqtt.payloads("satellite/desk/state"), "the retained state")
        await mqtt.publish("satellite/desk/wake")
        await mqtt.until(mqtt.ended, "turn.ended")
        await mqtt.until(lambda: mqtt.payloads("satellite/desk/state")[-2:] == ["responding", "idle"], "idle again")
        # What is true is published anew whenever the daemon arrives on the broker: the same state may be seen twice.
        states = [state for state, _ in groupby(mqtt.payloads("satellite/desk/state"))]
        assert states == ["idle", "listening", "processing", "responding", "idle"]
        assert len(mqtt.events("desk", "wake_accepted")) == 1
        assert mqtt.said("satellite/desk/transcript") == said
        answered = mqtt.said("satellite/desk/reply")
        assert answered.startswith(reply)
    [turn] = await home.service.house.history()
    assert (turn.transcript, turn.outcome, turn.satellite) == (said, "completed", "desk")
    assert turn.reply == turn.heard == answered


@pytest.mark.parametrize(("home", "name"), [((name,), name) for name in NO_COMMANDS], indirect=["home"])
async def test_what_is_no_command_runs_no_skill_and_is_apologised_for(home: House, name: str) -> None:
    async with watch(home) as mqtt:
        await mqtt.publish("satellite/desk/wake")
        await mqtt.until(mqtt.ended, "turn.ended")
        assert not [topic for topic, _, _ in mqtt.seen if "skill" in topic]
        assert mqtt.said("satellite/desk/reply") == "Sorry, I did not get that."
    [turn] = await home.service.house.history()
    assert (turn.outcome, turn.skills) == ("not_understood", [])


async def test_the_spoken_reply_is_real_sound_and_the_row_is_really_in_the_file(home: House, tmp_path: Path) -> None:
    async with watch(home) as mqtt:
        await mqtt.publish("satellite/desk/wake")
        await mqtt.until(mqtt.ended, "turn.ended")
    with sqlite3.connect(f"file:{home.database}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT transcript, outcome FROM turns").fetchall()
    database.close()
    assert rows == [("what time is it", "completed")]
    sound = read_wav((tmp_path / "out.wav").read_bytes())
    assert sound.seconds > 0.5
    assert abs(sound.samples.astype("int32")).max() > 3_000
