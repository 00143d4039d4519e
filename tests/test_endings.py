"""Endings: of turns, of announcements and of sessions. What was heard is kept, and nothing stays open for ever."""

from collections.abc import Callable

import pytest

from tests.conversation import Conversation, conversation
from vonad.session.session import Session
from vonad.testing import settle

QUESTION = "Shall I turn it on?"


def stop(session: Session) -> None:
    session.stop()


def wake(session: Session) -> None:
    session.listen(None)


def close(session: Session) -> None:
    session.close("user_ended")


def ended(story: Conversation, number: int = 0) -> dict[str, object]:
    """What was told of the end of a turn."""
    return dict(story.told("turn.ended")[number].data)


@pytest.mark.parametrize("act", [stop, wake, close])
async def test_a_reply_that_was_heard_to_its_end_stays_heard_whatever_cuts_its_follow_up_short(
    act: Callable[[Session], None],
) -> None:
    async with conversation() as story:
        await story.say_command()
        await story.understood("turn on the lamp", QUESTION)
        await story.clock.advance(0.1)
        act(story.session)
        await settle()
        assert (ended(story)["outcome"], ended(story)["heard_text"]) == ("completed", QUESTION)
        assert [(said.user, said.assistant) for said in story.session._floor.exchanges] == [
            ("turn on the lamp", QUESTION)
        ]
