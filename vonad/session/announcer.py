"""The announcer: what one session is asked to announce, until each is over, or is another session's to say."""

from collections.abc import Callable

from vonad.errors import VonadError
from vonad.session.announcement import Announcement, Announcements, Ending, finished
from vonad.session.floor import Floor
from vonad.session.turn import Turn


class Announcer:
    """Acknowledges each once. To say it is the mouth's.

    waiting: those that wait.
    saying:  the one that the open turn says.
    trouble: why that is not heard to its end; empty: nothing is wrong with it.
    cut:     interrupts what is being said, told on whose account; set by whoever can.
    """

    def __init__(self, floor: Floor) -> None:
        self.waiting = Announcements()
        self.saying: Announcement | None = None
        self.trouble = ""
        self.cut: Callable[[str], object] = lambda source: None
        self._floor = floor

    @property
    def interruptible(self) -> bool:
        """Whether somebody who speaks may cut short what is being said."""
        return self.saying is None or self.saying.interruptible

    def expect(self, announcement: Announcement) -> None:
        """One more to say. Raises overload."""
        waiting = self.waiting
        if waiting.full:
            raise VonadError("overload", f"{len(waiting)} announcements wait already", op="say", retryable=True)
        announcement.withdraw = self.withdraw
        waiting.put(announcement)

    def said(self, announcement: Announcement, state: Ending, reason: str = "") -> None:
        """Acknowledge an announcement."""
        if announcement.end(state, reason):
            self._floor.tell("say.finished", finished(announcement))

    def over(self, turn: Turn, state: Ending, reason: str) -> None:
        """What this turn announces, if it does, is over; that is told when its turn is in the history."""
        announcement, self.saying = self.saying, None
        if announcement is not None:
            announcement.withdraw = None
            turn.ended.add_done_callback(lambda _: self.said(announcement, state, reason))

    def forget(self, reason: str) -> int:
        """Drop what waits to be announced, because somebody wants quiet; how many that were."""
        count = len(self.waiting)
        while (waiting := self.waiting.next()) is not None:
            self.said(waiting, "cancelled", reason)
        return count

    def withdraw(self, announcement: Announcement) -> None:
        """Somebody does not want it said any more."""
        if self.waiting.remove(announcement):
            self.said(announcement, "cancelled", "cancelled")
        elif self.saying is announcement:
            self.trouble = "cancelled"
            self.cut("cancel")

    def hold(self) -> None:
        """The session ends: what is being announced now is said again later if anybody takes it, else it has failed."""
        playing, turn = self.saying, self._floor.turn
        if playing is not None and playing.give_back is not None:
            self.saying, playing.state = None, "queued"
            self.waiting.put(playing)
        elif turn is not None:
            self.over(turn, "failed", "the session ended")

    def give_back(self) -> None:
        """The session is over: what waits is another one's to say."""
        while (waiting := self.waiting.next()) is not None:
            if waiting.give_back is not None:
                waiting.give_back(waiting)
            else:
                self.said(waiting, "failed", "the session ended")
