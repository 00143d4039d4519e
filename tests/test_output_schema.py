"""Meerkat's build options, output schema: a turn whose reply is JSON that fits, asked for again at most twice."""

import json
from pathlib import Path

import pytest

from tests.callers import code
from tests.conversation import Conversation, Hooks, conversation
from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.admission import Admission
from vonad.backend import BackendCapabilities, ReplyDone, ReplyText, SkillRequest
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.host import NoSettings
from vonad.output import LONGEST_SCHEMA, Fit, Misfit, OutputSchema
from vonad.plan import Plan
from vonad.session.turn import Turn
from vonad.skill import AnySkill, Call, Confirm, NoArgs, Risk, SkillCall, skill
from vonad.testing import ScriptedBackend, ScriptedHost, settle, speech

CAN = BackendCapabilities(structured_output=True)
ROOM = {
    "type": "object",
    "required": ["room"],
    "properties": {"room": {"type": "string"}, "lamps": {"type": "integer"}},
}
FITS = '{"room": "kitchen", "lamps": 3}'
MISFITS = '{"room": "kitchen", "lamps": "three"}'


def ask(story: Conversation, text: str = "which room", schema: dict[str, object] = ROOM) -> Turn:
    turn = Admission(story.session, lambda event: None).ask(text, output=OutputSchema(schema))
    assert isinstance(turn, Turn)
    return turn


def replies(story: Conversation, *said: str) -> None:
    """What is said when JSON is asked for, one time after the other."""
    waiting = list(said)
    story.dialogue.on_structure = lambda _: story.dialogue.answer_structured(waiting.pop(0)) if waiting else None


# The reply


async def test_meerkat_build_options_output_schema_a_reply_that_fits_is_the_reply() -> None:
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN) as story:
        replies(story, f"  {FITS}\n")
        turn = ask(story)
        await settle()
        assert (turn.outcome, turn.reply, turn.heard) == ("completed", FITS, FITS)
        assert turn.structure is not None
        assert turn.structure.result == Fit({"room": "kitchen", "lamps": 3})
        assert story.dialogue.told[-1] == "structure which room"
        [output] = story.dialogue.outputs
        assert (output.schema, output.before, output.fault) == (ROOM, "", "")
        assert [event.data["text"] for event in story.told("reply.complete")] == [FITS]


async def test_meerkat_build_options_output_schema_a_misfit_is_asked_for_again_with_what_was_wrong() -> None:
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN) as story:
        replies(story, "It is the kitchen.", MISFITS, FITS)
        turn = ask(story)
        await settle()
        assert (turn.outcome, turn.reply) == ("completed", FITS)
        _, second, third = story.dialogue.outputs
        assert (second.before, third.before) == ("It is the kitchen.", MISFITS)
        assert second.fault.startswith('$: "It is the kitchen." does not fit')
        assert third.fault == '$.lamps: "three" does not fit, wanted is "type": "integer"'
        assert len(story.told("retrying")) == 2


async def test_meerkat_build_options_output_schema_after_2_retries_the_turn_fails_and_nothing_is_delivered() -> None:
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN) as story:
        replies(story, MISFITS, MISFITS, MISFITS, FITS)
        turn = ask(story)
        await settle()
        assert (turn.outcome, turn.reply, turn.heard) == ("failed", "", "")
        assert len(story.dialogue.outputs) == 3
        [error] = story.told("error")
        assert error.data["code"] == "structured_output_invalid"
        assert '$.lamps: wanted is "type": "integer"; loosen the schema there' in str(error.data["message"])
        assert not story.told("reply.delta")
        assert not story.told("reply.complete")
        told = json.dumps([dict(event.data) for event in story.events])
        assert "three" not in told  # a misfit is nobody's to read but the agent's


async def test_meerkat_build_options_output_schema_a_retry_has_the_whole_time_of_a_reply_again() -> None:
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN) as story:
        turn = ask(story)
        await settle()
        for said in ("no JSON", "no JSON either", FITS):
            await story.clock.advance(25)
            story.dialogue.answer_structured(said)
            await settle()
        assert turn.outcome == "completed"


