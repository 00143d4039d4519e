"""A backend is lost while somebody speaks, through the whole house: the bridge hears it from the beginning."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.house import HERE, House, house, watch


@pytest.fixture
async def home(tmp_path: Path, audio: Path, broker_port: int | None) -> AsyncIterator[House]:
    config = (
        "[session]\nbackends = ['fickle', 'bridge']\n[backends.fickle]\n[transports.desk]\nkind = 'wav'\n"
        f"microphone = ['{audio / 'turn_on_the_lamp.wav'}', '{audio / 'whats_the_date_today.wav'}']\n"
        f"speaker = '{tmp_path / 'out.wav'}'\n"
    )
    drop_ins = (HERE / "lamp.py", HERE / "fickle.py")
    async with house(tmp_path, config, broker_port=broker_port, drop_ins=drop_ins) as made:
        yield made


async def test_vona_bridge_fallback_is_a_real_switch_in_mid_session_with_the_conversation_kept(home: House) -> None:
    async with watch(home) as mqtt:
        await mqtt.publish("satellite/desk/wake")
        await mqtt.until(mqtt.ended, "a turn")

        def events(kind: str) -> list[dict[str, object]]:
            found = [payload for topic, payload, _ in mqtt.seen if topic.endswith(f"/event/{kind}")]
            return [json.loads(payload)["data"] for payload in found]

        assert events("fallback.started") == [{"reason": "backend_unavailable", "from": "fickle", "to": "bridge"}]
        assert events("fallback.completed") == [{"from": "fickle", "to": "bridge"}]
        assert mqtt.said("satellite/desk/transcript") == "turn on the lamp"
        assert mqtt.said("satellite/desk/reply") == "The lamp is on."
        attributes = "satellite/desk/attributes"
        await mqtt.until(lambda: mqtt.payloads(attributes), attributes)
        told = json.loads(mqtt.payloads(attributes)[-1])
        assert (told["backend"], told["degraded"], told["outcome"]) == ("bridge", True, "completed")

        await mqtt.publish("satellite/desk/wake")
        await mqtt.until(lambda: len(events("turn.ended")) == 2, "the second turn")
        assert len(events("fallback.started")) == 1, "it is sticky"
        [session] = {topic.split("/")[1] for topic, _, _ in mqtt.seen if topic.startswith("session/")}
        assert (await home.service.sessions.read(session)).degraded
