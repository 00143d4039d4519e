"""The announcer: each announcement of a session ends once, whoever wants quiet, and none is lost with the session."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from vonad.errors import VonadError
from vonad.session.announcement import Announcement, new_announcement
from vonad.session.announcer import Announcer


class Said:
    """An announcer whose floor is a list of what it told: (id, state, reason)."""

    def __init__(self) -> None:
        self.told: list[tuple[object, object, object]] = []
        self.turn = SimpleNamespace(ended=asyncio.get_running_loop().create_future())
        self.announcer = Announcer(SimpleNamespace(turn=self.turn, tell=self._tell))  # type: ignore[arg-type]

    def _tell(self, type_: str, data: Mapping[str, object]) -> None:
        assert type_ == "say.finished"
        self.told.append((data["id"], data["state"], data["reason"]))

    def expect(self, *ids: str) -> list[Announcement]:
        announcements = [new_announcement("Dinner is ready.", id=name) for name in ids]
        for announcement in announcements:
            self.announcer.expect(announcement)
        return announcements

    def begin(self, name: str) -> Announcement:
        """This one is being said."""
        [announcement] = self.expect(name)
        self.announcer.saying = self.announcer.waiting.next()
        return announcement

    async def end_turn(self) -> None:
        self.turn.ended.set_result("completed")
        await asyncio.sleep(0)


async def test_one_more_than_anybody_would_listen_to_is_refused_as_overload() -> None:
    story = Said()
    story.expect(*map(str, range(story.announcer.waiting.limit)))
    with pytest.raises(VonadError, match="16 announcements wait already") as refused:
        story.expect("one too many")
    assert (refused.value.code, refused.value.retryable) == ("overload", True)


async def test_what_is_cancelled_while_it_waits_is_over_at_once_and_is_not_said() -> None:
    story = Said()
    first, _ = story.expect("first", "second")
    assert first.cancel()
    assert story.told == [("first", "cancelled", "cancelled")]
    assert [waiting.id for waiting in story.announcer.waiting.all()] == ["second"]


async def test_what_is_cancelled_while_it_is_said_is_cut_short_and_that_is_why_it_ends() -> None:
    story = Said()
    cut: list[str] = []
    story.announcer.cut = cut.append
    assert story.begin("dinner").cancel()
    assert (cut, story.announcer.trouble, story.told) == (["cancel"], "cancelled", [])


async def test_the_end_of_one_is_told_once_and_only_when_its_turn_has_ended() -> None:
    story = Said()
    dinner = story.begin("dinner")
    story.announcer.over(story.turn, "finished", "")  # type: ignore[arg-type]
    story.announcer.over(story.turn, "failed", "")  # type: ignore[arg-type]
    assert (story.announcer.saying, story.told, dinner.cancel()) == (None, [], False)
    await story.end_turn()
    assert story.told == [("dinner", "finished", "")]


async def test_who_wants_quiet_wants_none_of_those_that_wait() -> None:
    story = Said()
    story.expect("first", "second")
    assert story.announcer.forget("stopped") == 2
    assert story.told == [("first", "cancelled", "stopped"), ("second", "cancelled", "stopped")]


async def test_a_session_that_ends_gives_back_what_it_was_saying_and_what_waits_if_anybody_takes_it() -> None:
    story, taken = Said(), []
    saying = story.begin("saying")
    waiting, unwanted = story.expect("waiting", "unwanted")
    saying.give_back = waiting.give_back = taken.append
    story.announcer.hold()
    story.announcer.give_back()
    assert taken == [saying, waiting]
    assert saying.state == "queued"
    assert story.told == [("unwanted", "failed", "the session ended")]
    assert unwanted.over


async def test_a_session_that_ends_fails_what_it_was_saying_if_nobody_takes_it() -> None:
    story = Said()
    story.begin("dinner")
    story.announcer.hold()
    await story.end_turn()
    assert story.told == [("dinner", "failed", "the session ended")]


async def test_only_an_announcement_that_forbids_it_cannot_be_interrupted_by_who_speaks() -> None:
    story = Said()
    assert story.announcer.interruptible
    story.begin("alarm").interruptible = False
    assert not story.announcer.interruptible