async def test_meerkat_build_options_output_schema_nothing_of_it_is_spoken_on_a_satellite() -> None:
    plan = Plan(satellite="desk", backends=("scripted",), purpose="idle", follow_up="always", filler="static_clip")
    capabilities = BackendCapabilities(structured_output=True, fills=True)
    async with conversation(plan=plan, capabilities=capabilities) as story:
        turn = ask(story)
        await story.clock.advance(5)
        sound = Frame(speech(1).samples, 16_000, turn=1)
        story.dialogue.emit(ReplyText(1, FITS), sound, ReplyDone(1))
        await settle()
        assert (turn.outcome, turn.reply, turn.heard) == ("completed", FITS, "")
        assert story.states == ["idle", "processing", "idle"]
        assert not story.line.played
        assert not story.told("filler.started")
        replies(story, *[MISFITS] * 3)
        failed = ask(story)
        await settle()
        assert failed.outcome == "failed"
        assert not story.backend.spoken
        assert not story.line.played


# Skills


@skill("turn on the lamp", name="lamp", description="Turns a lamp on.", risk="reversible")
async def lamp(args: NoArgs, call: Call) -> str:
    RUNS.append(call.id)
    return "It is on."


@skill("which room", name="look", description="Looks.")
async def look(args: NoArgs, call: Call) -> str:
    RUNS.append(call.id)
    return "The kitchen."


RUNS: list[str] = []


def skills(risk: Risk = "reversible") -> tuple[tuple[AnySkill, str], ...]:
    RUNS.clear()
    made = lamp(NoSettings(), ScriptedHost())
    made.risk = risk  # type: ignore[misc]  # for this one
    return (made, "test"), (look(NoSettings(), ScriptedHost()), "test")


async def test_meerkat_build_options_output_schema_skills_run_once_and_not_again_at_a_retry() -> None:
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN, skills=skills()) as story:
        turn = ask(story)
        await settle()
        for number, (said, *calls) in enumerate((("no JSON", "lamp"), ("no", "lamp", "look"), (FITS, "look"))):
            for name in calls:
                story.dialogue.emit(SkillRequest(1, SkillCall(f"{name}{number}", name, {})))
                await settle()
            story.dialogue.answer_structured(said)
            await settle()
        assert RUNS == ["lamp0-1", "look1-2"]
        outcomes = story.dialogue.outcomes
        assert outcomes["lamp1"] == outcomes["lamp0"]
        assert outcomes["look2"] == outcomes["look1"]
        assert turn.outcome == "completed"


async def test_meerkat_build_options_output_schema_nothing_new_is_done_for_a_retry() -> None:
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN, skills=skills()) as story:
        replies(story, "no JSON")
        ask(story)
        await settle()
        story.dialogue.emit(SkillRequest(1, SkillCall("k", "lamp", {})))
        await settle()
        assert (RUNS, story.dialogue.outcomes["k"].code) == ([], "skill_rejected")


async def test_meerkat_build_options_output_schema_nobody_is_asked_for_a_yes() -> None:
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN, skills=skills("sensitive")) as story:
        turn = ask(story)
        await settle()
        story.dialogue.emit(SkillRequest(1, SkillCall("k", "lamp", {})))
        await settle()
        assert (RUNS, story.dialogue.outcomes["k"].code) == ([], "skill_rejected")
        story.dialogue.answer_structured(FITS)
        await settle()
        assert turn.reply == FITS


async def test_meerkat_build_options_output_schema_a_yes_in_such_a_turn_is_no_yes() -> None:
    hooks = Hooks()
    hooks.review = lambda call: Confirm("Really?")
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN, skills=skills(), hooks=hooks) as story:
        story.session.ask("turn on the lamp")
        await settle()
        story.dialogue.emit(SkillRequest(1, SkillCall("k", "lamp", {})))
        await settle()
        replies(story, FITS)
        ask(story, "yes")
        await settle()
        story.session.ask("yes")
        await settle()
        assert RUNS == []
        assert story.dialogue.told[-1] == "say yes"


# Failing otherwise


