"""Fixtures for tests of plugins. pytest imports this wherever vonad is installed: what is heavy waits until it is used.

The fixture `assistant` is asynchronous: it needs pytest-asyncio.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

try:
    from pytest_asyncio import fixture as asynchronous
except ImportError:  # nobody here tests an assistant
    from pytest import fixture as asynchronous  # type: ignore[no-redef]  # noqa: PT013  (one name for both)


@pytest.fixture
def assistant_config() -> str:
    """What stands in the vonad.toml of the assistant; override it."""
    return ""


@pytest.fixture
def assistant_plugins() -> Sequence[ModuleType | type]:
    """Modules with @hookimpl functions, and skill classes, besides the plugins that are installed; override it."""
    return ()


@asynchronous
async def assistant(
    tmp_path: Path, assistant_config: str, assistant_plugins: Sequence[ModuleType | type]
) -> AsyncIterator[object]:
    """A whole house to talk to: `await assistant.say("what time is it")`, `await assistant.hear("x.wav")`."""
    from vonad.testing.assistant import open_assistant

    async with open_assistant(tmp_path / "vonad", config=assistant_config, plugins=assistant_plugins) as opened:
        yield opened
