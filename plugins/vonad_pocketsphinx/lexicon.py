"""Pronunciations: the dictionary of the acoustic model, and the owner's own in `pronunciations.txt`."""

from collections.abc import Collection, Iterator, Mapping
from logging import Logger
from pathlib import Path

_PHONES = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
PHONES = frozenset(_PHONES.split())
"""The ARPAbet, as the English model knows it: without stress."""

Pronunciations = Mapping[str, tuple[str, ...]]
"""Word → its pronunciations, each phones with spaces between."""


class Lexicon:
    """Looks words up. The dictionary stays on disk: its 135 000 words would take 22 MB.

    own: the owner's file, which need not exist; its words replace those of the dictionary.
    """

    def __init__(self, dictionary: Path, own: Path, log: Logger) -> None:
        self._dictionary = dictionary
        self._own = {word: tuple(ways) for word, ways in _read(own, log).items()}

    def find(self, words: Collection[str]) -> Pronunciations:
        """The pronunciations of those words that have any."""
        found: dict[str, list[str]] = {word: list(self._own[word]) for word in words if word in self._own}
        wanted = set(words) - found.keys()
        if wanted:
            with self._dictionary.open(encoding="utf-8") as lines:
                for line in lines:
                    entry, _, phones = line.partition(" ")
                    word = entry.partition("(")[0]
                    if word in wanted:
                        found.setdefault(word, []).append(phones.strip())
        return {word: tuple(ways) for word, ways in found.items()}


def _read(path: Path, log: Logger) -> dict[str, list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s cannot be read (%s); it is left out", path, error)
        return {}
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        for word, phones in _entry(line):
            unknown = [phone for phone in phones if phone not in PHONES]
            if phones and not unknown:
                found.setdefault(word, []).append(" ".join(phones))
            else:
                log.warning(
                    "%s:%d: %s; write a word, then its sounds out of %s",
                    path,
                    number,
                    f"there is no sound {unknown[0]!r}" if unknown else f"{word!r} has no sounds",
                    " ".join(sorted(PHONES)),
                )
    return found


def _entry(line: str) -> Iterator[tuple[str, list[str]]]:
    """(word, its phones): nothing for an empty line. Stress marks, as dictionaries write them, are allowed: AH0."""
    word, *phones = line.partition("#")[0].split() or [""]
    if word:
        yield word.lower(), [phone.upper().rstrip("012") for phone in phones]