async def test_meerkat_build_options_output_schema_another_backend_goes_on_with_it_or_says_that_it_cannot() -> None:
    for can, outcome in ((CAN, "completed"), (BackendCapabilities(), "failed")):
        second = ScriptedBackend(can, replies=lambda text: FITS)
        plan = Plan(satellite=None, backends=("scripted", "second"), purpose="idle")
        async with conversation(text_only=True, plan=plan, capabilities=CAN, others={"second": second}) as story:
            turn = ask(story)
            await settle()
            story.dialogue.emit(VonadError("backend_step_failed", "it fell over"))
            await settle()
            assert (turn.outcome, turn.reply) == (outcome, FITS if outcome == "completed" else "")
            if outcome == "failed":
                assert story.told("error")[-1].data["code"] == "capability_unsupported"


async def test_meerkat_build_options_output_schema_what_was_done_is_not_done_again_by_another_backend() -> None:
    second = ScriptedBackend(CAN, replies=lambda text: FITS)
    plan = Plan(satellite=None, backends=("scripted", "second"), purpose="idle")
    async with conversation(
        text_only=True, plan=plan, capabilities=CAN, others={"second": second}, skills=skills()
    ) as story:
        turn = ask(story)
        await settle()
        story.dialogue.emit(SkillRequest(1, SkillCall("k", "lamp", {})))
        await settle()
        story.dialogue.emit(VonadError("backend_step_failed", "it fell over"))
        await settle()
        assert (RUNS, turn.outcome, turn.reply) == (["k-1"], "failed", "")
        assert turn.structure is not None
        assert turn.structure.error is not None
        assert "not done again" in turn.structure.error.message


async def test_meerkat_build_options_output_schema_policy_and_nobody_knowing_end_it_without_words() -> None:
    hooks = Hooks()
    async with conversation(text_only=True, plan=text_plan(), capabilities=CAN, hooks=hooks) as story:
        turn = ask(story)
        await settle()
        story.dialogue.emit(ReplyDone(1, understood=False))
        await settle()
        assert (turn.outcome, turn.reply) == ("not_understood", "")
        hooks.user_text = lambda text: 1 / 0
        denied = ask(story)
        await settle()
        assert (denied.outcome, denied.reply) == ("failed", "")


# The service


