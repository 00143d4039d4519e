"""A conversation that has grown too long for a model is summed up, while it goes on."""

import asyncio
from pathlib import Path

import pytest

from tests.conversation import Conversation, conversation
from vonad.backend import BackendCapabilities, ReplyDone, ReplyText
from vonad.engine import Exchange
from vonad.errors import VonadError
from vonad.plan import Plan
from vonad.session.exchanges import remember, tokens
from vonad.testing import ScriptedBackend, settle

IDLE = Plan(satellite=None, backends=("scripted",), purpose="idle")
SUMS_UP = BackendCapabilities(summarises=True)
LONG = "x" * 8_000


async def ask(story: Conversation, text: str = "go on", reply: str = LONG) -> None:
    def answer(_: str) -> None:
        story.dialogue.emit(ReplyText(story.turn, reply), ReplyDone(story.turn))

    story.dialogue.on_say = answer
    story.session.ask(text)
    await settle()


def memory(story: Conversation) -> list[str]:
    """What the next turn is told, each by its beginning."""
    return [exchange.user or exchange.assistant for exchange in story.session._floor.exchanges]


async def test_meerkat_compaction_leaves_a_summary_and_the_last_4_turns() -> None:
    async with conversation(plan=IDLE, text_only=True, capabilities=SUMS_UP) as story:
        for number in range(1, 6):
            await ask(story, f"question {number}")
        assert memory(story) == ["They talked.", *(f"question {number}" for number in range(2, 6))]
        [summarised] = story.backend.summarised
        assert [exchange.user for exchange in summarised] == ["question 1"]
        [started], [completed] = story.told("compaction.started"), story.told("compaction.completed")
        assert started.data["before"] == completed.data["before"] == 10_012
        assert completed.data["after"] == 8_013
        await ask(story, "question 6", "Yes.")
        assert story.dialogue.history[0] == Exchange("", "They talked.", summary=True)


async def test_meerkat_compaction_sums_up_the_summary_of_before_too() -> None:
    async with conversation(plan=IDLE, text_only=True, capabilities=SUMS_UP) as story:
        for number in range(1, 12):
            await ask(story, f"question {number}")
        assert len(memory(story)) <= 7
        assert memory(story)[0] == "They talked."
        assert story.backend.summarised[1][0].summary


async def test_meerkat_compaction_never_on_the_first_turn() -> None:
    async with conversation(plan=IDLE, text_only=True, capabilities=SUMS_UP) as story:
        story.session._floor.exchanges = [Exchange(f"before {number}", LONG) for number in range(6)]
        await ask(story)
        assert story.told("compaction.started") == []
        await ask(story)
        assert len(story.told("compaction.completed")) == 1


async def test_meerkat_compaction_never_blocks_a_turn_and_keeps_what_was_said_meanwhile() -> None:
    backend = SlowBackend()
    async with conversation(plan=IDLE, text_only=True, backend=backend) as story:
        for number in range(1, 6):
            await ask(story, f"question {number}")
        assert story.told("compaction.completed") == []
        await ask(story, "question 6", "Yes.")
        assert story.outcomes == ["completed"] * 6
        backend.finished.set()
        await settle()
        assert memory(story) == ["They talked.", *(f"question {number}" for number in range(2, 7))]
        assert len(story.told("compaction.started")) == 1


async def test_a_backend_that_cannot_sum_up_is_not_asked_to() -> None:
    async with conversation(plan=IDLE, text_only=True) as story:
        for number in range(1, 8):
            await ask(story, f"question {number}")
        assert story.told("compaction.started") == []
        with pytest.raises(VonadError, match="cannot sum up") as refused:
            await story.session.compact()
        assert refused.value.code == "compaction_disabled"


async def test_compaction_on_demand_tells_what_it_came_to() -> None:
    async with conversation(plan=IDLE, text_only=True, capabilities=SUMS_UP) as story:
        assert await story.session.compact() == (0, 0)
        for number in range(1, 7):
            await ask(story, f"question {number}", "A somewhat long answer, as they are.")
        assert await story.session.compact() == (69, 49)
        assert memory(story)[0] == "They talked."


