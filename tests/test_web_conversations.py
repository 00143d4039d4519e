"""What the API can ask of a conversation, of an announcement, and of a turn that is over."""

import asyncio

import pytest

from tests.test_web_api import problem
from tests.web_house import unserved, view
from vonad.errors import VonadError
from vonad.events import Event
from vonad.plan import AS_SET, Budget, ContextEvent, Overrides, Style


@pytest.fixture
def world():
    return unserved()


@pytest.fixture
def web(world):
    return world[0]


@pytest.fixture
async def client(world):
    async with world[1] as client:
        yield client


async def test_a_session_may_differ_in_everything_a_caller_may_want_otherwise(client, web):
    wanted = {
        "satellite": "desk",
        "resume": "c1",
        "backend": "cloud",
        "style": {"pace": 0.8, "voice": "alba"},
        "follow_up": False,
        "barge_in": False,
        "endpointing": "relaxed",
        "greeting": "",
        "skills": [],
        "budget": {"seconds": 5, "skill_calls": None},
    }
    assert (await client.post("/api/sessions", json=wanted)).status_code == 201
    (created,) = web.sessions.created
    assert created["resume"] == "c1"
    assert created["overrides"] == Overrides(
        backend="cloud",
        style=Style(pace=0.8, voice="alba"),
        follow_up=False,
        barge_in=False,
        endpointing="relaxed",
        greeting="",
        skills=(),
        budget=Budget(seconds=5.0, skill_calls=None),
    )


async def test_a_session_that_opens_with_a_text_names_its_turn_and_is_waited_for_with_the_reply(client, web):
    wanted = {"initial_turn": "run_immediately", "text": "what time is it"}
    opened = (await client.post("/api/sessions", json=wanted)).json()
    assert (opened["session_id"], opened["turn_id"], opened["reply"]) == ("s2", "s2-1", None)
    answered = await client.post("/api/sessions?wait=5", json=wanted)
    assert (answered.status_code, answered.json()["reply"]["reply"]) == (201, "It is noon.")
    web.sessions.slow = True
    late = problem(await client.post("/api/sessions?wait=1", json=wanted), 504, "timeout")
    assert late["details"] == {"session_id": "s2", "turn_id": "s2-1"}
    assert (await client.post("/api/sessions", json={})).json()["turn_id"] is None
    refused = problem(await client.post("/api/sessions?wait=1", json={}), 400, "malformed")
    assert refused["message"].startswith("wait: there is no reply to wait for")


async def test_a_session_of_which_nothing_is_said_is_as_it_is_set(client, web):
    await client.post("/api/sessions", json={})
    assert web.sessions.created == [{"overrides": AS_SET, "resume": None}]


async def test_meerkat_build_options_output_schema_over_http_the_reply_comes_with_what_it_says(client, web):
    schema = {"type": "object", "required": ["room"]}
    wanted = {"initial_turn": "run_immediately", "text": "which room", "output_schema": schema}
    assert (await client.post("/api/sessions", json=wanted)).status_code == 201
    asked = {"text": "which room", "output_schema": schema}
    assert (await client.post("/api/sessions/s1/turns", json=asked)).status_code == 202
    answer = await client.post("/api/sessions/s1/turns?wait=5", json=asked)
    assert answer.json()["output"] == {"room": "kitchen"}
    assert web.sessions.schemas == [schema] * 3
    assert (await client.post("/api/sessions/s1/turns?wait=5", json={"text": "hello"})).json()["output"] is None
    web.sessions.unfit = True
    answer = await client.post("/api/sessions/s1/turns?wait=5", json=asked)
    problem(answer, 422, "structured_output_invalid")
    assert answer.json()["error"]["details"] == {"path": "$.room"}
    problem(await client.post("/api/sessions/s1/turns", json={"text": "x", "output_schema": []}), 400, "malformed")


async def test_meerkat_build_options_budget_of_one_turn_over_http(client, web):
    for given in ({"text": "x"}, {"text": "x", "budget": {"tokens": 9, "skill_calls": 0}}):
        assert (await client.post("/api/sessions/s1/turns", json=given)).status_code == 202
    assert web.sessions.budgets == [None, Budget(tokens=9, skill_calls=0)]


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"style": {"pace": 1.5}}, "style: pace"),
        ({"style": {"speed": 1}}, "style: speed: unknown key"),
        ({"endpointing": "patient"}, "endpointing"),
        ({"budget": {"seconds": 0}}, "budget: seconds"),
        ({"budget": {"tokens": True}}, "budget: tokens"),
        ({"skills": "clock"}, "skills"),
        ({"skills": ["x" * 65]}, "skills"),
        ({"greeting": "x" * 1_001}, "greeting"),
        ({"resume": ""}, "resume"),
        ({"follow_up": "yes"}, "follow_up"),
    ],
)
async def test_a_wish_of_the_wrong_kind_is_named(client, web, wanted, named):
    error = problem(await client.post("/api/sessions", json=wanted), 400, "malformed")
    assert named in error["message"]
    assert web.sessions.created == []


async def test_a_session_says_whether_it_is_degraded_what_it_took_and_why_it_ended(client, web):
    web.sessions.views["s1"] = view("s1", degraded=True, tokens=1200, state="closed", reason="idle_timeout")
    told = (await client.get("/api/sessions/s1")).json()
    assert (told["degraded"], told["tokens"], told["reason"]) == (True, 1200, "idle_timeout")