async def test_meerkat_build_options_output_schema_is_waited_for(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        home.backend.capabilities = CAN
        view = await home.sessions.create()
        answer(home, FITS)
        turn = await home.sessions.start_turn(view.session_id, "which room", output_schema=ROOM)
        result = await home.sessions.wait(turn.id, 5)
        assert (result.reply, result.output, result.outcome) == (FITS, json.loads(FITS), "completed")
        answer(home, MISFITS)
        turn = await home.sessions.start_turn(view.session_id, "which room", output_schema=ROOM)
        with pytest.raises(VonadError, match=r"\$\.lamps.*loosen the schema") as failed:
            await home.sessions.wait(turn.id, 5)
        assert (failed.value.code, failed.value.status) == ("structured_output_invalid", 422)
        assert failed.value.details["path"] == "$.lamps"
        answer(home, "null")
        turn = await home.sessions.start_turn(view.session_id, "which room", output_schema={"type": "null"})
        assert (await home.sessions.wait(turn.id, 5)).reply == "null"


async def test_meerkat_build_options_output_schema_of_a_first_and_of_a_queued_turn(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        home.backend.capabilities = CAN
        view = await home.sessions.create(initial_turn="run_immediately", text="which room", output_schema=ROOM)
        await settle()
        queued = await home.sessions.start_turn(view.session_id, "and now", on_busy="queue", output_schema=ROOM)
        for number in (1, 2):
            home.backend.dialogue.emit(ReplyText(number, FITS), ReplyDone(number))
            await settle()
        assert (await home.sessions.wait(queued.id, 5)).output == json.loads(FITS)
        assert [output.schema for output in home.backend.dialogue.outputs] == [ROOM, ROOM]


async def test_meerkat_build_options_output_schema_is_refused_at_once_where_nobody_can_go_by_it(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        at_once = home.sessions.create(initial_turn="run_immediately", text="which room", output_schema=ROOM)
        assert await code(at_once) == "capability_unsupported"
        assert await code(home.sessions.create(output_schema=ROOM)) == "malformed"
        view = await home.sessions.create()
        for on_busy in ("refuse", "queue"):
            asked = home.sessions.start_turn(view.session_id, "which room", on_busy=on_busy, output_schema=ROOM)  # type: ignore[arg-type]
            assert await code(asked) == "capability_unsupported"
        asked = home.sessions.start_turn(view.session_id, "which room", follow_up=True, output_schema=ROOM)
        assert await code(asked) == "malformed"
        assert not home.told("turn.started")


# The schema


@pytest.mark.parametrize(
    ("schema", "path", "why"),
    [
        ([], "$", "it must be an object"),
        ({"type": "int"}, "$.type", "'int' is not valid"),
        ({"properties": {"a b": {"minimum": "1"}}}, '$.properties["a b"].minimum', "is not of type 'number'"),
        ({"pattern": "("}, "$.pattern", "is not a 'regex'"),
        ({"const": float("nan")}, "$", "only what JSON can hold"),
        ({"description": "x" * LONGEST_SCHEMA}, "$", f"at most {LONGEST_SCHEMA}"),
        ({"$schema": "urn:mine"}, "$.$schema", "is no known draft"),
        ({"$ref": "https://example.com/schema"}, "$.$ref", "nothing is fetched; put it under $defs"),
        ({"items": {"$ref": "#/$defs/room"}}, "$.items.$ref", "'#/$defs/room' is not there"),
        ({"items": {"$id": "mine", "$ref": "#"}}, "$.items", "only the whole schema may have an $id"),
        ({"allOf": [{"$ref": "#"}]}, "$", "refers to itself without end"),
    ],
)
def test_meerkat_build_options_output_schema_that_is_none_is_refused_with_its_path(
    schema: object, path: str, why: str
) -> None:
    with pytest.raises(VonadError) as refused:
        OutputSchema(schema)
    assert (refused.value.code, refused.value.details["path"]) == ("malformed", path)
    assert refused.value.message.startswith(f"output_schema: {path}: ")
    assert why in refused.value.message


def test_meerkat_build_options_output_schema_references_that_multiply_are_not_followed_for_ever() -> None:
    steps: dict[str, object] = {"a0": {"type": "string"}}
    for n in range(1, 60):
        steps[f"a{n}"] = {"anyOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2}
    with pytest.raises(VonadError, match="without end"):
        OutputSchema({"$defs": steps, "$ref": "#/$defs/a59"})
    lists = OutputSchema({"$defs": steps, "items": {"$ref": "#/$defs/a59"}})
    assert isinstance(lists.judge("[1]"), Misfit)


@pytest.mark.parametrize(
    ("reply", "path"),
    [
        ("", "$"),
        ("Sure! {}", "$"),
        ("NaN", "$"),
        ('{"n": 1e999}', "$"),
        ("[" * 50_000, "$"),
        ('"' + "x" * 70_000 + '"', "$"),
        ('{"rooms": [{"name": "hall"}, {"name": 12}]}', "$.rooms[1].name"),
        ('{"day": "tomorrow"}', "$.day"),
        ('{"tree": [[[1]]]}', "$.tree[0][0][0]"),
    ],
)
def test_meerkat_build_options_output_schema_tells_where_a_reply_does_not_fit(reply: str, path: str) -> None:
    schema = OutputSchema(
        {
            "type": "object",
            "properties": {
                "rooms": {"items": {"$ref": "#/$defs/room"}},
                "day": {"type": "string", "format": "date"},
                "tree": {"$ref": "#/$defs/tree"},
            },
            "$defs": {
                "room": {"properties": {"name": {"type": "string"}}},
                "tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
            },
        }
    )
    judged = schema.judge(reply)
    assert isinstance(judged, Misfit)
    assert judged.path == path
    assert len(judged.fault) < 700
    assert schema.judge('{"rooms": [{"name": "hall"}], "day": "2026-11-21", "tree": [[], [[]]]}') == Fit(
        {"rooms": [{"name": "hall"}], "day": "2026-11-21", "tree": [[], [[]]]}
    )


def test_meerkat_build_options_output_schema_of_an_older_draft_is_read_as_that() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"n": {"type": "null"}}}
    assert OutputSchema({**schema, "$ref": "#/definitions/n"}).judge("null") == Fit(None)


def text_plan() -> Plan:
    return Plan(satellite=None, backends=("scripted",), purpose="idle")


def answer(home: RuntimeHouse, reply: str) -> None:
    dialogue = home.backend.dialogue
    dialogue.on_structure = lambda _: dialogue.answer_structured(reply)
