"""Sounds: everything short that is ready before it is needed: chimes, and the house's own words as they were spoken."""

import logging
from collections.abc import Sequence
from pathlib import Path

from vonad.clock import Clock
from vonad.directories import Directories
from vonad.frame import Frame
from vonad.plans import plan_session
from vonad.session.means import CueName
from vonad.settings import Settings
from vonad.sounds.cues import Sound, read_cues, setting_of
from vonad.sounds.phrases import Phrases, Speak, Speaker

log = logging.getLogger(__name__)

__all__ = ["Sounds", "Speak", "read_cues"]


class Sounds:
    """What a session's Means call cues. Frames are shared: nobody changes them."""

    def __init__(self, directories: Directories, *, clock: Clock, speak: Speak) -> None:
        self._config = directories.config
        self._cues: dict[CueName, Sound] = {}
        self._settings = Settings()
        self._phrases = Phrases(directories.cache / "phrases", clock=clock, speak=speak)

    def configure(self, settings: Settings) -> None:
        """Read the cues that these settings name; what is wrong with one is logged."""
        self._settings = settings
        self._cues, wrong = read_cues(settings.sounds, self._config)
        for sentence in wrong:
            log.warning("%s", sentence)

    async def prepare(self) -> None:
        """Have the phrases spoken that are not there yet, in every language of the house; until all are."""
        await self._phrases.prepare(self._speakers(), since=_changed(self._config))

    def cue(self, name: CueName) -> Sequence[Frame]:
        """A short sound; nothing where it is off."""
        return self._cues.get(name, ())

    def spoken(self, key: str, language: str) -> Sequence[Frame]:
        """One of PHRASES, spoken; nothing if no voice could be had so far, or if it is not wanted."""
        if key == "filler" and setting_of(self._settings.sounds, "filler") == "off":
            return ()
        return self._phrases.get(key, language)

    def _speakers(self) -> list[Speaker]:
        """One for each language: the house's own voice, and that of the first satellite that speaks another."""
        speakers: dict[str, Speaker] = {}
        for satellite in (None, *self._settings.satellites):
            plan = plan_session(self._settings, satellite, purpose="say")
            speakers.setdefault(plan.language, Speaker(plan.backends, plan.language, plan.style))
        return list(speakers.values())


def _changed(folder: Path) -> float:
    """When the configuration was last changed, as its files have it; 0 without any."""
    try:
        return max((path.stat().st_mtime for path in folder.glob("*.toml")), default=0.0)
    except OSError:
        return 0.0