async def test_a_summary_that_fails_changes_nothing_and_is_not_tried_at_every_turn() -> None:
    async with conversation(plan=IDLE, text_only=True, capabilities=SUMS_UP) as story:
        story.backend.summary = VonadError("overload", "no memory")
        for number in range(1, 9):
            await ask(story, f"question {number}")
        assert [event.data["reason"] for event in story.told("compaction.failed")] == ["no memory"]
        assert memory(story) == [f"question {number}" for number in range(1, 9)]
        story.backend.summary = ""
        with pytest.raises(VonadError, match="made nothing"):
            await story.session.compact()
        story.backend.summary = "y" * 100_000
        with pytest.raises(VonadError, match="more than it was"):
            await story.session.compact()
        assert story.session.state == "idle"


async def test_a_summary_that_does_not_come_is_given_up() -> None:
    backend = SlowBackend()
    async with conversation(plan=IDLE, text_only=True, backend=backend) as story:
        for number in range(1, 6):
            await ask(story, f"question {number}")
        with pytest.raises(VonadError, match="summed up already"):
            await story.session.compact()
        await story.clock.advance(61)
        assert "within 60 s" in str(story.told("compaction.failed")[0].data["reason"])


async def test_what_is_forgotten_meanwhile_does_not_come_back_in_a_summary() -> None:
    backend = SlowBackend()
    async with conversation(plan=IDLE, text_only=True, backend=backend) as story:
        for number in range(1, 6):
            await ask(story, f"question {number}")
        story.session.forget()
        backend.finished.set()
        await settle()
        assert memory(story) == []
        assert "forgotten" in str(story.told("compaction.failed")[0].data["reason"])


async def test_a_session_that_ends_does_not_wait_for_its_summary() -> None:
    backend = SlowBackend()
    async with conversation(plan=IDLE, text_only=True, backend=backend) as story:
        for number in range(1, 6):
            await ask(story, f"question {number}")
        story.session.close("user_ended")
        await settle()
        assert story.session.state == "closed"
        assert [event.data["reason"] for event in story.told("compaction.failed")] == ["the session ended"]
        assert story.events[-1].type == "session.closed"


async def test_a_summary_is_kept_for_a_session_that_resumes(tmp_path: Path) -> None:
    async with conversation(plan=IDLE, text_only=True, capabilities=SUMS_UP, database=tmp_path / "vonad.db") as story:
        journal = story.session._floor.means.journal
        journal.session_opened("s1", "c1", None, "scripted", "idle")
        for number in range(1, 7):
            await ask(story, f"question {number}", "A somewhat long answer, as they are.")
        await story.session.compact()
        told = await journal.recent("c1")
        assert told[0] == Exchange("", "They talked.", summary=True)
        assert [exchange.user for exchange in told[1:]] == [f"question {number}" for number in range(3, 7)]


def test_what_is_forgotten_is_never_the_summary() -> None:
    exchanges = [Exchange("", "They talked.", summary=True)]
    for number in range(30):
        exchanges = remember(exchanges, Exchange(f"q{number}", ""), 20)
    assert len(exchanges) == 20
    assert exchanges[0].summary
    assert (exchanges[1].user, exchanges[-1].user) == ("q11", "q29")
    assert remember([], Exchange("a", ""), 20) == [Exchange("a", "")]
    assert tokens(exchanges) == (12 + 19 * 3) // 4


class SlowBackend(ScriptedBackend):
    """Sums up when it is told to."""

    def __init__(self) -> None:
        super().__init__(SUMS_UP)
        self.finished = asyncio.Event()

    async def summarise(self, history, *, language):  # type: ignore[no-untyped-def]
        await self.finished.wait()
        return await super().summarise(history, language=language)
