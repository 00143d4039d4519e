"""Trial: the engines are opened to see whether the house can hear and speak as it is configured. Nobody is heard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vonad.cli.inspection import Inspected, silent
from vonad.cli.workbench import opened
from vonad.engine import SpeechToText, TextToSpeech, WakeWordDetector
from vonad.host import Role
from vonad.part import Part
from vonad.parts import Parts
from vonad.settings.problem import Problem, suggestion
from vonad.settings.validation import Location

VERBS: tuple[tuple[Role, str], ...] = (("stt", "hears"), ("tts", "speaks"))


@dataclass(frozen=True, slots=True)
class Trial:
    """What was found. warnings: of engines that do not open just now, through no fault of the configuration."""

    problems: Sequence[Problem]
    warnings: Sequence[str]


async def trial(found: Inspected) -> Trial:
    """Open the engines that hear and speak, and hold languages and wake words against them."""
    with silent():
        async with opened(found, roles={"stt", "tts", "wake"}) as parts:
            idle = [part for part in parts.all("engines") if not part.running]
            judge = _Judge(found, parts)
            problems = [judge.unopened(part) for part in idle if _misconfigured(part)]
            problems += [*judge.wake_words(), *judge.languages()]
    return Trial(problems, [f"{part.label} does not run: {part.reason}" for part in idle if not _misconfigured(part)])


def _misconfigured(part: Part) -> bool:
    return part.code == "invalid_config"


class _Judge:
    def __init__(self, found: Inspected, parts: Parts) -> None:
        self._settings = found.loaded.settings
        self._sources = found.loaded.lines
        self._offers = found.plugins.offers
        self._parts = parts

    def unopened(self, part: Part) -> Problem:
        """Its plugin's own words; the table's line."""
        return self._sources.problem((part.group, part.name), part.reason)

    def wake_words(self) -> Iterator[Problem]:
        """Those that the engine does not know."""
        wake = self._settings.wake
        [detector] = self._running("wake", [wake.engine]) or [None]
        if not isinstance(detector, WakeWordDetector):
            return
        known = detector.words()
        wanted: list[tuple[Location, Sequence[str]]] = [(("wake", "words"), wake.words)]
        for name, satellite in self._settings.satellites.items():
            wanted.append((("satellites", name, "wake_words"), satellite.wake_words or ()))
        for place, words in wanted:
            for number, word in enumerate(words):
                if word not in known:
                    message = f"{wake.engine} knows no wake word {word!r}; {suggestion(word, known)}"
                    yield self._sources.problem((*place, number), message)

    def languages(self) -> Iterator[Problem]:
        """Those that nobody hears, or speaks, of the backends that answer there."""
        node, session = self._settings.node, self._settings.session
        yield from self._unserved(("node", "language"), node.language, session.backends)
        for name, satellite in self._settings.satellites.items():
            if satellite.language or satellite.backends:
                key = "language" if satellite.language else "backends"
                backends = satellite.backends or session.backends
                yield from self._unserved(("satellites", name, key), satellite.language or node.language, backends)

    def _unserved(self, place: Location, language: str, backends: Sequence[str]) -> Iterator[Problem]:
        for role, verb in VERBS:
            named = [self._engines(role, backend) for backend in backends]
            if not named or None in named:  # one of them hears or speaks by itself
                continue
            names = [name for some in named for name in some or ()]
            running = self._running(role, names)
            serving = [e.serves(language) for e in running if isinstance(e, SpeechToText | TextToSpeech)]
            if serving and not any(serving):
                who = ", ".join(dict.fromkeys(names))
                yield self._sources.problem(place, f"no engine {verb} {language!r}: {who} cannot; name one that does")

    def _engines(self, role: Role, backend: str) -> Sequence[str] | None:
        """What a backend is built from; None for one that needs none, or is not there."""
        table = self._settings.backends.get(backend)
        offer = table and self._offers.get(("backends", table.kind or backend))
        if not table or not offer:
            return None
        try:
            names: object = getattr(offer.settings.model_validate(table.given), role, None)
        except ValueError:  # told already
            return None
        return [str(name) for name in names] if isinstance(names, list) and names else None

    def _running(self, role: Role, names: Sequence[str]) -> Sequence[object]:
        running = self._parts.engines(role)
        return [self._parts.get("engines", name).component for name in names if name in running]
