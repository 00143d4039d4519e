"""Somebody speaks over the reply, as a recording on a full-duplex satellite, through the whole house."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.house import House, house, watch
from vonad import CAPTURE_RATE, Frame, read_wav, silence, write_wav

PAUSE_S = 1.5
"""Between the question and what is said over its answer, which lasts three seconds."""


@pytest.fixture
async def home(tmp_path: Path, audio: Path, broker_port: int | None) -> AsyncIterator[House]:
    question, wish = (
        read_wav((audio / f"{name}.wav").read_bytes()).samples for name in ("whats_the_date_today", "turn_on_the_lamp")
    )
    recording = tmp_path / "both.wav"
    recording.write_bytes(write_wav([Frame(np.concatenate((question, silence(PAUSE_S), wish)), CAPTURE_RATE)]))
    desk = (
        f"[transports.desk]\nkind = 'wav'\nmicrophone = ['{recording}']\nspeaker = '{tmp_path / 'out.wav'}'\n"
        "full_duplex = true\n"
    )
    async with house(tmp_path, desk, broker_port=broker_port) as made:
        yield made


async def test_who_speaks_over_a_reply_is_answered_instead(home: House) -> None:
    async with watch(home) as mqtt:
        await mqtt.publish("satellite/desk/wake")

        def ended() -> list[str]:
            return [payload for topic, payload, _ in mqtt.seen if topic.endswith("/event/turn.ended")]

        await mqtt.until(lambda: len(ended()) == 2, "two turns")
        assert [topic for topic, _, _ in mqtt.seen if topic.endswith("/event/interruption")]
    first, second = await home.service.house.history()
    assert first.transcript == "what's the date today"
    assert first.outcome in {"interrupted", "superseded"}
    assert first.reply.startswith("Today is")
    assert len(first.heard.split()) < len(first.reply.split())
    assert (second.transcript, second.reply, second.outcome) == ("turn on the lamp", "The lamp is on.", "completed")
