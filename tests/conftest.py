"""Which parts of the world a test needs, and the fixtures that provide them."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.parts.mosquitto", "tests.parts.sound"]

AUDIO = Path(__file__).parent / "audio"


@pytest.fixture
def audio() -> Path:
    """The folder of recordings of people."""
    return AUDIO
