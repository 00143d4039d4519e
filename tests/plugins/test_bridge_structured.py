"""The bridge answers in JSON: whole, unspoken, by agents that know schemas and by those that are told in words."""

from pathlib import Path

from tests.plugins.bridge_house import Brain, Talk, Throat, talk
from vonad import Brief, Output, ReplyDone, ReplyFailed
from vonad.testing import settle

SCHEMA = {"type": "object"}
BRIEF = Brief(session_id="s", satellite="desk", language="en", aloud=True, rewrite=str.upper)


class Clerk(Brain):
    """Goes by what a reply must be."""

    structured = True


async def asked(story: Talk, output: Output = Output(schema=SCHEMA)) -> None:  # noqa: B008  (frozen)
    await story.dialogue.structure("which room", output)
    await settle()


async def test_a_reply_in_json_comes_out_whole_rewritten_and_unspoken(tmp_path: Path) -> None:
    throat, clerk = Throat(), Clerk('{"a": "One. ', 'Two."}', tokens=7)
    async with talk(tmp_path, agent={"clerk": clerk}, tts={"throat": throat}, brief=BRIEF) as story:
        assert story.bridge.capabilities.structured_output
        await story.begin()
        await asked(story)
        assert story.texts() == ['{"A": "ONE. TWO."}']
        assert not throat.spoken
        assert not story.sound()
        assert story.said[-1] == ReplyDone(1, usage={"tokens": 7})
        [request] = clerk.requests
        assert request.output == Output(schema=SCHEMA)
        assert request.context == ()


async def test_an_agent_that_knows_no_schemas_is_told_in_words_and_of_its_fault(tmp_path: Path) -> None:
    brain = Brain("Well.")
    async with talk(tmp_path, agent={"brain": brain}) as story:
        await story.begin()
        await asked(story)
        await asked(story, Output(schema=SCHEMA, before="Well.", fault="$: no JSON"))
        first, again = ([event.payload for event in request.context] for request in brain.requests)
        assert [payload["json_schema"] for payload in first] == [SCHEMA]
        assert [payload["what_is_wrong_with_it"] for payload in again] == ["$: no JSON"]
        assert [request.text for request in brain.requests] == ["which room"] * 2
        assert story.texts() == ["Well."] * 2


async def test_who_does_not_know_passes_it_on_and_who_has_acted_does_not(tmp_path: Path) -> None:
    agents = {"dull": Brain(knows=False), "clerk": Clerk("{}", skill="lamp")}
    async with talk(tmp_path, agent=agents) as story:
        await story.begin()
        await asked(story)
        assert not story.texts()
        await story.settle_wish("It is on.")
        await settle()
        assert story.texts() == ["It is on.{}"]


async def test_an_agent_that_talks_for_ever_is_listened_to_no_more(tmp_path: Path) -> None:
    clerk = Clerk(*["x" * 10_000] * 100)
    async with talk(tmp_path, agent={"clerk": clerk}) as story:
        await story.begin()
        await asked(story)
        assert len(story.texts()[0]) < 200_000


async def test_without_anybody_who_knows_it_is_not_understood(tmp_path: Path) -> None:
    async with talk(tmp_path, agent={"dull": Brain(knows=False)}) as story:
        await story.begin()
        await asked(story)
        assert story.said == [ReplyDone(1, understood=False)]
        assert not any(isinstance(reply, ReplyFailed) for reply in story.said)
