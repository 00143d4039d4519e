"""Phrases: the house's own words, spoken ahead of need, so that it can apologise when its voice is what failed."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from vonad.backoff import Backoff
from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import Style
from vonad.session.means import phrase
from vonad.sounds.cues import LONGEST_S, Sound, pieces, read_sound
from vonad.streams import closing
from vonad.wav import write_wav

log = logging.getLogger(__name__)

KEYS = ("unavailable", "failed", "not_understood", "not_allowed", "budget_exceeded", "filler", "confirm_no")
"""What is spoken ahead, the most urgent first."""

SPEAK_S = 30.0
"""What a voice may take for one phrase: it is not in a hurry, and may have a slow machine."""

Speak = Callable[[tuple[str, ...], str, str, Style], AsyncIterator[Frame]]
"""(backends, text, language, style) → its sound."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks a language: the first of these backends that can."""

    backends: tuple[str, ...]
    language: str
    style: Style

    def file(self, key: str) -> str:
        """What the phrase is called in the cache: another text, language, style or backend is another file."""
        spoken = repr((phrase(key, self.language), self.language, self.style, self.backends))
        return f"{self.language}-{key}-{hashlib.sha256(spoken.encode()).hexdigest()[:16]}.wav"


class Phrases:
    """Those that could be spoken so far, in memory and in a folder that outlives the daemon."""

    def __init__(self, folder: Path, *, clock: Clock, speak: Speak) -> None:
        self._folder = folder
        self._clock = clock
        self._speak = speak
        self._spoken: dict[tuple[str, str], Sound] = {}
        self._unwritable = False

    def get(self, key: str, language: str) -> Sound:
        """One, or nothing."""
        return self._spoken.get((key, language), ())

    async def prepare(self, speakers: Iterable[Speaker], *, since: float) -> None:
        """Take up what the cache holds, then have spoken what it lacks; returns when nothing is lacking.

        since: what was spoken before this moment (seconds, as files have it) serves, and is spoken anew: the voice may
        have been changed.
        """
        wanted = {(key, speaker.language): speaker for speaker in speakers for key in KEYS}
        cached = await asyncio.to_thread(self._read, wanted, since)
        self._spoken = {**{at: self._spoken[at] for at in wanted if at in self._spoken}, **cached.sounds}
        lacking = [at for at in wanted if at not in cached.fresh]
        backoff = Backoff(first=30.0, longest=600.0)
        while lacking:
            lacking = [at for at in lacking if not await self._say(*at, wanted[at])]
            if lacking:
                await self._clock.sleep(backoff.next())
        await asyncio.to_thread(self._tidy, {speaker.file(key) for (key, _), speaker in wanted.items()})

    async def _say(self, key: str, language: str, speaker: Speaker) -> bool:
        """Have one spoken; whether it was. The boundary of a voice: whatever it raises, the next try may go well."""
        try:
            async with self._clock.deadline(SPEAK_S):
                sound = await self._sound(phrase(key, language), speaker)
        except TimeoutError:
            log.warning("the phrase %r was not spoken within %g s", key, SPEAK_S)
            return False
        except VonadError as error:
            log.info("the phrase %r cannot be spoken ahead of need: %s", key, error.message)
            return False
        except Exception:  # a defect of the voice's
            log.exception("the phrase %r cannot be spoken ahead of need", key)
            return False
        if not sound:
            return False
        self._spoken[key, language] = sound
        await asyncio.to_thread(self._keep, speaker.file(key), sound)
        return True

    async def _sound(self, text: str, speaker: Speaker) -> Sound:
        spoken: list[Frame] = []
        seconds = 0.0
        async with closing(self._speak(speaker.backends, text, speaker.language, speaker.style)) as frames:
            async for frame in frames:
                if len(frame.samples):
                    spoken.append(frame)
                seconds += frame.seconds
                if seconds > LONGEST_S:
                    break
        rates = {frame.rate for frame in spoken}
        if len(rates) != 1:
            return ()
        joined = np.concatenate([frame.samples for frame in spoken])[: round(LONGEST_S * spoken[0].rate)]
        return pieces(Frame(joined, rates.pop()))

    # In a thread

    def _read(self, wanted: dict[tuple[str, str], Speaker], since: float) -> "_Cached":
        cached = _Cached({}, set())
        for (key, language), speaker in wanted.items():
            path = self._folder / speaker.file(key)
            try:
                made = path.stat().st_mtime
                cached.sounds[key, language] = read_sound(path)
            except (OSError, VonadError):
                continue  # not there, or damaged: it is spoken again
            if made >= since:
                cached.fresh.add((key, language))
        return cached

    def _keep(self, name: str, sound: Sound) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._folder / f"{name}.part"
            part.write_bytes(write_wav(sound))
            part.replace(self._folder / name)
        except OSError as error:
            if not self._unwritable:
                self._unwritable = True
                why = f"{self._folder}: {error.strerror}"
                log.warning("spoken phrases are kept in memory only, and made again at each start: %s", why)

    def _tidy(self, names: set[str]) -> None:
        """Forget what nobody will ask for again."""
        for path in chain(self._folder.glob("*.wav"), self._folder.glob("*.part")):
            if path.name not in names:
                with suppress(OSError):  # a folder that others own: it only costs room
                    path.unlink()


@dataclass(frozen=True, slots=True)
class _Cached:
    sounds: dict[tuple[str, str], Sound]
    fresh: set[tuple[str, str]]
