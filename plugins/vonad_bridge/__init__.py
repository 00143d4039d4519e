"""The bridge: a backend made of engines. Speech to text, an agent, text to speech, streaming at every joint."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Self

from vonad import (
    Agent,
    Backend,
    BackendCapabilities,
    Brief,
    Component,
    Dialogue,
    Exchange,
    Frame,
    Host,
    Registrar,
    Style,
    VonadError,
    closing,
    hookimpl,
)
from vonad_bridge.dialogue import open_dialogue
from vonad_bridge.settings import Cascade, Settings
from vonad_bridge.tries import Tries
from vonad_bridge.voice import spoken

__all__ = ["VONAD_API", "Bridge", "Settings", "register_backends"]

VONAD_API = ">=1,<2"


class Bridge(Component[Settings], Backend):
    """Neither finds the end of a turn itself nor answers sound: the session hears, and hands the transcript back."""

    def __init__(self, settings: Settings, host: Host) -> None:
        super().__init__(settings, host)
        self.capabilities = BackendCapabilities(
            overhears=bool(settings.stt),
            prepares=bool(settings.agent),
            fills=bool(settings.tts and settings.fillers != []),
            context_injection=bool(settings.agent),
            style_conditioning=bool(settings.tts),
            structured_output=bool(settings.agent),
        )
        self._cascade = Cascade(host, settings)

    async def __aenter__(self) -> Self:
        """See which of the agents can sum up, and which recognisers need the whole sound."""
        for name in self.settings.stt:
            if await self._needs_the_whole(name):
                self._cascade.batch.add(name)
        able = [await self._may_sum_up(name) for name in self.settings.agent]
        self.capabilities = replace(self.capabilities, summarises=any(able))
        return self

    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        return open_dialogue(self._cascade, brief)

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        sound = spoken(self._cascade, text, language=language, style=style, tell=self._tell)
        async with closing(sound) as frames:
            async for frame in frames:
                yield frame

    async def summarise(self, history: Sequence[Exchange], *, language: str) -> str:
        """By the first agent that can. When it turns out that none ever will, `capabilities` says so from then on."""
        able = False
        tries = Tries("agent", self.settings.agent, self.host, self._tell)
        while (name := await tries.next()) is not None:
            try:
                async with self.host.engine("agent", name) as agent:
                    return await agent.summarise(history, language=language)
            except VonadError as error:
                able = able or error.code != "capability_unsupported"
                tries.failed(error)
        if not able:
            self.capabilities = replace(self.capabilities, summarises=False)
        nobody = f"no agent of [backends.bridge] agent = {self.settings.agent} can sum up a conversation"
        raise tries.error if able and tries.error is not None else VonadError("capability_unsupported", nobody)

    async def _may_sum_up(self, name: str) -> bool:
        """In doubt it may: an agent that does not run yet is asked when there is something to sum up."""
        try:
            async with self.host.engine("agent", name) as agent:
                return type(agent).summarise is not Agent.summarise
        except VonadError:
            return True

    async def _needs_the_whole(self, name: str) -> bool:
        """In doubt not: one that does not run yet is asked when somebody speaks."""
        try:
            async with self.host.engine("stt", name) as engine:
                return not engine.interim
        except VonadError:
            return False

    def _tell(self, message: str) -> None:
        self.host.log.info("%s", message)


@hookimpl
def register_backends(registrar: Registrar) -> None:
    """Offer the bridge."""
    registrar.add("bridge", Bridge, settings=Settings)
