"""A Host for tests of bundled plugins: real clock and directories, engines from a dictionary."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from vonad import Clock, Host, Role, Sentences, Store, SystemClock, Voice, VonadError


class FakeStore(Store):
    """A store that forgets at the end of the test."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        return self.values.get(key)

    async def set(self, key: str, value: str | None) -> None:
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value


class FakeVoice(Voice):
    """Keeps what it was asked to say, as (satellite, text)."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def say(self, satellite: str, text: str) -> str:
        self.said.append((satellite, text))
        return f"say-{len(self.said)}"


class FakeHost(Host):
    """A house without a daemon.

    directory: its `config` and `cache` are the host's.
    engines:   role → name → an engine that is open.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "part",
        language: str = "en",
        engines: Mapping[Role, Mapping[str, object]] | None = None,
        sentences: Sentences | None = None,
        satellites: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.language = language
        self.timezone = ZoneInfo("UTC")
        self.clock = clock or SystemClock()
        self.log = logging.getLogger(f"vonad.plugin.{name}")
        self.config_dir = directory / "config"
        self.cache_dir = directory / "cache"
        self.store = FakeStore()
        self.service = FakeVoice()
        self._engines = dict(engines or {})
        self._sentences = sentences or Sentences()
        self._satellites = tuple(satellites)

    @property
    def satellites(self) -> Sequence[str]:
        return self._satellites

    @property
    def sentences(self) -> Sentences:
        return self._sentences

    def engines(self, role: Role) -> Sequence[str]:
        return list(self._engines.get(role, {}))

    @asynccontextmanager
    async def engine(self, role: Role, name: str) -> AsyncIterator[object]:
        if name not in self.engines(role):
            raise VonadError("backend_unavailable", f"no {role} engine {name!r} in this test")
        yield self._engines[role][name]
