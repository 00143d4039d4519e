"""A Host without a daemon: what a component is opened with in a test."""

import json
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from vonad.clock import Clock, SystemClock
from vonad.errors import VonadError
from vonad.host import Answered, Host, Role, Store, Voice
from vonad.plan import AS_SET, Overrides
from vonad.sentences import Sentences
from vonad.skill import Call

NOWHERE = Path(os.devnull)
"""No folder: below it, nothing can be."""


class ScriptedStore(Store):
    """A store that forgets at the end of the test.

    values:  what is in it.
    failure: set it, and nothing can be read or kept.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.failure: VonadError | None = None

    async def get(self, key: str) -> str | None:
        if self.failure is not None:
            raise self.failure
        return self.values.get(key)

    async def set(self, key: str, value: str | None) -> None:
        if self.failure is not None:
            raise self.failure
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value


class ScriptedVoice(Voice):
    """Keeps what it was asked to say, as (satellite, text), and what was asked in its sessions, as (session, text).

    satellites: those there are; None: all.
    sessions:   id → with what it was opened; those that are closed are gone.
    answers:    text → the reply, or what is raised; a reply is read as JSON where it has to fit a schema.
    """

    def __init__(self, satellites: Sequence[str] | None = None) -> None:
        self.said: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.sessions: dict[str, Mapping[str, object]] = {}
        self.answers: dict[str, str | VonadError] = {}
        self._satellites = satellites

    async def say(self, satellite: str, text: str) -> str:
        if self._satellites is not None and satellite not in self._satellites:
            raise VonadError("not_found", f"satellite {satellite!r} is not connected", op="say")
        self.said.append((satellite, text))
        return f"say-{len(self.said)}"

    async def open(
        self,
        *,
        satellite: str | None = None,
        overrides: Overrides = AS_SET,
        resume: str | None = None,
        hooks: object | None = None,
        skills: Sequence[object] = (),
    ) -> str:
        session_id = f"session-{len(self.sessions) + 1}"
        self.sessions[session_id] = {
            "satellite": satellite,
            "overrides": overrides,
            "resume": resume,
            "hooks": hooks,
            "skills": tuple(skills),
        }
        return session_id

    async def ask(
        self,
        session_id: str,
        text: str,
        *,
        output_schema: Mapping[str, object] | None = None,
        within_s: float = 60.0,
    ) -> Answered:
        if session_id not in self.sessions:
            raise VonadError("session_not_found", f"no open session {session_id!r}", op="ask")
        self.asked.append((session_id, text))
        answer = self.answers.get(text, "")
        if isinstance(answer, VonadError):
            raise answer
        output: object = json.loads(answer) if output_schema is not None else None
        return Answered(f"{session_id}-{len(self.asked)}", answer, "completed", output)

    async def close(self, session_id: str) -> None:
        if self.sessions.pop(session_id, None) is None:
            raise VonadError("session_not_found", f"no open session {session_id!r}", op="close")


class ScriptedHost(Host):
    """A house without a daemon.

    directory: its `config` and `cache` are the host's; None: there is nothing to read, and nothing can be written.
    engines:   role → name → an engine that is open.
    """

    store: ScriptedStore
    service: ScriptedVoice

    def __init__(
        self,
        directory: Path | None = None,
        *,
        name: str = "part",
        language: str = "en",
        timezone: str = "UTC",
        engines: Mapping[Role, Mapping[str, object]] | None = None,
        sentences: Sentences | None = None,
        satellites: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.language = language
        self.timezone = ZoneInfo(timezone)
        self.clock = clock or SystemClock()
        self.log = logging.getLogger(f"vonad.plugin.{name}")
        directory = directory or NOWHERE
        self.config_dir = directory / "config"
        self.cache_dir = directory / "cache"
        self.store = ScriptedStore()
        self.service = ScriptedVoice()
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
    async def engine(self, role: Role, name: str) -> AsyncIterator[object]:  # type: ignore[override]  # one for all roles
        if name not in self.engines(role):
            raise VonadError("backend_unavailable", f"no {role} engine {name!r} in this test", op=name)
        yield self._engines[role][name]

    def call(self, text: str = "", *, satellite: str | None = "desk", previous_reply: str = "") -> Call:
        """The circumstances of a skill that this host's house runs."""
        return Call(
            id="call-1",
            text=text,
            satellite=satellite,
            session_id="session-1",
            language=self.language,
            previous_reply=previous_reply,
            host=self,
        )
