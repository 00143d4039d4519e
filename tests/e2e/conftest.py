"""Every story is told over both brokers."""

import pytest

from tests.parts.mosquitto import Mosquitto


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.real("mosquitto"))])
def broker_port(request: pytest.FixtureRequest) -> int | None:
    """Where a broker listens on this machine; None: the daemon starts its own."""
    if request.param == "embedded":
        return None
    mosquitto: Mosquitto = request.getfixturevalue("mosquitto")
    return mosquitto.port