async def test_a_turn_may_wait_for_the_one_that_runs(client, web):
    problem(await client.post("/api/sessions/s1/turns", json={"text": "busy"}), 409, "session_busy")
    queued = await client.post("/api/sessions/s1/turns", json={"text": "busy", "on_busy": "queue", "follow_up": True})
    assert queued.status_code == 202
    assert web.sessions.options == [("refuse", None), ("queue", True)]
    problem(await client.post("/api/satellites/desk/text", json={"text": "busy"}), 409, "session_busy")
    aloud = await client.post("/api/satellites/desk/text", json={"text": "busy", "on_busy": "queue"})
    assert aloud.status_code == 202
    problem(await client.post("/api/sessions/s1/turns", json={"text": "x", "on_busy": "wait"}), 400, "malformed")


@pytest.mark.parametrize(
    ("mode", "happened"), [("queue", "queued"), ("steer", "steered"), ("interrupt", "interrupted")]
)
async def test_vona_external_context_event_over_the_api_is_acknowledged_with_what_became_of_it(
    client, web, mode, happened
):
    told = {"source": "doorbell", "payload": {"who": "the postman"}, "spoken_summary": "Somebody rings.", "mode": mode}
    answer = await client.post("/api/sessions/s1/inject", json=told)
    assert (answer.status_code, answer.json()) == (200, {"happened": happened})
    event = ContextEvent(source="doorbell", payload={"who": "the postman"}, spoken_summary="Somebody rings.")
    assert web.sessions.injected == [("s1", event, mode)]


async def test_what_cannot_be_injected_is_refused_by_its_code(client, web):
    problem(await client.post("/api/sessions/s9/inject", json={"source": "x"}), 404, "session_not_found")
    for told in ({}, {"source": ""}, {"source": "x", "mode": "now"}, {"source": "x", "payload": []}):
        problem(await client.post("/api/sessions/s1/inject", json=told), 400, "malformed")
    large = {"source": "x", "payload": {"text": "a" * 70_000}}
    too_large = await client.post("/api/sessions/s1/inject", json=large)
    problem(too_large, 413, "body_too_large")
    assert web.sessions.injected == []


async def test_a_conversation_is_summed_up_on_request(client, web):
    assert (await client.post("/api/sessions/s1/compact")).json() == {"before": 4000, "after": 900}

    async def disabled(session_id):
        raise VonadError("compaction_disabled", "its backend cannot sum up")

    web.sessions.compact = disabled
    problem(await client.post("/api/sessions/s1/compact"), 501, "compaction_disabled")


async def test_an_announcement_may_chime_endure_and_sound_otherwise(client, web):
    wanted = {
        "text": "dinner",
        "preannounce": True,
        "durable": True,
        "interruptible": False,
        "volume": 0.5,
        "style": {"warmth": 1},
    }
    assert (await client.post("/api/satellites/desk/say", json=wanted)).status_code == 202
    assert web.house.say_options == {
        "priority": 0,
        "interrupt": False,
        "interruptible": False,
        "preannounce": True,
        "durable": True,
        "style": Style(warmth=1.0),
        "volume": 0.5,
    }
    assert web.house.kept == 1
    problem(await client.post("/api/satellites/desk/say", json={"text": "x", "volume": 2}), 400, "malformed")


async def test_an_announcement_that_failed_says_so(client):
    said = await client.post("/api/satellites/desk/say?wait=3", json={"text": "unheard"})
    assert said.json() == {"id": "a1", "ok": False, "reason": "the speaker is gone", "state": "failed"}


async def test_an_announcement_is_read_waited_for_and_cancelled_by_its_id(client, web):
    await client.post("/api/satellites/desk/say", json={"text": "never", "id": "mine", "priority": 3})
    told = (await client.get("/api/announcements/mine")).json()
    assert told == {
        "id": "mine",
        "satellite": "desk",
        "text": "never",
        "state": "queued",
        "reason": "",
        "priority": 3,
        "durable": False,
    }
    problem(await client.get("/api/announcements/mine?wait=0.1"), 504, "timeout")
    assert (await client.delete("/api/announcements/mine")).json() == {"cancelled": True}
    problem(await client.get("/api/announcements/other"), 404, "not_found")


async def test_where_a_turn_s_time_went_is_told_of_it_or_of_the_latest(client):
    for turn in ("s1-1", "last"):
        told = (await client.get(f"/api/turns/{turn}/why")).json()
        assert told["slowest"] == {
            "stage": "agent_first_token",
            "at_ms": 2000.0,
            "took_ms": 800.0,
            "owner": "bridge: agent",
        }
        assert [step["stage"] for step in told["steps"]] == ["speech", "endpoint", "agent_first_token"]
        assert told["attempts"][0]["name"] == "clock"
        assert (told["endpoint"], told["degraded"], told["audio_gap"]) == ("semantic", True, True)
    problem(await client.get("/api/turns/s9-1/why"), 404, "not_found")


async def test_the_events_of_a_session_that_is_over_end_at_once(client, web):
    web.sessions.views["s1"] = view("s1", state="closed")
    async with asyncio.timeout(5):
        answer = await client.get("/api/sessions/s1/events")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_the_events_of_a_session_are_its_own_and_end_with_it(client, web):
    async def happen() -> None:
        while not web.bus._mailboxes:
            await asyncio.sleep(0)
        for session_id in ("s2", "s1"):
            web.bus.publish(Event("context.injected", {"source": session_id}, session_id=session_id))
        web.bus.publish(Event("session.closed", {"reason": "user_ended"}, session_id="s1"))

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(happen())
        answer = await client.get("/api/sessions/s1/events")
    assert "event: session.closed" in answer.text
    assert '"source":"s1"' in answer.text
    assert '"source":"s2"' not in answer.text
