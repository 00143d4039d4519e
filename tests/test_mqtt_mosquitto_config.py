"""The sample configuration of Mosquitto, as shipped, on a real one."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiomqtt
import pytest
from aiomqtt import ProtocolVersion

from tests.mqtt_house import BASE, FakeHouse, served, watching
from tests.parts.mosquitto import PLACES, Mosquitto
from vonad.mqtt.connection import Broker, ConnectionFailed, connect

FOLDER = Path(__file__).parent.parent / "config" / "mosquitto"
USERS = ("vonad", "automation", "panel")

pytestmark = pytest.mark.real("mosquitto")


@pytest.fixture
def shipped(mosquitto_with: Callable[[str], Mosquitto], tmp_path: Path) -> Mosquitto:
    """The files as they are, but for the places where Debian keeps them."""
    shutil.copy(FOLDER / "vonad.acl", tmp_path)
    (tmp_path / "passwd").write_text("".join(f"{user}:secret of {user}\n" for user in USERS))
    program = shutil.which("mosquitto_passwd", path=PLACES)
    assert program
    subprocess.run([program, "-U", tmp_path / "passwd"], check=True)
    config = (FOLDER / "vonad.conf").read_text()
    assert "listener 1883\n" in config
    config = config.replace("listener 1883\n", "listener {port} 127.0.0.1\npersistence false\n")
    return mosquitto_with(config.replace("/etc/mosquitto", str(tmp_path)))


def credentials(user: str) -> dict[str, str]:
    return {"username": user, "password": f"secret of {user}"}


async def tries(broker: Mosquitto, user: str, leaf: str, payload: bytes, *, retain: bool = False) -> None:
    """Publish what may not be allowed: Mosquitto 2.0.11 cuts off who does, later ones ignore it."""
    own = Broker(host="127.0.0.1", port=broker.port, **credentials(user))
    with suppress(aiomqtt.MqttError, ConnectionFailed):
        async with connect(own, ProtocolVersion.V5, identifier=f"{user}-tries", deliver=lambda _: None) as client:
            await client.publish(f"{BASE}/{leaf}", payload, qos=1, retain=retain)


async def test_the_daemon_may_do_all_it_needs(shipped):
    house = FakeHouse("desk")
    async with watching(shipped.port, **credentials("automation")) as automation:
        async with served(house, shipped.port, **credentials("vonad")):
            await automation.publish("satellite/desk/wake")
            await automation.saw("satellite/desk/state", b"listening")
            for leaf in ("text", "say", "stop"):
                await automation.publish(f"satellite/desk/{leaf}", b"hello")
            await automation.publish("satellite/attic/say", b"hello")
            await automation.told("event", event_type="error", op="mqtt.say")
            assert (len(house.texts), len(house.says), len(house.stops)) == (1, 1, 1)
        await automation.saw("status", b"offline")
    assert [ok for ok, _ in house.health] == [True]


async def test_nobody_comes_in_without_a_password(shipped):
    with pytest.raises(aiomqtt.MqttError, match="ot authori"):
        async with watching(shipped.port):
            pass


async def test_an_automation_cannot_speak_for_the_daemon(shipped):
    house = FakeHouse("desk")
    async with (
        watching(shipped.port, **credentials("automation")) as automation,
        served(house, shipped.port, **credentials("vonad")),
    ):
        await tries(shipped, "automation", "satellite/desk/state", b"responding", retain=True)
        await tries(shipped, "automation", "status", b"offline", retain=True)
        await automation.publish("satellite/desk/wake")
        await automation.saw("satellite/desk/state", b"listening")
        assert automation.payloads("status") == [b"online"]
        assert b"responding" not in automation.payloads("satellite/desk/state")


async def test_a_panel_sees_states_and_no_words_and_opens_no_microphone(shipped):
    house = FakeHouse("desk")
    states = f"{BASE}/satellite/+/state"
    async with (
        watching(shipped.port, states, f"{BASE}/#", **credentials("panel")) as panel,
        watching(shipped.port, **credentials("automation")) as automation,
        served(house, shipped.port, **credentials("vonad")),
    ):
        await tries(shipped, "panel", "satellite/desk/wake", b'{"id":"panel"}')
        await automation.publish("satellite/desk/wake", b'{"id":"automation"}')
        await panel.saw("satellite/desk/state", b"listening")
        assert [wake.id for wake in house.wakes] == ["automation"]
        await automation.told("satellite/desk/event", event_type="wake_accepted")
        leaves = {topic.rsplit("/", 1)[1] for topic, _, _ in panel.seen}
        assert leaves <= {"status", "availability", "state"}
