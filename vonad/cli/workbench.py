"""The configured engines alone, on the bench: no daemon, no satellites, nothing remembered."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from vonad.cli.inspection import Inspected, inspect
from vonad.clock import SystemClock
from vonad.engine import SpeechToText, TextToSpeech
from vonad.errors import VonadError
from vonad.frame import CAPTURE_RATE, Blocks, Frame
from vonad.history import open_journal
from vonad.host import Role, Voice
from vonad.part_host import Facilities
from vonad.parts import Parts
from vonad.plan import Style
from vonad.plugins import Plugins
from vonad.resampling import resample
from vonad.settings import ComponentTable, Settings
from vonad.streams import closing

FRAME_S = 0.02


class Workbench:
    """Engines that are open, in the order of the first backend that names some."""

    def __init__(self, parts: Parts, plugins: Plugins, settings: Settings) -> None:
        self._parts = parts
        self._plugins = plugins
        self._settings = settings

    async def transcribe(self, sound: Frame) -> tuple[str, str]:
        """(what was said, the engine that understood it); both empty when none did. Raises backend_unavailable."""
        language, sentences = self._settings.node.language, self._parts.catalogue.sentences
        for name in self._names("stt"):
            async with self._parts.lease(SpeechToText, "stt", name) as engine:
                await engine.prepare(sentences, language)
                async with closing(engine.listen(_frames(sound), language=language, sentences=sentences)) as heard:
                    text = [piece.text async for piece in heard if piece.final][-1:]
            if text and text[0]:
                return text[0], name
        return "", ""

    async def speak(self, text: str) -> list[Frame]:
        """The sound of a text. Raises backend_unavailable, and what the last engine raises."""
        last: VonadError | None = None
        for name in self._names("tts"):
            try:
                async with self._parts.lease(TextToSpeech, "tts", name) as engine:
                    spoken = engine.speak(text, language=self._settings.node.language, style=Style())
                    async with closing(spoken) as frames:
                        return [frame async for frame in frames]
            except VonadError as error:
                last = error
        raise last or VonadError("backend_unavailable", "no engine that speaks is configured")

    def _names(self, role: Role) -> Sequence[str]:
        """Raises backend_unavailable with the reasons when none of them runs."""
        wanted = self._wanted(role) or self._parts.engines(role)
        running = [name for name in wanted if name in self._parts.engines(role)]
        if not running:
            reasons = "; ".join(f"{part.label}: {part.reason}" for part in self._parts.all("engines") if part.reason)
            raise VonadError("backend_unavailable", f"no engine for {role} runs ({reasons or 'none is configured'})")
        return running

    def _wanted(self, role: Role) -> Sequence[str]:
        for backend in self._settings.session.backends:
            table = self._settings.backends.get(backend)
            offer = table and self._plugins.offers.get(("backends", table.kind or backend))
            if table and offer:
                names: object = getattr(offer.settings.model_validate(table.given), role, None)
                if isinstance(names, list):
                    return [str(name) for name in names]
        return []


@asynccontextmanager
async def workbench(config: Path | None, *, roles: Collection[Role]) -> AsyncIterator[Workbench]:
    """Open the engines of these roles, and the skills for their sentences. Raises ConfigProblems."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    found = inspect(config)
    async with opened(found, roles=roles) as parts:
        yield Workbench(parts, found.plugins, found.loaded.settings)


@asynccontextmanager
async def opened(found: Inspected, *, roles: Collection[Role]) -> AsyncIterator[Parts]:
    """The engines of these roles, open or with the reason why not, and the skills for their sentences."""
    settings, plugins, clock = found.loaded.settings, found.plugins, SystemClock()

    def plays(name: str, table: ComponentTable) -> bool:
        offer = plugins.offers.get(("engines", table.kind or name))
        return offer is not None and offer.role in roles

    engines = {name: table for name, table in settings.engines.items() if plays(name, table)}
    only = settings.model_copy(update={"engines": engines})
    async with open_journal(None, clock=clock, retention_days=0) as journal, asyncio.TaskGroup() as group:
        facilities = Facilities(
            clock=clock,
            journal=journal,
            directories=found.places,
            timezone=ZoneInfo(settings.node.timezone or "UTC"),
            voice=_Mute(),
            satellites=list,
        )
        parts = Parts(
            plugins,
            facilities,
            changed=lambda _label, _reason: None,
            leaves=lambda _part: None,
            breaker_changed=lambda _name, _state: None,
        )
        await parts.apply(only, group, only=("engines", "skills"))
        try:
            yield parts
        finally:
            await parts.close()


class _Mute(Voice):
    """There is nobody to talk to."""

    async def say(self, satellite: str, text: str) -> str:
        raise VonadError("not_found", f"no satellite {satellite!r}: no daemon runs here")


async def _frames(sound: Frame) -> AsyncIterator[Frame]:
    """As a microphone would deliver it, only faster."""
    blocks = Blocks(round(CAPTURE_RATE * FRAME_S))
    for samples in blocks.push(resample(sound, CAPTURE_RATE).samples):
        yield Frame(samples, CAPTURE_RATE)
        # The engine works beside us: let it.
        await asyncio.sleep(0)
    yield Frame(blocks.flush(), CAPTURE_RATE)
