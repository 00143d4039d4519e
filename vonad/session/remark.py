"""The remark: what somebody says while a reply is made or plays: our words, mere agreement, a stop word, or more."""

from collections.abc import Callable
from functools import lru_cache

from vonad.plan import BargeIn as Rules
from vonad.session.words import words


class Remark:
    """Words so far, of which only the new ones count.

    own:   whether a text repeats what we say.
    said:  the new words.
    ours:  whether they are our own.
    meant: whether they do more than agree.
    """

    def __init__(self, rules: Rules, own: Callable[[str], bool]) -> None:
        self.said: tuple[str, ...] = ()
        self.ours = self.meant = False
        self._own = own
        self._stop_words = _apart(tuple(rules.stop_words))
        self._back_channels = _apart(tuple(rules.back_channels))
        self._words: tuple[str, ...] = ()
        self._past: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether there are words, and they mean nothing."""
        return bool(self.said) and not self.meant

    @property
    def stopped(self) -> bool:
        """Whether there is a stop word among them."""
        return any(_find(self.said, stop) for stop in self._stop_words)

    def begin(self) -> None:
        """Nothing has been overheard yet."""
        self._words = ()
        self.forget()

    def heard(self, text: str) -> bool:
        """Words so far; whether they are others than before."""
        before, self._words = self._words, words(text)
        self._understand()
        return before != self._words

    def anew(self) -> None:
        """From here on words are new."""
        self._past = self._words
        self._understand()

    def forget(self) -> None:
        """What was said so far was nothing."""
        self.said, self.ours, self.meant = (), False, False

    def stops(self, text: str) -> bool:
        """Whether somebody who said this wants nothing but quiet."""
        said = words(text)
        return any(_find(said, stop) for stop in self._stop_words) and not _without(
            said, self._stop_words + self._back_channels
        )

    def _understand(self) -> None:
        past = len(self._past)
        self.said = self._words[past:] if self._words[:past] == self._past else self._words
        self.ours = self._own(" ".join(self.said))
        self.meant = not self.ours and bool(_without(self.said, self._back_channels))


@lru_cache(maxsize=64)
def _apart(phrases: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Each in its words: a house's sessions have the same phrases."""
    return tuple(words(phrase) for phrase in phrases)


def _find(said: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether a phrase occurs in what was said."""
    length = len(phrase)
    return length > 0 and any(said[at : at + length] == phrase for at in range(len(said) - length + 1))


def _without(said: tuple[str, ...], phrases: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """What was said but for these phrases."""
    left: list[str] = []
    at = 0
    while at < len(said):
        found = max((len(phrase) for phrase in phrases if said[at : at + len(phrase)] == phrase), default=0)
        if not found:
            left.append(said[at])
        at += found or 1
    return tuple(left)
