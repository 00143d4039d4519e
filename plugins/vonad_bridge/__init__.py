"""The bridge: a backend made of engines. Speech to text, an agent, text to speech, streaming at every joint."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from pydantic import BaseModel, ConfigDict, Field

from vonad import Backend, Brief, Component, Dialogue, Frame, Registrar, Style, VonadError, closing, hookimpl
from vonad_bridge.dialogue import open_dialogue

VONAD_API = ">=1,<2"


class Settings(BaseModel):
    """Engines by name, in order: one that fails, or has nothing to say, hands over to the next."""

    model_config = ConfigDict(extra="forbid")

    stt: list[str] = Field(default=["pocketsphinx"], description="Engines that recognise speech, in order.")
    agent: list[str] = Field(default=["sentences"], description="Engines that answer text, in order.")
    tts: list[str] = Field(default=["espeak"], description="Engines that speak, in order.")


class Bridge(Component[Settings], Backend):
    """Neither finds the end of a turn itself nor answers sound: the session hears, and hands the transcript back."""

    def open(self, brief: Brief) -> AbstractAsyncContextManager[Dialogue]:
        return open_dialogue(self.host, brief, stt=self.settings.stt, agents=self.settings.agent, speak=self._spoken)

    def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        return self._spoken(text, language, style)

    async def _spoken(self, text: str, language: str, style: Style) -> AsyncIterator[Frame]:
        """By the first engine that can; once it has sounded, none takes over in the middle of a word."""
        last: VonadError | None = None
        for name in self.settings.tts:
            sounded = False
            try:
                async with (
                    self.host.engine("tts", name) as engine,
                    closing(engine.speak(text, language=language, style=style)) as frames,
                ):
                    async for frame in frames:
                        sounded = True
                        yield frame
            except VonadError as error:
                if sounded:
                    raise
                last = error
            else:
                return
        raise last or _nobody("tts", self.settings.tts)


def _nobody(role: str, names: Sequence[str]) -> VonadError:
    return VonadError("backend_unavailable", f"no {role} engine is named in [backends.bridge] {role} = {list(names)}")


@hookimpl
def register_backends(registrar: Registrar) -> None:
    """Offer the bridge."""
    registrar.add("bridge", Bridge, settings=Settings)
