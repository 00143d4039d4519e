"""The draft: an answer prepared for words that the user may not have finished, and whether it is the answer."""

from collections import Counter
from collections.abc import Callable

from vonad.errors import VonadError
from vonad.plan import Preemptive
from vonad.session.contact import Contact
from vonad.session.floor import Floor
from vonad.session.turn import Turn
from vonad.session.words import words

SIMILAR = 0.8
"""More of the words than this must be the same."""


class Draft:
    """At most one, of the open turn; only where the plan wants it and the backend prepares.

    confirmed: the last one asked about was the answer: what waited for that may be done.
    acts:      whether it waits to do something: then only the very same words confirm it, whatever the plan wants.
    replaced:  called when another one has taken the place of the one before: what that had asked for is not wanted.
    """

    def __init__(self, floor: Floor, replaced: Callable[[], None] = lambda: None) -> None:
        self.confirmed = False
        self.replaced = replaced
        self.acts: Callable[[], bool] = lambda: False
        self._floor = floor
        self._prepared = self._spoiled = False
        self._turn = 0
        self._text: str | None = None
        self._dialogue: Contact | None = None
        self._guessed: Contact | None = None

    @property
    def text(self) -> str | None:
        """The words it answers; None: there is no draft."""
        return self._text

    def guessed(self, turn: Turn) -> bool:
        """Whether it was confirmed by other words than its own, and is being used: it may say things, but do none."""
        return self._turn == turn.number and self._guessed is not None and self._guessed is self._floor.dialogue

    def consider(self, turn: Turn, text: str) -> None:
        """These may be all the words there are: have an answer to them prepared, if there is none yet."""
        floor = self._floor
        if floor.plan.preemptive == "off" or not floor.capabilities.prepares or floor.dialogue is None:
            return
        try:
            answered = floor.means.policy.user_text(text, lambda: floor.view(turn))
        except VonadError:
            return  # told when the words are final
        drafted = self._of(turn)
        if drafted is not None and words(drafted) == words(answered):
            return
        self._turn, self._text = turn.number, answered
        self.confirmed = self._prepared = self._spoiled = False
        self._dialogue = floor.dialogue
        floor.spawn(self._prepare(turn, answered), "prepare")

    def settle(self, turn: Turn, final: str) -> bool:
        """Whether what was prepared is the answer to the final words; it is a draft no longer."""
        drafted = None if self._text is None else self._of(turn)
        same = drafted is not None and words(drafted) == words(final)
        fits = drafted is not None and usable(self._floor.plan.preemptive, drafted, final)
        self.confirmed = fits and (same or not self.acts()) and self._prepared and not self._spoiled
        self._guessed = self._dialogue if self.confirmed and not same else None
        self._text = self._dialogue = None
        return self.confirmed

    def spoil(self) -> None:
        """It cannot be the answer, even to these very words: they are answered anew, once they are final."""
        self._spoiled = True

    def drop(self) -> None:
        """It is not wanted. The dialogue forgets what it prepared with the next thing that is asked of it."""
        self._text = self._dialogue = self._guessed = None
        self.confirmed = False

    def _of(self, turn: Turn) -> str | None:
        """The words of this turn that are drafted for; what another dialogue prepared is of no use."""
        return self._text if self._turn == turn.number and self._dialogue is self._floor.dialogue else None

    async def _prepare(self, turn: Turn, text: str) -> None:
        floor = self._floor
        if floor.turn is turn and self._text == text and floor.dialogue is not None and self._of(turn) is not None:
            try:
                await floor.dialogue.prepare(text)
            except VonadError as error:  # the final words are answered anew
                floor.tell_error(error, "backend")
                return
            if self._text == text:
                self._prepared = True
                self.replaced()


def usable(strategy: Preemptive, drafted: str, final: str) -> bool:
    """Whether an answer to the drafted words answers the final ones."""
    match strategy:
        case "off":
            return False
        case "always_use":
            return True
        case "discard":
            return words(drafted) == words(final)
        case "use_if_similar":
            return similarity(drafted, final) > SIMILAR


def similarity(one: str, other: str) -> float:
    """The share of words that two texts have in common, 0..1, of the longer one; order does not matter."""
    ours, theirs = words(one), words(other)
    if not ours and not theirs:
        return 1.0
    return (Counter(ours) & Counter(theirs)).total() / max(len(ours), len(theirs))
